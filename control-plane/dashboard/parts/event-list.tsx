/** What happened, newest first. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { EventItem } from '../api/api-items.ts';
import { paths } from '../router.ts';
import { Ago } from './relative-time.tsx';
import { EmptyNote } from './panel.tsx';
import { Mark, severityLook } from './state-mark.tsx';

const SHOWN_MORE = 50;

export function EventList({
  events,
  agentName,
  atFirst = 10,
}: {
  events: readonly EventItem[];
  /** Given where events of several devices stand together. */
  agentName?: (id: string) => string;
  /** How many are shown before one asks for more. */
  atFirst?: number;
}): JSX.Element {
  const [shown, setShown] = useState(atFirst);
  if (events.length === 0) return <EmptyNote>Nothing has happened yet.</EmptyNote>;
  return (
    <>
      <ol class="events">
        {events.slice(0, shown).map((event) => (
          <li key={event.id}>
            <span class="event-mark">
              <Mark {...severityLook(event.severity)} />
              <span class="visually-hidden">{severityLook(event.severity).word}:</span>
            </span>
            <span class="event-text">
              {event.message}
              <span class="event-about">
                <span>{event.type}</span>
                {agentName === undefined || event.agent === null ? null : (
                  <a href={paths.device(event.agent)}>{agentName(event.agent)}</a>
                )}
                {event.job === null ? null : <a href={paths.job(event.job)}>{event.job}</a>}
              </span>
            </span>
            <span class="event-time">
              <Ago at={event.at} />
            </span>
          </li>
        ))}
      </ol>
      {events.length <= shown ? null : (
        <button type="button" class="button small" onClick={() => setShown(shown + SHOWN_MORE)}>
          Show more ({events.length - shown} left)
        </button>
      )}
    </>
  );
}
