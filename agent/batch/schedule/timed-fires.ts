/**
 * What a job's clock-driven triggers fire in a stretch of time `(fromMs, nowMs]`, and what of it is
 * skipped. A time older than a minute when it is seen was missed: the agent was off, its clock
 * jumped, or the event loop stood. Missed times follow the job's `misfire` within its
 * `catchUpWindow`; those that start no run are counted, by reason, with the first and the last.
 *
 * Where several triggers name the same instant it fires once.
 */
import { fireTimesBetween, lastFireTime } from '@runnel/shared/schedule/fire-times.ts';
import { limits } from '@runnel/shared/limits.ts';
import { type SchedulePlan, type TimedTrigger, runsPerFire } from './schedule-plan.ts';

/** Below it a time is on time: timers and one long turn of the event loop are later than that. */
export const MISSED_AFTER_MS = 60_000;

export type SkipReason =
  | 'misfire'
  | 'catch_up_window'
  | 'catch_up_max'
  | 'paused'
  | 'same_time'
  | 'coalesced';

export interface Skipped {
  readonly reason: SkipReason;
  readonly count: number;
  /** The first and the last time that started no run. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface TimedFires {
  /** Oldest first. */
  readonly missed: readonly number[];
  readonly onTime: readonly number[];
  readonly skipped: readonly Skipped[];
}

type Triggers = readonly TimedTrigger[];

export function timedFires(
  plan: SchedulePlan,
  triggers: Triggers,
  fromMs: number,
  nowMs: number,
): TimedFires {
  const lateToMs = Math.max(fromMs, nowMs - MISSED_AFTER_MS - 1);
  const windowMs = nowMs - plan.catchUpWindowMs - 1;
  const oldToMs = Math.min(Math.max(fromMs, windowMs), lateToMs);
  const onTime = union(triggers, lateToMs, nowMs);
  const late = missed(plan, triggers, oldToMs, lateToMs);
  return {
    missed: late.fires,
    onTime: onTime.fires,
    skipped: [
      ...skippedIn('catch_up_window', triggers, fromMs, oldToMs),
      ...late.skipped,
      ...onTime.skipped,
    ],
  };
}

/** All times in `(fromMs, toMs]`, as skipped for one reason; nothing where there are none. */
export function skippedIn(
  reason: SkipReason,
  triggers: Triggers,
  fromMs: number,
  toMs: number,
): readonly Skipped[] {
  const count = countOf(triggers, fromMs, toMs);
  if (count === 0) return [];
  const firsts = triggers.map(({ times }) => times.next(fromMs) ?? Infinity);
  return [{ reason, count, firstMs: Math.min(...firsts), lastMs: lastOf(triggers, fromMs, toMs)! }];
}

interface Chosen {
  readonly fires: readonly number[];
  readonly skipped: readonly Skipped[];
}

function missed(plan: SchedulePlan, triggers: Triggers, fromMs: number, toMs: number): Chosen {
  switch (plan.misfire) {
    case 'skip':
      return { fires: [], skipped: skippedIn('misfire', triggers, fromMs, toMs) };
    case 'runOnce': {
      const newest = lastOf(triggers, fromMs, toMs);
      if (newest === undefined) return { fires: [], skipped: [] };
      return {
        fires: [newest],
        skipped: [
          ...skippedIn('misfire', triggers, fromMs, newest - 1),
          ...sameTime(newest, countOf(triggers, newest - 1, newest) - 1),
        ],
      };
    }
    case 'runAll': {
      const max = Math.max(1, Math.floor(limits.scheduleCatchUpRunsMax / runsPerFire(plan)));
      const startMs = newestFrom(triggers, fromMs, toMs, max);
      const { fires, skipped } = union(triggers, startMs, toMs);
      const dropped = skippedIn('catch_up_max', triggers, fromMs, startMs);
      return { fires, skipped: [...dropped, ...skipped] };
    }
  }
}

/** The earliest instant after which there are no more than `max` times, by bisection. */
function newestFrom(triggers: Triggers, fromMs: number, toMs: number, max: number): number {
  if (countOf(triggers, fromMs, toMs) <= max) return fromMs;
  let [low, high] = [fromMs, toMs];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (countOf(triggers, middle, toMs) <= max) high = middle;
    else low = middle;
  }
  return high;
}

function union(triggers: Triggers, fromMs: number, toMs: number): Chosen {
  const all = triggers.flatMap(({ times }) => [...fireTimesBetween(times, fromMs, toMs)]);
  const fires = [...new Set(all)].sort((a, b) => a - b);
  return { fires, skipped: sameTime(fires.at(-1) ?? toMs, all.length - fires.length) };
}

function sameTime(atMs: number, count: number): readonly Skipped[] {
  return count === 0 ? [] : [{ reason: 'same_time', count, firstMs: atMs, lastMs: atMs }];
}

function countOf(triggers: Triggers, fromMs: number, toMs: number): number {
  if (toMs <= fromMs) return 0;
  return triggers.reduce((sum, { times }) => sum + times.count(fromMs, toMs), 0);
}

function lastOf(triggers: Triggers, fromMs: number, toMs: number): number | undefined {
  const lasts = triggers
    .map(({ times }) => lastFireTime(times, fromMs, toMs))
    .filter((each) => each !== undefined);
  return lasts.length === 0 ? undefined : Math.max(...lasts);
}
