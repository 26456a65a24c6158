/**
 * The difference of two texts, line by line, as a person reads it: what changed with a few lines
 * around it, and how many lines in between are the same. Pure. The differences themselves are those
 * of Myers's algorithm, from the library `diff`.
 */
import { diffLines } from 'diff';

export interface DiffLine {
  readonly kind: 'same' | 'added' | 'removed';
  /** Line numbers from 1; null on the side where the line is not. */
  readonly before: number | null;
  readonly after: number | null;
  readonly text: string;
}

export type DiffPart =
  | { readonly kind: 'lines'; readonly lines: readonly DiffLine[] }
  /** Lines that are the same, and not shown. */
  | { readonly kind: 'fold'; readonly lines: readonly DiffLine[] };

export interface TextDiff {
  readonly parts: readonly DiffPart[];
  readonly added: number;
  readonly removed: number;
}

/** Lines around a change that are shown. */
const AROUND = 3;

export function diffTexts(before: string, after: string): TextDiff {
  const lines = allLines(before, after);
  const near = nearChanges(lines);
  const parts: { kind: DiffPart['kind']; lines: DiffLine[] }[] = [];
  for (const [index, line] of lines.entries()) {
    const kind = near[index] === true ? 'lines' : 'fold';
    const last = parts.at(-1);
    if (last?.kind === kind) last.lines.push(line);
    else parts.push({ kind, lines: [line] });
  }
  const count = (kind: DiffLine['kind']): number =>
    lines.filter((line) => line.kind === kind).length;
  return { parts: parts.map(unfoldShort), added: count('added'), removed: count('removed') };
}

/** To fold one line costs a line. */
function unfoldShort(part: DiffPart): DiffPart {
  return part.lines.length > 1 ? part : { ...part, kind: 'lines' };
}

function allLines(before: string, after: string): DiffLine[] {
  const lines: DiffLine[] = [];
  let [old, fresh] = [0, 0];
  for (const { value, added, removed } of diffLines(ended(before), ended(after))) {
    for (const text of value.replace(/\n$/, '').split('\n')) {
      if (!added) old += 1;
      if (!removed) fresh += 1;
      lines.push({
        kind: added ? 'added' : removed ? 'removed' : 'same',
        before: added ? null : old,
        after: removed ? null : fresh,
        text,
      });
    }
  }
  return lines;
}

/** A missing last line break is no difference to a job. */
function ended(text: string): string {
  const lf = text.replaceAll('\r\n', '\n');
  return lf === '' || lf.endsWith('\n') ? lf : `${lf}\n`;
}

function nearChanges(lines: readonly DiffLine[]): boolean[] {
  const near = lines.map(() => false);
  for (const [index, { kind }] of lines.entries()) {
    if (kind === 'same') continue;
    near.fill(true, Math.max(0, index - AROUND), index + AROUND + 1);
  }
  return near;
}
