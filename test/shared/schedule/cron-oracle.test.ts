/**
 * Twenty years of fire times of fifty expressions, equal to those of an independent library. Only
 * the hours in which a zone's clock changes are left out: there readers of cron differ, and our
 * rule has tests of its own (cron.test.ts).
 */
import { Cron } from 'croner';
import { describe, expect, test } from 'vitest';
import { cronFireTimes } from '@runnel/shared/schedule/cron.ts';

const FROM = Date.UTC(2006, 0, 1);
const TO = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

const ZONES = [
  'UTC',
  'America/New_York',
  'America/Sao_Paulo',
  'Australia/Lord_Howe',
  'Europe/Paris',
  'Asia/Kolkata',
];

const EXPRESSIONS = [
  '0 0 * * *',
  '15 0 * * *',
  '30 2 * * *',
  '59 23 * * *',
  '0 12 * * 1-5',
  '0 9,17 * * MON-FRI',
  '*/30 8-10 * * 1',
  '0 */6 * 3,10 *',
  '0 */8 1-15 * *',
  '0 3-21/6 * 4,11 *',
  '20 4 1 * *',
  '0 0 31 * *',
  '0 0 30 * *',
  '0 0 29 * *',
  '0 0 29 2 *',
  '15 3 29 2 *',
  '0 0 1 1 *',
  '0 0 1 */3 *',
  '0 6 1,15 * *',
  '0 0 L * *',
  '0 22 L 2,4 *',
  '0 8 15W * *',
  '0 8 1W * *',
  '30 8 31W * *',
  '0 18 LW * *',
  '0 7 * * MON#1',
  '0 7 * * 5#5',
  '45 7 * * TUE#3',
  '0 7 * * FRI#L',
  '0 7 * * 0#L',
  '0 12 1 * MON',
  '0 12 13 * FRI',
  '0 12 1-7 * +MON',
  '0 12 13 * +FRI',
  '0 12 L * 6',
  '5 4 * * SUN',
  '5 4 * * 7',
  '0 0 * JAN,JUL *',
  '0 0 10-20/3 5-9 *',
  '*/7 5 2 * *',
  '13-43/10 6 * 3,10 6',
  '30 * 1 * *',
  '0 * 1-14 3,11 0',
  '*/15 * 25 10 *',
  '10 20 3 1 * *',
  '*/15 30 1 1 1 *',
  '0 0 0 1 6 *',
  '@yearly',
  '@monthly',
  '@weekly',
];

const changes = new Map(ZONES.map((zone) => [zone, changesOf(zone)]));

/** When the zone's clock changes, found hour by hour. */
function changesOf(timezone: string): number[] {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    timeZoneName: 'longOffset',
  });
  const zone = (at: number): string => format.format(at).slice(-9);
  const changes: number[] = [];
  for (let day = FROM; day < TO; day += 24 * HOUR) {
    if (zone(day) === zone(day + 24 * HOUR)) continue;
    for (let at = day; at < day + 24 * HOUR; at += HOUR / 2) {
      if (zone(at) !== zone(at + HOUR / 2)) changes.push(at + HOUR / 2);
    }
  }
  return changes;
}

/** In the hour before or after a change nothing is compared. */
function compared(fires: readonly number[], changes: readonly number[]): string[] {
  const left = new Set<number>();
  for (const change of changes) {
    for (const at of fires) if (at >= change - HOUR && at <= change + HOUR) left.add(at);
  }
  return fires.filter((at) => !left.has(at)).map((at) => new Date(at).toISOString());
}

function ours(expression: string, timezone: string): number[] {
  const times = cronFireTimes(expression, timezone);
  const fires: number[] = [];
  for (let at = times.next(FROM - 1); at !== undefined && at < TO; at = times.next(at)) {
    fires.push(at);
  }
  return fires;
}

function theirs(expression: string, timezone: string): number[] {
  const job = new Cron(expression, { timezone, paused: true });
  const fires: number[] = [];
  let at = job.nextRun(new Date(FROM - 1000));
  while (at !== null && at.getTime() < TO) {
    fires.push(at.getTime());
    at = job.nextRun(at);
  }
  return fires;
}

describe('twenty years', () => {
  test('of fifty expressions', () => {
    expect(new Set(EXPRESSIONS).size).toBe(50);
  });

  const zoned = EXPRESSIONS.map((cron, index) => [cron, ZONES[index % ZONES.length]!] as const);
  const again = EXPRESSIONS.filter((_, index) => index % 7 === 2).flatMap((cron) =>
    ZONES.slice(1, 4).map((zone) => [cron, zone] as const),
  );
  test.each([...zoned, ...again])(
    '%s in %s',
    (cron, zone) => {
      const found = compared(ours(cron, zone), changes.get(zone)!);
      expect(found).toEqual(compared(theirs(cron, zone), changes.get(zone)!));
      expect(found.length).toBeGreaterThan(3);
    },
    60_000,
  );
});
