/** Runs as people read them in tables. */
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import { oneLine } from './table.ts';
import { paint, type Terminal } from './terminal.ts';

/** Enough of a run's random id to tell it from every other; commands take it as it is. */
export const shortRun = (run: string): string => run.slice(0, 10);

interface Timed {
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

/** `3s`, `1m20s`, with `…` while it goes on; a dash before it began. */
export function tookText({ startedAt, endedAt }: Timed, nowMs: number): string {
  if (startedAt === null) return '-';
  const ms = Math.max(0, (endedAt ?? nowMs) - startedAt);
  const whole = ms < 1000 ? ms : Math.floor(ms / 1000) * 1000;
  return `${durationText(whole)}${endedAt === null ? '…' : ''}`;
}

const COLOURS = { success: 'green', failed: 'red', upstream_failed: 'red' } as const;

/** Of a run that was told to end and has not ended, that. */
export function runStateText(
  terminal: Terminal,
  { state, cancelling }: { readonly state: string; readonly cancelling: boolean },
): string {
  return stateText(terminal, cancelling ? 'cancelling' : state);
}

export function stateText(terminal: Terminal, state: string): string {
  const colour = COLOURS[state as keyof typeof COLOURS];
  return colour === undefined ? state : paint(terminal, colour, state);
}

/** Partitions that a backfill passes by, the first of them by name. */
export interface Skipped {
  readonly count: number;
  readonly partitions: readonly { readonly partition: string; readonly reason: string }[];
}

const REASONS: Readonly<Record<string, string>> = { done: 'done', active: 'under way' };

/** A line, or nothing. */
export function skippedText(skipped: Skipped | null): string {
  if (skipped === null || skipped.count === 0) return '';
  const named = skipped.partitions.map(
    ({ partition, reason }) => `${oneLine(partition)} (${REASONS[reason] ?? reason})`,
  );
  const more = skipped.count > named.length ? ', …' : '';
  return `  passed by: ${skipped.count}: ${named.join(', ')}${more}\n`;
}
