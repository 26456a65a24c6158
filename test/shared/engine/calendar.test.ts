/** Calendar windows: borders on the clock of the wall, also where zones are at their oddest. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CalendarGrid, type CalendarUnit } from '@runnel/shared/engine/windows/calendar-grid.ts';
import { firstInstantOf, zoneOffsetMs } from '@runnel/shared/engine/windows/time-zone.ts';
import { windowSizeOf } from '@runnel/shared/engine/windows/window-size.ts';

const HOUR = 3_600_000;
const ms = (text: string): number => Date.parse(text);

function windowAt(unit: CalendarUnit, count: number, zone: string, text: string, offsetMs = 0) {
  const grid = new CalendarGrid(unit, count, offsetMs, zone);
  grid.locate(ms(text));
  return [grid.startMs, grid.endMs];
}

test('a day has 23 hours when summer time begins and 25 when it ends', () => {
  const spring = windowAt('day', 1, 'Europe/Paris', '2026-03-29T12:00:00Z');
  expect(spring).toEqual([ms('2026-03-28T23:00:00Z'), ms('2026-03-29T22:00:00Z')]);
  expect(spring[1]! - spring[0]!).toBe(23 * HOUR);
  const autumn = windowAt('day', 1, 'Europe/Paris', '2026-10-25T01:30:00Z');
  expect(autumn[1]! - autumn[0]!).toBe(25 * HOUR);
});

test('an offset moves the border on the clock, so days that begin at six do so all year', () => {
  expect(windowAt('day', 1, 'Europe/Paris', '2026-03-29T12:00:00Z', 6 * HOUR)).toEqual([
    ms('2026-03-29T04:00:00Z'),
    ms('2026-03-30T04:00:00Z'),
  ]);
  expect(windowAt('day', 1, 'Europe/Paris', '2026-03-29T03:59:59Z', 6 * HOUR)).toEqual([
    ms('2026-03-28T05:00:00Z'),
    ms('2026-03-29T04:00:00Z'),
  ]);
});

test('weeks begin on Monday, months on the first, of the zone', () => {
  expect(windowAt('week', 1, 'UTC', '2026-11-22T23:59:59Z')).toEqual([
    ms('2026-11-16T00:00:00Z'),
    ms('2026-11-23T00:00:00Z'),
  ]);
  expect(windowAt('month', 1, 'America/New_York', '2026-03-01T04:59:59Z')).toEqual([
    ms('2026-02-01T05:00:00Z'),
    ms('2026-03-01T05:00:00Z'),
  ]);
  expect(windowAt('month', 3, 'UTC', '2024-02-29T00:00:00Z')).toEqual([
    ms('2024-01-01T00:00:00Z'),
    ms('2024-04-01T00:00:00Z'),
  ]);
  expect(windowAt('month', 1, 'UTC', '1969-12-15T00:00:00Z')).toEqual([
    ms('1969-12-01T00:00:00Z'),
    ms('1970-01-01T00:00:00Z'),
  ]);
});

test('where the zone skips midnight, the day begins right after the gap', () => {
  // Beirut went from 00:00 to 01:00 on 30 March 2025, São Paulo on 4 November 2018.
  expect(windowAt('day', 1, 'Asia/Beirut', '2025-03-30T12:00:00Z')[0]).toBe(
    ms('2025-03-29T22:00:00Z'),
  );
  expect(windowAt('day', 1, 'America/Sao_Paulo', '2018-11-04T12:00:00Z')[0]).toBe(
    ms('2018-11-04T03:00:00Z'),
  );
});

test('where the clock shows midnight twice, the day begins at the first', () => {
  // Azores: 01:00 summer time back to 00:00 on 25 October 2026.
  expect(windowAt('day', 1, 'Atlantic/Azores', '2026-10-25T12:00:00Z')[0]).toBe(
    ms('2026-10-25T00:00:00Z'),
  );
  expect(firstInstantOf('Atlantic/Azores', Date.UTC(2026, 9, 25))).toBe(ms('2026-10-25T00:00:00Z'));
});

test('a day that a zone leaves out has no window, and its neighbours touch', () => {
  // Samoa had no 30 December 2011.
  const [, end] = windowAt('day', 1, 'Pacific/Apia', '2011-12-30T09:00:00Z');
  expect(end).toBe(ms('2011-12-30T10:00:00Z'));
  expect(windowAt('day', 1, 'Pacific/Apia', '2011-12-30T10:00:00Z')[0]).toBe(end);
});

test('windows cover time without hole or overlap, in every zone', () => {
  const zones = ['UTC', 'Europe/Paris', 'America/St_Johns', 'Asia/Kathmandu', 'Pacific/Apia'];
  const instants = fc.integer({ min: ms('1975-01-01'), max: ms('2035-01-01') });
  const units = fc.constantFrom<CalendarUnit>('day', 'week', 'month');
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      units,
      fc.integer({ min: 1, max: 3 }),
      instants,
      (...a) => {
        const [zone, unit, count, at] = a;
        const grid = new CalendarGrid(unit, count, 0, zone);
        grid.locate(at);
        const { startMs, endMs } = grid;
        expect(startMs).toBeLessThanOrEqual(at);
        expect(endMs).toBeGreaterThan(at);
        const fresh = new CalendarGrid(unit, count, 0, zone);
        fresh.locate(endMs);
        expect(fresh.startMs).toBe(endMs);
        fresh.locate(startMs - 1);
        expect(fresh.endMs).toBe(startMs);
        expect(fresh.windowStartMs(endMs)).toBe(startMs);
      },
    ),
    { numRuns: 150 },
  );
});

test('sizes are fixed lengths or whole units of the calendar', () => {
  expect(windowSizeOf('24h')).toEqual({ kind: 'fixed', ms: 24 * HOUR });
  expect(windowSizeOf('1d')).toEqual({ kind: 'calendar', unit: 'day', count: 1 });
  expect(windowSizeOf('1y')).toBeUndefined();
  expect(windowSizeOf('2w')).toEqual({ kind: 'calendar', unit: 'week', count: 2 });
  expect(windowSizeOf('1mo')).toEqual({ kind: 'calendar', unit: 'month', count: 1 });
  for (const text of ['0s', '0d', '10', '1mo2d', ''])
    expect(windowSizeOf(text), text).toBeUndefined();
  expect(zoneOffsetMs('Asia/Kathmandu', 0)).toBe(5.5 * HOUR);
});
