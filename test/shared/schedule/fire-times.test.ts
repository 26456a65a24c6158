/** Triggers that go by the clock: `every` and `at`; cron has tests of its own. */
import { describe, expect, it, test } from 'vitest';
import { fireTimesBetween, fireTimesOf, lastFireTime } from '@runnel/shared/schedule/fire-times.ts';

const utc = (at: number | undefined): string =>
  at === undefined ? 'none' : new Date(at).toISOString().replace('.000Z', 'Z');
const every = (text: string, timezone = 'UTC') =>
  fireTimesOf({ kind: 'every', every: text, timezone });

describe('every', () => {
  it('with a fixed size fires at its multiples since 1970, whatever the zone', () => {
    const times = every('15m', 'Asia/Kathmandu');
    const from = Date.parse('2026-11-22T10:15:00Z');
    expect(utc(times.next(from))).toBe('2026-11-22T10:30:00Z');
    expect(utc(times.next(from - 1))).toBe('2026-11-22T10:15:00Z');
    expect(times.count(from, from + 86_400_000)).toBe(96);
    expect(times.count(from, from)).toBe(0);
    expect(utc(every('7m').next(0))).toBe('1970-01-01T00:07:00Z');
  });

  it('with days follows the calendar of its zone: 23 and 25 hours apart', () => {
    const from = Date.parse('2026-03-28T00:00:00Z');
    const times = every('1d', 'Europe/Paris');
    const fires = [...fireTimesBetween(times, from, Date.parse('2026-03-31T00:00:00Z'))];
    expect(fires.map(utc)).toEqual([
      '2026-03-28T23:00:00Z',
      '2026-03-29T22:00:00Z',
      '2026-03-30T22:00:00Z',
    ]);
    expect(times.count(from, fires.at(-1)!)).toBe(3);
  });

  test.each([
    ['1w', 'Europe/Paris', '2026-11-22T23:00:00Z'],
    ['1mo', 'America/New_York', '2026-12-01T05:00:00Z'],
    ['3mo', 'UTC', '2027-01-01T00:00:00Z'],
    ['24h', 'Europe/Paris', '2026-11-23T00:00:00Z'],
  ])('%s in %s', (text, zone, expected) => {
    expect(utc(every(text, zone).next(Date.parse('2026-11-22T12:00:00Z')))).toBe(expected);
  });
});

describe('at', () => {
  const times = fireTimesOf({ kind: 'at', at: [3000, 1000, 3000] as never });

  it('fires at each instant once, in order, and then never', () => {
    expect([...fireTimesBetween(times, 0, 9000)]).toEqual([1000, 3000]);
    expect([...fireTimesBetween(times, 1000, 3000)]).toEqual([3000]);
    expect(times.next(3000)).toBeUndefined();
    expect(times.count(0, 3000)).toBe(2);
  });
});

describe('the last fire time of a range', () => {
  it('is found without walking through it', () => {
    const secondly = fireTimesOf({ kind: 'cron', cron: '* * * * * *', timezone: 'Europe/Paris' });
    const to = Date.parse('2026-11-22T12:00:00.500Z');
    const started = performance.now();
    expect(utc(lastFireTime(secondly, 0, to))).toBe('2026-11-22T12:00:00Z');
    expect(performance.now() - started).toBeLessThan(200);
  });

  it('is none where there is none, and belongs to the end but not to the start', () => {
    const daily = every('24h');
    const day = 86_400_000;
    expect(lastFireTime(daily, day, 2 * day - 1)).toBeUndefined();
    expect(lastFireTime(daily, day, 2 * day)).toBe(2 * day);
    expect(lastFireTime(daily, day - 1, 2 * day - 1)).toBe(day);
    expect(lastFireTime(daily, 5 * day, 5 * day)).toBeUndefined();
  });
});
