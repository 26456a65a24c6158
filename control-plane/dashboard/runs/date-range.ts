/** A range of days in a zone as a backfill takes it: what begins in `[from, to)`. Pure. */
import { firstInstantOf, zoneOffsetMs } from '@runnel/shared/engine/windows/time-zone.ts';

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

export interface DayRange {
  readonly from: number;
  readonly to: number;
}

/** Both days belong to it. Null while a day is missing, or the last is before the first. */
export function dayRange(first: string, last: string, timezone: string): DayRange | null {
  const [start, end] = [wallOf(first), wallOf(last)];
  if (start === null || end === null || end < start) return null;
  return {
    from: firstInstantOf(timezone, start),
    to: firstInstantOf(timezone, end + DAY_MS),
  };
}

/** The day of an instant in the zone, `days` later. */
export function dayAt(at: number, timezone: string, days: number): string {
  const wall = at + zoneOffsetMs(timezone, at) + days * DAY_MS;
  return new Date(wall).toISOString().slice(0, 10);
}

function wallOf(day: string): number | null {
  if (!DATE.test(day)) return null;
  const wall = Date.parse(`${day}T00:00:00Z`);
  return Number.isNaN(wall) ? null : wall;
}
