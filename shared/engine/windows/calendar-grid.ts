/**
 * Tumbling windows of whole days, weeks (from Monday) or months by the clock on the wall of a time
 * zone: a day has 23 or 25 hours when summer time begins or ends.
 *
 * A window begins when the clock first shows the offset after midnight, or, where the zone skips
 * that time, at the first instant after the gap. Windows of several units are counted from 1970:
 * days from 1 January, weeks from Monday 29 December 1969, months from January. The rules of the
 * zone are those of the device's own time-zone data. Borders are computed once and kept, since
 * asking `Intl` takes microseconds.
 */
import type { PaneGrid } from './pane-grid.ts';
import { firstInstantOf, zoneOffsetMs } from './time-zone.ts';

export type CalendarUnit = 'day' | 'week' | 'month';

const DAY_MS = 86_400_000;
/** Out-of-order records alternate between the windows on both sides of a border. */
const CACHED_MAX = 4;

export class CalendarGrid implements PaneGrid {
  startMs = NaN;
  endMs = NaN;
  private readonly unit: CalendarUnit;
  private readonly count: number;
  private readonly offsetMs: number;
  private readonly timezone: string;
  private readonly cached: { startMs: number; endMs: number }[] = [];

  constructor(unit: CalendarUnit, count: number, offsetMs: number, timezone: string) {
    this.unit = unit;
    this.count = count;
    this.offsetMs = offsetMs;
    this.timezone = timezone;
  }

  locate(timeMs: number): void {
    if (timeMs >= this.startMs && timeMs < this.endMs) return;
    const window =
      this.cached.find((each) => timeMs >= each.startMs && timeMs < each.endMs) ??
      this.compute(timeMs);
    this.startMs = window.startMs;
    this.endMs = window.endMs;
  }

  windowStartMs(endMs: number): number {
    this.locate(endMs - 1);
    return this.startMs;
  }

  windowEndAfter(_paneStartMs: number, paneEndMs: number, afterMs: number): number {
    return paneEndMs > afterMs ? paneEndMs : Infinity;
  }

  lastWindowEndMs(_paneStartMs: number, paneEndMs: number): number {
    return paneEndMs;
  }

  private compute(timeMs: number): { startMs: number; endMs: number } {
    const wallMs = timeMs + zoneOffsetMs(this.timezone, timeMs) - this.offsetMs;
    let index = this.indexOf(Math.floor(wallMs / DAY_MS));
    // Where a zone turns its clock back over midnight, a wall time may belong to a neighbour.
    while (this.borderMs(index) > timeMs) index -= 1;
    while (this.borderMs(index + 1) <= timeMs) index += 1;
    const window = { startMs: this.borderMs(index), endMs: this.borderMs(index + 1) };
    this.cached.unshift(window);
    this.cached.length = Math.min(this.cached.length, CACHED_MAX);
    return window;
  }

  /** The number of the window that a day since 1970-01-01 is in. */
  private indexOf(day: number): number {
    switch (this.unit) {
      case 'day':
        return Math.floor(day / this.count);
      case 'week':
        return Math.floor((day + 3) / 7 / this.count);
      case 'month': {
        const { year, month } = civilOf(day);
        return Math.floor(((year - 1970) * 12 + month) / this.count);
      }
    }
  }

  private borderMs(index: number): number {
    const wallMs = this.firstDayOf(index * this.count) * DAY_MS + this.offsetMs;
    return firstInstantOf(this.timezone, wallMs);
  }

  private firstDayOf(unit: number): number {
    switch (this.unit) {
      case 'day':
        return unit;
      case 'week':
        return unit * 7 - 3;
      case 'month':
        return (
          Date.UTC(1970 + Math.floor(unit / 12), unit - Math.floor(unit / 12) * 12, 1) / DAY_MS
        );
    }
  }
}

/**
 * Year and month (0 to 11) of a day since 1970-01-01 in the proleptic Gregorian calendar.
 * Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
 */
function civilOf(day: number): { year: number; month: number } {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = (marchMonth + 2) % 12;
  return { year: yearOfEra + era * 400 + (month <= 1 ? 1 : 0), month };
}
