/**
 * Names of periods: `2026-11-22` for days, `2026-W47` for weeks, `2026-11` for months,
 * `2026-11-22T13` for hours (of UTC), an ISO instant for anything else. Within one shape all
 * names have one length and sort by time. Years 1970 to 9999.
 */
import { firstInstantOf, zoneOffsetMs } from '../engine/windows/time-zone.ts';
import type { WindowSize } from '../engine/windows/window-size.ts';

export type PeriodShape = 'day' | 'week' | 'month' | 'hour' | 'second' | 'instant';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

const PATTERNS: Readonly<Record<PeriodShape, RegExp>> = {
  day: /^\d{4}-\d\d-\d\d$/,
  week: /^(\d{4})-W(\d\d)$/,
  month: /^\d{4}-\d\d$/,
  hour: /^\d{4}-\d\d-\d\dT\d\d$/,
  second: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  instant: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
};

/** What follows the name to make it an instant of UTC. */
const REST: Readonly<Record<Exclude<PeriodShape, 'week'>, string>> = {
  day: 'T00:00:00.000Z',
  month: '-01T00:00:00.000Z',
  hour: ':00:00.000Z',
  second: '',
  instant: '',
};

export function periodShape(size: WindowSize): PeriodShape {
  if (size.kind === 'calendar') return size.unit;
  if (size.ms % HOUR_MS === 0) return 'hour';
  return size.ms % 1000 === 0 ? 'second' : 'instant';
}

/** The name of the period that begins at the instant. */
export function periodId(shape: PeriodShape, startMs: number, timezone: string): string {
  switch (shape) {
    case 'hour':
      return iso(startMs).slice(0, 13);
    case 'second':
      return iso(startMs).replace('.000Z', 'Z');
    case 'instant':
      return iso(startMs);
    case 'day':
    case 'week':
    case 'month': {
      const wallMs = startMs + zoneOffsetMs(timezone, startMs);
      if (shape === 'week') return weekId(Math.floor(wallMs / DAY_MS));
      return iso(wallMs).slice(0, shape === 'day' ? 10 : 7);
    }
  }
}

/** An instant within the period of that name, its start where it is one; undefined: no name. */
export function periodInstant(
  shape: PeriodShape,
  id: string,
  timezone: string,
): number | undefined {
  if (!PATTERNS[shape].test(id)) return undefined;
  const wallMs = shape === 'week' ? weekStart(id) : Date.parse(id + REST[shape]);
  if (!Number.isFinite(wallMs)) return undefined;
  const isLocal = shape === 'day' || shape === 'week' || shape === 'month';
  return isLocal ? firstInstantOf(timezone, wallMs) : wallMs;
}

/** ISO 8601: the week belongs to the year of its Thursday. `day` counts from 1970-01-01. */
function weekId(day: number): string {
  const thursday = day - ((day + 3) % 7) + 3;
  const year = new Date(thursday * DAY_MS).getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(year, 0, 1) / DAY_MS) / 7) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}

/** The Monday of a week; 4 January is always in the first. NaN where the year has no such week. */
function weekStart(id: string): number {
  const [year, week] = id.split('-W').map(Number) as [number, number];
  const fourth = Date.UTC(year, 0, 4) / DAY_MS;
  const monday = fourth - ((fourth + 3) % 7) + (week - 1) * 7;
  return weekId(monday) === id ? monday * DAY_MS : NaN;
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
