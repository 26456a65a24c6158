/**
 * A bar in proportion, and the counts beneath it. Both lead to what they count; for a keyboard and
 * a screen reader the counts alone do, so that nothing is there twice.
 */
import type { JSX } from 'preact';
import { formatCount } from '../format/amount.ts';
import type { Segment } from '../overview/segments.ts';
import { Mark } from './state-mark.tsx';

export function SegmentBar({
  title,
  unit,
  segments,
}: {
  title: string;
  /** What is counted: `48 devices`. */
  unit: string;
  segments: readonly Segment[];
}): JSX.Element {
  const shown = segments.filter(({ count }) => count > 0);
  return (
    <section class="segments" aria-label={title}>
      <header class="segments-head">
        <h3>{title}</h3>
        <span class="quiet">{unit}</span>
      </header>
      <div class="segment-bar" aria-hidden="true">
        {shown.map(({ key, look, count, href }) => (
          <a
            class={`fill-${look.tone}`}
            key={key}
            href={href}
            tabIndex={-1}
            title={`${formatCount(count)} ${look.word}`}
            style={{ flexGrow: count }}
          />
        ))}
      </div>
      {shown.length === 0 ? (
        <p class="quiet segment-none">none yet</p>
      ) : (
        <ul class="segment-counts">
          {shown.map(({ key, look, count, href }) => (
            <li key={key}>
              <a class="segment-count" href={href} data-segment={key}>
                <Mark shape={look.shape} tone={look.tone} />
                <strong>{formatCount(count)}</strong> {look.word}
              </a>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
