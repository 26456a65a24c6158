/**
 * Is the clock of a device right? Judged by when it says that it sent a heartbeat, against our
 * clock when it came. Pure.
 *
 * A message only ever comes later than it was sent, so of the last few the one that was fastest
 * tells the difference best: what waited in a network that was away is not taken for a wrong clock.
 * A condition above `clockSkewMsMax`, which clears below two thirds of it.
 */
import { limits } from '@runnel/shared/limits.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';

const BEATS_KEPT = 5;
const BEATS_TO_JUDGE = 3;
const CLEAR_SHARE = 2 / 3;
/** What is said of a clock changes by no less: not with each heartbeat. */
const TOLD_SHARE = 0.1;
const TOLD_MS_MIN = 5000;

export interface SkewWatch {
  /** Sent minus received of the last heartbeats, the newest last. */
  readonly differencesMs: readonly number[];
  /** What is said of it while the clock counts as wrong; else null. */
  readonly skewMs: number | null;
}

export const noSkew: SkewWatch = { differencesMs: [], skewMs: null };

export function sawBeat(watch: SkewWatch, sentAt: number, receivedAt: number): SkewWatch {
  const differencesMs = [...watch.differencesMs, sentAt - receivedAt].slice(-BEATS_KEPT);
  if (differencesMs.length < BEATS_TO_JUDGE) return { ...watch, differencesMs };
  const skewMs = Math.max(...differencesMs);
  const bound = limits.clockSkewMsMax * (watch.skewMs === null ? 1 : CLEAR_SHARE);
  if (Math.abs(skewMs) <= bound) return { differencesMs, skewMs: null };
  return { differencesMs, skewMs: toldSkew(watch.skewMs, skewMs) };
}

/** Whether enough was heard to say that the clock is right, or wrong. */
export function isSkewKnown({ differencesMs }: SkewWatch): boolean {
  return differencesMs.length >= BEATS_TO_JUDGE;
}

function toldSkew(toldMs: number | null, skewMs: number): number {
  const changeMs = Math.max(TOLD_MS_MIN, Math.abs(skewMs) * TOLD_SHARE);
  return toldMs !== null && Math.abs(skewMs - toldMs) < changeMs ? toldMs : skewMs;
}

export function skewCondition(skewMs: number, since: number): Condition {
  const way = skewMs > 0 ? 'ahead of' : 'behind';
  const by = Math.round(Math.abs(skewMs) / 1000);
  return {
    type: 'clock',
    axis: 'resources',
    severity: 'warning',
    reason: 'ClockSkew',
    message: `its clock is ${by} s ${way} the control plane's; times of its results are off`,
    since,
  };
}
