/**
 * Fire times of a cron expression in a time zone.
 *
 * The rule for days on which the zone's clock jumps (DESIGN.md §8):
 *
 * - `*` or a step in the hour field (also any list of all 24) follows elapsed time: it fires at
 *   every real instant at which the wall shows a time that it names, in both passes of an hour that
 *   repeats, and has nothing in a gap. So `0 * * * *` leaves no hour out and runs none twice.
 * - Any other set of hours names times of the day. One that the clock skips fires once, at the
 *   first instant after the gap; several in one gap fire together as one. One that repeats fires
 *   once, in the first pass.
 *
 * A time zone's rules are those of the device's own time-zone data.
 */
import { firstInstantOf } from '../engine/windows/time-zone.ts';
import { messageOf, RunnelError } from '../errors.ts';
import { CronCalendar, DAY_MS, WALL_MS_MAX } from './cron-calendar.ts';
import { parseCronFields } from './cron-fields.ts';
import type { FireTimes } from './fire-times.ts';
import { zoneSegmentAt } from './zone-segments.ts';

/** Farther from UTC than any zone ever was (Manila, 15 h 56 min before 1845). */
const OFFSET_MS_MAX = 16 * 3_600_000;

export interface CronProblem {
  readonly problem: string;
  readonly hint: string;
}

/** Undefined when the expression is right and fires at least once in the calendar's 400 years. */
export function cronProblem(text: string): CronProblem | undefined {
  try {
    cronCalendarOf(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    return { problem: messageOf(error), hint: error.hint ?? '' };
  }
}

/** @throws {RunnelError} `cron_invalid` as `cronProblem` tells it. */
export function cronFireTimes(text: string, timezone: string): FireTimes {
  const { calendar, followsElapsedTime } = cronCalendarOf(text);
  const [next, count] = followsElapsedTime
    ? [nextByElapsedTime, countByElapsedTime]
    : [nextByTimeOfDay, countByTimeOfDay];
  return {
    next: (afterMs) => next(calendar, timezone, afterMs),
    count: (afterMs, toMs) => (toMs > afterMs ? count(calendar, timezone, afterMs, toMs) : 0),
  };
}

function cronCalendarOf(text: string): {
  readonly calendar: CronCalendar;
  readonly followsElapsedTime: boolean;
} {
  const fields = parseCronFields(text);
  const calendar = new CronCalendar(fields);
  if (calendar.nextDay(0) === undefined) {
    throw new RunnelError('cron_invalid', 'it never fires: no month has such a day', {
      hint: 'for example "0 0 L * *" for the last day of every month',
    });
  }
  return { calendar, followsElapsedTime: fields.followsElapsedTime };
}

function nextByElapsedTime(
  calendar: CronCalendar,
  timezone: string,
  afterMs: number,
): number | undefined {
  let fromMs = Math.floor(afterMs / 1000) * 1000 + 1000;
  while (fromMs <= WALL_MS_MAX) {
    const { endMs, offsetMs } = zoneSegmentAt(timezone, fromMs);
    const fromWall = fromMs + offsetMs;
    const wallMs = calendar.nextWall(fromWall);
    if (wallMs === undefined) return undefined;
    const instant = wallMs - offsetMs;
    if (instant < endMs) return instant;
    // The wall may go back behind `fromWall` for a while; later nothing is named before `wallMs`.
    const isPast = endMs >= fromWall + OFFSET_MS_MAX;
    fromMs = isPast ? Math.max(endMs, wallMs - OFFSET_MS_MAX) : endMs;
  }
  return undefined;
}

function nextByTimeOfDay(
  calendar: CronCalendar,
  timezone: string,
  afterMs: number,
): number | undefined {
  const { offsetMs } = zoneSegmentAt(timezone, afterMs);
  // First instants grow with the time on the wall, so all before this one are past.
  let wallMs = calendar.nextWall(Math.floor((afterMs + offsetMs) / 1000) * 1000 + 1000);
  while (wallMs !== undefined) {
    const instant = firstInstantIn(timezone, wallMs, offsetMs);
    if (instant > afterMs) return instant;
    wallMs = calendar.nextWall(wallMs + 1000);
  }
  return undefined;
}

/** `firstInstantOf`, spared where one segment shows the whole day before and the time. */
function firstInstantIn(timezone: string, wallMs: number, offsetMs: number): number {
  const instant = wallMs - offsetMs;
  const segment = zoneSegmentAt(timezone, instant);
  const isPlain =
    segment.offsetMs === offsetMs && instant - DAY_MS >= segment.startMs && instant < segment.endMs;
  return isPlain ? instant : firstInstantOf(timezone, wallMs);
}

/** Between changes of the clock the wall goes evenly: its times are counted, not walked through. */
function countByElapsedTime(
  calendar: CronCalendar,
  timezone: string,
  afterMs: number,
  toMs: number,
): number {
  let count = 0;
  let fromMs = Math.floor(afterMs) + 1;
  while (fromMs <= toMs) {
    const segment = zoneSegmentAt(timezone, fromMs);
    const endMs = Math.min(segment.endMs, Math.floor(toMs) + 1);
    count += calendar.countWalls(fromMs + segment.offsetMs, endMs + segment.offsetMs);
    fromMs = endMs;
  }
  return count;
}

/** All times that the wall has passed, less those that a gap makes fire together. */
function countByTimeOfDay(
  calendar: CronCalendar,
  timezone: string,
  afterMs: number,
  toMs: number,
): number {
  const [from, to] = [passedWall(timezone, afterMs), passedWall(timezone, toMs)];
  let count = calendar.countWalls(from + 1, to + 1);
  let segment = zoneSegmentAt(timezone, afterMs);
  while (segment.endMs <= toMs) {
    const next = zoneSegmentAt(timezone, segment.endMs);
    if (next.offsetMs > segment.offsetMs) {
      const startMs = segment.endMs + segment.offsetMs;
      const together = calendar.countWalls(startMs, segment.endMs + next.offsetMs + 1);
      count -= Math.max(0, together - 1);
    }
    segment = next;
  }
  return count;
}

/** The latest time that the wall has shown: in the second pass of an hour the end of the first. */
function passedWall(timezone: string, timeMs: number): number {
  let segment = zoneSegmentAt(timezone, timeMs - OFFSET_MS_MAX);
  let passedMs = -Infinity;
  while (segment.endMs <= timeMs) {
    passedMs = Math.max(passedMs, segment.endMs + segment.offsetMs - 1);
    segment = zoneSegmentAt(timezone, segment.endMs);
  }
  return Math.max(passedMs, Math.floor(timeMs) + segment.offsetMs);
}
