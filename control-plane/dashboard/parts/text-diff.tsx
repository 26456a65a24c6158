/** Two texts side by side in one column. Signs and words say what was added, not colour alone. */
import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { plural } from '../format/amount.ts';
import { type DiffLine, type DiffPart, diffTexts } from '../jobs/line-diff.ts';

const SIGNS = { same: ' ', added: '+', removed: '−' } as const;

export function TextDiff({ before, after }: { before: string; after: string }): JSX.Element {
  const { parts, added, removed } = useMemo(() => diffTexts(before, after), [before, after]);
  if (added + removed === 0) return <p class="empty-note">The two texts are the same.</p>;
  return (
    <>
      <p class="diff-summary" role="status">
        {plural(added, 'line')} added, {plural(removed, 'line')} removed
      </p>
      <div class="diff" tabIndex={0} role="region" aria-label="Differences">
        <div class="diff-lines">
          {parts.map((part) => (
            <Part key={keyOf(part)} part={part} />
          ))}
        </div>
      </div>
    </>
  );
}

function keyOf({ lines: [first] }: DiffPart): string {
  return `${first?.before ?? ''}/${first?.after ?? ''}`;
}

function Part({ part }: { part: DiffPart }): JSX.Element {
  const [open, setOpen] = useState(part.kind === 'lines');
  if (!open) {
    return (
      <button type="button" class="diff-fold" onClick={() => setOpen(true)}>
        {plural(part.lines.length, 'line')} the same, show
      </button>
    );
  }
  return (
    <>
      {part.lines.map((line) => (
        <Line key={`${line.before ?? ''}/${line.after ?? ''}`} line={line} />
      ))}
    </>
  );
}

function Line({ line }: { line: DiffLine }): JSX.Element {
  const { kind, before, after, text } = line;
  return (
    <div class={`diff-line diff-${kind}`}>
      <span class="diff-number" aria-hidden="true">
        {before}
      </span>
      <span class="diff-number" aria-hidden="true">
        {after}
      </span>
      <span class="diff-sign" aria-hidden="true">
        {SIGNS[kind]}
      </span>
      {kind === 'same' ? null : <span class="visually-hidden">{kind}: </span>}
      <code>{text}</code>
    </div>
  );
}
