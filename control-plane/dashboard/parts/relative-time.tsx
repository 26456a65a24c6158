/** Times that tick. The absolute time is always at hand: on hover, and for a screen reader. */
import type { JSX } from 'preact';
import { formatAgo, formatDuration, formatTimestamp } from '../format/time.ts';
import { useNow } from '../hooks.ts';

/** `12 s ago`; `never` when there is no time. */
export function Ago({ at }: { at: number | null }): JSX.Element {
  const now = useNow();
  if (at === null) return <span class="quiet">never</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={formatTimestamp(at)}>
      {formatAgo(now, at)}
    </time>
  );
}

/** `for 12 min`: how long something has been so. */
export function Since({ at }: { at: number }): JSX.Element {
  const now = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={`since ${formatTimestamp(at)}`}>
      for {formatDuration(now - at)}
    </time>
  );
}
