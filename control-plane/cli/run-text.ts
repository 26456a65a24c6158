/** Runs as people read them in tables. */
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
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
