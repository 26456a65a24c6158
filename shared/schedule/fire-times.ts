/**
 * When a trigger that goes by the clock fires: cron, every, at.
 *
 * `every` with a fixed size fires at its multiples since 1970 whatever the zone; calendar sizes
 * (`1d`, `2w`, `1mo`) at the borders of those periods in the zone. Nothing here remembers anything:
 * the same question has the same answer.
 */
import { CalendarGrid } from '../engine/windows/calendar-grid.ts';
import { windowSizeOf } from '../engine/windows/window-size.ts';
import type { ScheduleTrigger } from '../definitions/batch-job.ts';
import { assert } from '../errors.ts';
import { cronFireTimes } from './cron.ts';

/** Epoch milliseconds everywhere. */
export interface FireTimes {
  /** The first time strictly after the instant; undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** How many there are in `(afterMs, toMs]`; cheap even where they are millions. */
  count(afterMs: number, toMs: number): number;
}

export type TimeTrigger = Extract<ScheduleTrigger, { readonly kind: 'cron' | 'every' | 'at' }>;

export function isTimeTrigger(trigger: ScheduleTrigger): trigger is TimeTrigger {
  return trigger.kind === 'cron' || trigger.kind === 'every' || trigger.kind === 'at';
}

/** @throws {RunnelError} `cron_invalid`; an `every` must be a window size. */
export function fireTimesOf(trigger: TimeTrigger): FireTimes {
  switch (trigger.kind) {
    case 'cron':
      return cronFireTimes(trigger.cron, trigger.timezone);
    case 'every':
      return everyFireTimes(trigger.every, trigger.timezone);
    case 'at':
      return atFireTimes(trigger.at);
  }
}

/** In `(afterMs, toMs]`, oldest first. */
export function* fireTimesBetween(
  times: FireTimes,
  afterMs: number,
  toMs: number,
): Generator<number, void, void> {
  let at = times.next(afterMs);
  while (at !== undefined && at <= toMs) {
    yield at;
    at = times.next(at);
  }
}

/** The newest in `(afterMs, toMs]`, by bisection: never by walking through all of them. */
export function lastFireTime(times: FireTimes, afterMs: number, toMs: number): number | undefined {
  let last = times.next(afterMs);
  if (last === undefined || last > toMs) return undefined;
  let beyond = toMs;
  while (beyond > last) {
    const middle = Math.floor((last + beyond) / 2);
    const found = times.next(middle);
    if (found !== undefined && found <= toMs) last = found;
    else beyond = middle;
  }
  return last;
}

function everyFireTimes(every: string, timezone: string): FireTimes {
  const size = windowSizeOf(every);
  assert(size !== undefined, `"${every}" is no interval`);
  if (size.kind === 'fixed') {
    const index = (timeMs: number): number => Math.floor(timeMs / size.ms);
    return {
      next: (afterMs) => (index(afterMs) + 1) * size.ms,
      count: (afterMs, toMs) => Math.max(0, index(toMs) - index(afterMs)),
    };
  }
  const grid = new CalendarGrid(size.unit, size.count, 0, timezone);
  const next = (afterMs: number): number => {
    grid.locate(afterMs);
    return grid.endMs;
  };
  return { next, count: (afterMs, toMs) => counted(next, afterMs, toMs) };
}

function atFireTimes(at: readonly number[]): FireTimes {
  const sorted = [...new Set(at)].sort((a, b) => a - b);
  return {
    next: (afterMs) => sorted.find((each) => each > afterMs),
    count: (afterMs, toMs) => sorted.filter((each) => each > afterMs && each <= toMs).length,
  };
}

function counted(next: (afterMs: number) => number, afterMs: number, toMs: number): number {
  let count = 0;
  for (let at = next(afterMs); at <= toMs; at = next(at)) count += 1;
  return count;
}
