/** Partitions: which one a run covers, what they are called, and back from a name. */
import { describe, expect, it, test } from 'vitest';
import type { PartitionDefinition } from '@runnel/shared/definitions/batch-job.ts';
import {
  covers,
  partitionNamed,
  partitionsAt,
  partitionsBetween,
} from '@runnel/shared/schedule/partitions.ts';

const at = (text: string): number => Date.parse(text);
const utc = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');
const HOUR = 3_600_000;

const period = (every: string, timezone = 'Europe/Paris'): PartitionDefinition => ({
  kind: 'period',
  every,
  timezone,
});
const lines = (every: string | null): PartitionDefinition => ({
  kind: 'keys',
  keys: ['line-1', 'line-2'],
  every,
  timezone: 'Europe/Paris',
});

describe('a run covers the newest whole period that ended at or before it', () => {
  test.each([
    // Fires at 00:15 local for the day before; at midnight for the day that ends there.
    ['1d', '2026-11-22T23:15:00Z', '2026-11-22', '2026-11-21T23:00:00Z', '2026-11-22T23:00:00Z'],
    ['1d', '2026-11-22T23:00:00Z', '2026-11-22', '2026-11-21T23:00:00Z', '2026-11-22T23:00:00Z'],
    ['1d', '2026-11-22T22:59:59Z', '2026-11-21', '2026-11-20T23:00:00Z', '2026-11-21T23:00:00Z'],
    // The days of 23 and 25 hours.
    ['1d', '2026-03-29T22:00:00Z', '2026-03-29', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
    ['1d', '2026-10-25T23:00:00Z', '2026-10-25', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
    ['1w', '2027-01-05T00:00:00Z', '2026-W53', '2026-12-27T23:00:00Z', '2027-01-03T23:00:00Z'],
    ['1mo', '2026-04-01T12:00:00Z', '2026-03', '2026-02-28T23:00:00Z', '2026-03-31T22:00:00Z'],
    ['1h', '2026-10-25T01:30:00Z', '2026-10-25T00', '2026-10-25T00:00:00Z', '2026-10-25T01:00:00Z'],
    [
      '15m',
      '2026-11-22T10:20:00Z',
      '2026-11-22T10:00:00Z',
      '2026-11-22T10:00:00Z',
      '2026-11-22T10:15:00Z',
    ],
  ])('%s at %s is %s', (every, now, id, start, end) => {
    const [found, ...more] = partitionsAt(period(every), at(now));
    expect(more).toEqual([]);
    expect(found).toMatchObject({ id, key: null, timezone: 'Europe/Paris' });
    expect([utc(found!.start), utc(found!.end)]).toEqual([start, end]);
  });

  it('names the local date of its start', () => {
    const [hour] = partitionsAt(period('1h', 'Asia/Tokyo'), at('2026-11-22T16:00:00Z'));
    expect(hour).toMatchObject({ id: '2026-11-22T15', date: '2026-11-23' });
  });

  it('for each key, and without periods the instant', () => {
    const now = at('2026-11-22T23:15:00Z');
    expect(partitionsAt(lines('1d'), now).map(({ id, key }) => [id, key])).toEqual([
      ['line-1/2026-11-22', 'line-1'],
      ['line-2/2026-11-22', 'line-2'],
    ]);
    expect(partitionsAt(lines(null), now)[0]).toMatchObject({ id: 'line-1', start: now, end: now });
    expect(partitionsAt(null, now)).toMatchObject([
      { id: '2026-11-22T23:15:00.000Z', start: now, end: now, timezone: 'UTC' },
    ]);
  });

  it('a later run for a key without periods is other work; for a period it is the same', () => {
    const [first] = partitionsAt(lines(null), 1000);
    const [second] = partitionsAt(lines(null), 2000);
    expect([covers(first!, second!), covers(first!, first!)]).toEqual([false, true]);
    const [early] = partitionsAt(period('1d'), at('2026-11-22T10:00:00Z'));
    const [late] = partitionsAt(period('1d'), at('2026-11-22T11:00:00Z'));
    expect(covers(early!, late!)).toBe(true);
  });
});

describe('the partitions of a range', () => {
  const now = at('2027-06-01T00:00:00Z');

  it('begin in it, and days of 23 and 25 hours follow each other without a gap', () => {
    const days = partitionsBetween(
      period('1d'),
      at('2025-12-31T23:00:00Z'),
      at('2026-12-31T23:00:00Z'),
      now,
    );
    expect(days).toHaveLength(365);
    expect([days[0]!.id, days.at(-1)!.id]).toEqual(['2026-01-01', '2026-12-31']);
    const lengths = days.map(({ start, end }) => (end - start) / HOUR);
    expect(lengths.filter((each) => each !== 24)).toEqual([23, 25]);
    days.slice(1).forEach((day, index) => expect(day.start).toBe(days[index]!.end));
    expect(days.map(({ id }) => id)).toEqual(days.map(({ id }) => id).sort());
  });

  it('leave out one that began before, and one that has not ended', () => {
    const [from, to] = [at('2026-11-20T12:00:00Z'), at('2026-11-25T12:00:00Z')];
    const ids = partitionsBetween(period('1d'), from, to, at('2026-11-23T22:59:00Z'));
    expect(ids.map(({ id }) => id)).toEqual(['2026-11-21', '2026-11-22']);
  });

  it('come for each key; a key without periods comes once', () => {
    const [from, to] = [at('2026-10-01T00:00:00Z'), at('2026-12-02T00:00:00Z')];
    expect(partitionsBetween(lines('1mo'), from, to, now).map(({ id }) => id)).toEqual([
      'line-1/2026-11',
      'line-2/2026-11',
      'line-1/2026-12',
      'line-2/2026-12',
    ]);
    expect(partitionsBetween(lines(null), from, to, now).map(({ id }) => id)).toEqual([
      'line-1',
      'line-2',
    ]);
    expect(partitionsBetween(lines(null), to, from, now)).toEqual([]);
  });

  it('are none of a job without partitions, and never too many', () => {
    expect(() => partitionsBetween(null, 0, 1, now)).toThrow(
      expect.objectContaining({ code: 'partitions_none' }),
    );
    expect(() => partitionsBetween(period('1m'), at('2026-01-01T00:00:00Z'), now, now)).toThrow(
      expect.objectContaining({ code: 'partitions_too_many' }),
    );
  });

  it('have names that are unique, sorted, and lead back, whatever the size', () => {
    const from = at('2018-01-15T00:00:00Z');
    for (const every of ['6h', '18h', '90m', '1d', '3d', '1w', '2w', '1mo', '6mo']) {
      const definition = period(every, 'America/Sao_Paulo');
      const to = every === '90m' ? from + 60 * 24 * HOUR : at('2019-01-15T00:00:00Z');
      const all = partitionsBetween(definition, from, to, now);
      const ids = all.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toEqual([...ids].sort());
      for (const each of all) {
        expect(partitionNamed(definition, each.id, now)).toEqual(each);
        expect(each.id).toMatch(/^[A-Za-z0-9._:+/-]{1,200}$/);
      }
    }
  });
});

describe('a name', () => {
  const now = at('2026-11-22T23:15:00Z');

  it('leads to its partition, with its key', () => {
    const named = partitionNamed(lines('1d'), 'line-2/2026-03-29', now);
    expect(named).toMatchObject({ id: 'line-2/2026-03-29', key: 'line-2', date: '2026-03-29' });
    expect(named.end - named.start).toBe(23 * HOUR);
    expect(partitionNamed(lines(null), 'line-1', now)).toMatchObject({ start: now, end: now });
    expect(partitionNamed(null, '2026-11-22T00:00:00.000Z', now).start).toBe(at('2026-11-22'));
    expect(partitionNamed(period('1d', 'America/Sao_Paulo'), '2018-11-04', now)).toMatchObject({
      start: at('2018-11-04T03:00:00Z'),
    });
  });

  test.each([
    [period('1d'), '2026-11', /for example 2026-11-22/],
    [period('1d'), '2026-13-01', /for example 2026-11-22/],
    [period('1d'), '2026-02-30', /no period begins there|for example/],
    [period('2d'), '2026-11-22', /no period begins there; the one around it is 2026-11-21/],
    [period('1w'), '2025-W53', /for example 2026-W47/],
    [period('1w'), '2026-47', /for example 2026-W47/],
    [period('1h'), '2026-11-22T24', /for example|no period/],
    [period('15m'), '2026-11-22T10:05:00Z', /around it is 2026-11-22T10:00:00Z/],
    [lines('1d'), 'line-1', /for example line-1\/2026-11-22/],
    [lines('1d'), 'line-9/2026-11-22', /keys: line-1, line-2/],
    [lines(null), 'line-1/2026-11-22', /for example line-1$/],
    [null, '2026-11-22', /no partitions/],
  ])('%o has no %s, and it says what fits', (definition, id, hint) => {
    let thrown: unknown;
    try {
      partitionNamed(definition, id, now);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'partition_unknown', hint: expect.stringMatching(hint) });
  });
});
