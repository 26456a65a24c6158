/** Cron against vectors made by hand, and against what no expression may ever do. */
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { cronFireTimes, cronProblem } from '@runnel/shared/schedule/cron.ts';
import { lastFireTime } from '@runnel/shared/schedule/fire-times.ts';
import { refused, vectors } from './cron-vectors.ts';
import { naiveFires } from './naive-cron.ts';

const DAY = 86_400_000;
const utc = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');

function firesAfter(cron: string, timezone: string, fromMs: number, count: number): number[] {
  const times = cronFireTimes(cron, timezone);
  const fires: number[] = [];
  for (let at = times.next(fromMs); at !== undefined && fires.length < count; at = times.next(at)) {
    fires.push(at);
  }
  return fires;
}

describe('a vector', () => {
  test.each(vectors)('$cron $timezone: $claim', ({ cron, timezone = 'UTC', from, fires }) => {
    const found = firesAfter(cron, timezone, Date.parse(from), fires.length);
    expect(found.map(utc)).toEqual(fires);
    const [first, last] = [Date.parse(from), found.at(-1)!];
    const times = cronFireTimes(cron, timezone);
    expect(times.count(first, last)).toBe(fires.length);
    expect(lastFireTime(times, first, last)).toBe(last);
  });
});

describe('what is refused', () => {
  test.each(refused)('%s', (cron, says) => {
    const wrong = cronProblem(cron);
    expect(wrong === undefined ? '' : `${wrong.problem}; ${wrong.hint}`).toMatch(says);
    expect(() => cronFireTimes(cron, 'UTC')).toThrow(
      expect.objectContaining({ code: 'cron_invalid' }),
    );
  });

  it('is nothing that has a meaning', () => {
    expect(vectors.flatMap(({ cron }) => cronProblem(cron) ?? [])).toEqual([]);
  });
});

/** Around a change of the clock in each: forward or back, by an hour, half of one, or a day. */
const CHANGES = [
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
  ['Europe/Paris', '2026-03-29'],
  ['Europe/Paris', '2026-10-25'],
  ['America/Sao_Paulo', '2018-11-04'],
  ['America/Sao_Paulo', '2018-02-18'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['America/St_Johns', '2010-11-07'],
  ['Africa/Casablanca', '2026-02-15'],
  ['Antarctica/Troll', '2026-03-29'],
  ['Pacific/Apia', '2011-12-30'],
  ['Asia/Kathmandu', '2026-06-01'],
] as const;

const minutes = fc.oneof(
  fc.uniqueArray(fc.nat(59), { minLength: 1, maxLength: 4 }),
  fc.constant(Array.from({ length: 60 }, (_, minute) => minute)),
);
/** Times of the day as a list; or an interval, by `*` or a step, which follows elapsed time. */
const hours = fc.oneof(
  fc
    .uniqueArray(fc.oneof(fc.nat(3), fc.nat(23)), { minLength: 1, maxLength: 8 })
    .map((list) => ({ text: list.join(), hours: new Set(list), followsElapsedTime: false })),
  fc.constant({ text: '*', hours: null, followsElapsedTime: true }),
  fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 8 })).map(([first, step]) => ({
    text: first === 0 ? `*/${step}` : `${first}-23/${step}`,
    hours: new Set(Array.from({ length: 24 }, (_, at) => first + at * step)),
    followsElapsedTime: true,
  })),
);

/** Of the five days that are looked at: before, at and after the change. */
const days = fc.option(fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 4 }));

describe('around every change of a clock', () => {
  it('the fires are those of a search minute by minute, and so is their count', () => {
    fc.assert(
      fc.property(fc.constantFrom(...CHANGES), minutes, hours, days, (change, mins, hrs, dys) => {
        const [timezone, date] = change;
        const fromMs = Date.parse(date) - 2 * DAY;
        const toMs = fromMs + 4 * DAY;
        const dates = dys?.map((day) => new Date(fromMs + day * DAY).getUTCDate()) ?? null;
        const named = {
          minutes: new Set(mins),
          hours: hrs.hours,
          followsElapsedTime: hrs.followsElapsedTime,
          days: dates === null ? null : new Set(dates),
        };
        const expected = naiveFires(named, timezone, fromMs, toMs);
        const cron = `${mins.join()} ${hrs.text} ${dates?.join() ?? '*'} * *`;
        const times = cronFireTimes(cron, timezone);
        const found: number[] = [];
        for (let at = times.next(fromMs); at! <= toMs; at = times.next(at!)) found.push(at!);
        expect(found.map(utc)).toEqual(expected.map(utc));
        expect(times.count(fromMs, toMs)).toBe(expected.length);
        for (const at of expected.slice(0, 30)) {
          expect(times.count(fromMs, at) + times.count(at, toMs)).toBe(expected.length);
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

const field = (min: number, max: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant('*'),
    fc.integer({ min, max }).map(String),
    fc
      .tuple(fc.integer({ min, max }), fc.integer({ min, max }), fc.integer({ min: 1, max }))
      .map(([a, b, step]) => `${Math.min(a, b)}-${Math.max(a, b)}/${step}`),
  );
const expression = fc
  .tuple(field(0, 59), field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
  .map((fields) => fields.join(' '));

describe('any expression', () => {
  it('fires at strictly growing whole seconds, and says the same from any instant between', () => {
    const zone = fc.constantFrom('UTC', 'Europe/Paris', 'America/Sao_Paulo', 'Australia/Lord_Howe');
    const from = fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2060, 0, 1) });
    fc.assert(
      fc.property(
        expression,
        zone,
        from,
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (cron, tz, at, share) => {
          if (cronProblem(cron) !== undefined) return;
          const times = cronFireTimes(cron, tz);
          const fires = firesAfter(cron, tz, at, 20);
          let before = at;
          for (const fire of fires) {
            expect(fire).toBeGreaterThan(before);
            expect(fire % 1000).toBe(0);
            const between = before + Math.floor((fire - before) * share);
            expect(times.next(between)).toBe(fire);
            before = fire;
          }
          expect(times.count(at, before)).toBe(fires.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('time and bounds', () => {
  const timed = (run: () => void): number => {
    const start = performance.now();
    run();
    return performance.now() - start;
  };

  it('years apart, never, or every second: an answer comes at once', () => {
    const from = Date.UTC(2026, 0, 1);
    expect(timed(() => cronProblem('0 0 30,31 2 *'))).toBeLessThan(200);
    expect(timed(() => firesAfter('0 0 29 2 +MON', 'Europe/Paris', from, 20))).toBeLessThan(500);
    const everySecond = cronFireTimes('* * * * * *', 'Europe/Paris');
    let count = 0;
    const spent = timed(() => {
      count = everySecond.count(Date.UTC(2006, 0, 1), Date.UTC(2026, 0, 1));
    });
    expect(count).toBe((Date.UTC(2026, 0, 1) - Date.UTC(2006, 0, 1)) / 1000);
    expect(spent).toBeLessThan(2000);
    expect(timed(() => firesAfter('* * * * * *', 'Europe/Paris', from, 100_000))).toBeLessThan(
      3000,
    );
  });

  it('ends with the year 9999', () => {
    const times = cronFireTimes('0 0 1 1 *', 'Europe/Paris');
    expect(utc(times.next(Date.UTC(9998, 5, 1))!)).toBe('9998-12-31T23:00:00Z');
    expect(times.next(Date.UTC(9999, 5, 1))).toBeUndefined();
    expect(cronFireTimes('* * * * *', 'UTC').next(Date.UTC(9999, 11, 31, 23, 59))).toBeUndefined();
  });
});
