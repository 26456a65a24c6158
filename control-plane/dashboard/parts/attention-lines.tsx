/**
 * The lines of what needs a person, each with where it is, since when, why, and a link to where one
 * acts. What somebody has acknowledged or silenced is folded away beneath, counted.
 */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { plural } from '../format/amount.ts';
import type { AttentionLine, AttentionList } from '../overview/attention-list.ts';
import type { Look } from './look.ts';
import { Since } from './relative-time.tsx';
import { severityLook, Worded } from './state-mark.tsx';

const SHOWN_AT_FIRST = 12;
const SHOWN_MORE = 50;
const APPROVAL: Look = { shape: 'diamond', tone: 'warning', word: 'Approve' };

export function AttentionLines({ list }: { list: AttentionList }): JSX.Element {
  const { open, taken } = list;
  return (
    <>
      {open.length === 0 ? null : <Lines lines={open} />}
      {taken.length === 0 ? null : (
        <details class="taken">
          <summary>
            {plural(taken.length, 'more that a person has', 'more that people have')} acknowledged
            or silenced
          </summary>
          <Lines lines={taken} />
        </details>
      )}
    </>
  );
}

function Lines({ lines }: { lines: readonly AttentionLine[] }): JSX.Element {
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  const rest = lines.length - shown;
  return (
    <>
      <ul class="attention">
        {lines.slice(0, shown).map((line) => (
          <Line key={line.key} line={line} />
        ))}
      </ul>
      {rest <= 0 ? null : (
        <button
          type="button"
          class="button small more"
          onClick={() => setShown(shown + SHOWN_MORE)}
        >
          Show more ({rest} left)
        </button>
      )}
    </>
  );
}

function Line({ line }: { line: AttentionLine }): JSX.Element {
  const many = line.places.length + line.placesMore > 1;
  return (
    <li class={`attention-line severity-${line.severity}`} data-kind={line.kind}>
      <Worded look={line.kind === 'approval' ? APPROVAL : severityLook(line.severity)} />
      <div class="attention-text">
        <a class="attention-what" href={line.href}>
          {line.what}
        </a>
        <p class="attention-cause">{line.cause}</p>
        {many || line.kind === 'sla' || line.kind === 'alert' ? <Places line={line} /> : null}
      </div>
      <span class="attention-since">
        {line.since === null ? null : <Since at={line.since} />}
        {line.taken === null ? null : <span>{line.taken}</span>}
      </span>
      <a class="button small" href={line.href} aria-label={`${line.act}: ${line.what}`}>
        {line.act}
      </a>
    </li>
  );
}

function Places({ line }: { line: AttentionLine }): JSX.Element | null {
  if (line.places.length === 0) return null;
  return (
    <p class="attention-places">
      {line.places.map(({ text, href }) => (
        <a key={href} href={href}>
          {text}
        </a>
      ))}
      {line.placesMore === 0 ? null : <span>and {line.placesMore} more</span>}
    </p>
  );
}
