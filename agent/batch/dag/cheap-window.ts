/**
 * Whether a run that is due waits for the cheap window of its job, pure.
 *
 * Guarantees: a window is only ever in the way of a start, never of a run that has started; whoever
 * waits does so for `waitAtMost` at most, counted from when it was queued and could start, and then
 * runs or is left out as the job says; hours that cannot be told, since the device does not know
 * the time, are not taken for open. A run that a person asked for waits for no window.
 */
import type { CheapWindow } from '@runnel/shared/definitions/batch-job.ts';
import { hoursText } from '@runnel/shared/definitions/cheap-window.ts';
import { zoneOffsetMs } from '@runnel/shared/engine/windows/time-zone.ts';
import type { BatchTime } from '../schedule/batch-clock.ts';

/** What running costs here and now. */
export interface Surroundings {
  readonly power: 'mains' | 'battery';
  readonly network: 'unmetered' | 'metered' | 'none';
}

export type WindowVerdict =
  | { readonly kind: 'open' }
  | { readonly kind: 'closed'; readonly reason: string; readonly until: number }
  /** It waited long enough, and is left out. `reason`: for what it waited. */
  | { readonly kind: 'missed'; readonly reason: string };

const OPEN: WindowVerdict = { kind: 'open' };
const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;

/** `since`: from when on it waits. */
export function judgeWindow(
  window: CheapWindow,
  since: number,
  time: BatchTime,
  surroundings: Surroundings,
): WindowVerdict {
  const lacking = lackingOf(window, time, surroundings);
  if (lacking.length === 0) return OPEN;
  const until = since + window.waitAtMostMs;
  const lack = lacking.join(', ');
  if (time.nowMs >= until) {
    return window.otherwise === 'run' ? OPEN : { kind: 'missed', reason: lack };
  }
  const then = window.otherwise === 'run' ? 'runs all the same' : 'is left out';
  const limit = time.known ? ` at ${new Date(until).toISOString()}` : '';
  return { kind: 'closed', reason: `waits for ${lack}; ${then}${limit}`, until };
}

function lackingOf(
  { hours, power, network }: CheapWindow,
  time: BatchTime,
  surroundings: Surroundings,
): string[] {
  const lacking: string[] = [];
  if (hours !== null && !(time.known && isWithin(hours, time.nowMs))) {
    const unknown = time.known ? '' : ' (the device does not know the time)';
    lacking.push(`${hoursText(hours)}${unknown}`);
  }
  if (power !== null && surroundings.power !== power) lacking.push('mains power');
  if (network !== null && surroundings.network !== network) {
    const now = surroundings.network === 'none' ? 'there is none' : 'it is metered now';
    lacking.push(`an unmetered network (${now})`);
  }
  return lacking;
}

function isWithin({ from, to, timezone }: NonNullable<CheapWindow['hours']>, at: number): boolean {
  const wallMinutes = Math.floor((at + zoneOffsetMs(timezone, at)) / MINUTE_MS);
  const minute = ((wallMinutes % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES;
  return from < to ? from <= minute && minute < to : from <= minute || minute < to;
}
