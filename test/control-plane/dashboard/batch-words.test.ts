/** What the page reads of a batch job, says of its schedule, and takes from a person. */
import { describe, expect, test } from 'vitest';
import { readBatchDocument } from '@runnel/control-plane/dashboard/runs/batch-document.ts';
import { dayAt, dayRange } from '@runnel/control-plane/dashboard/runs/date-range.ts';
import { readParameters } from '@runnel/control-plane/dashboard/runs/parameter-input.ts';
import {
  cronWords,
  scheduleWords,
  zoneOf,
} from '@runnel/control-plane/dashboard/runs/schedule-words.ts';

describe('a schedule in words', () => {
  test.each([
    ['15 0 * * *', 'every day at 00:15'],
    ['0 6,18 * * *', 'every day at 06:00, 18:00'],
    ['30 7 * * 1-5', 'Monday to Friday at 07:30'],
    ['0 9 * * mon,thu', 'every Monday, Thursday at 09:00'],
    ['0 9 * * 7', 'every Sunday at 09:00'],
    ['0 3 1 * *', 'on day 1 of every month at 03:00'],
    ['*/5 * * * *', 'every 5 minutes'],
    ['5 * * * *', 'every hour at :05'],
    ['* * * * *', 'every minute'],
  ])('%s is %s', (cron, words) => {
    expect(cronWords(cron)).toBe(words);
  });

  test.each(['*/7 * * * *', '0 0 L * *', '0 */2 * * *', '0 0 1 1 *', '0 0 1 * 1', '0 0 0 * * *'])(
    '%s is not guessed at',
    (cron) => {
      expect(cronWords(cron)).toBe('by cron');
    },
  );

  test('every trigger is said, and a zone only where a clock is meant', () => {
    const schedule = { every: '15m', datasets: ['a', 'b'], onStartup: true, diskAbove: '80%' };
    expect(scheduleWords(schedule).map(({ text }) => text)).toEqual([
      'every 15m',
      'when the datasets a, b are all updated',
      'at start-up',
      'when the disk is fuller than 80%',
    ]);
    expect(zoneOf(schedule)).toBe('UTC');
    expect(zoneOf({ dataset: 'a' })).toBeNull();
    expect(scheduleWords(null)).toEqual([]);
  });
});

describe('a document', () => {
  test('one need may stand for a list, and the zone of the schedule holds for partitions', () => {
    const read = readBatchDocument({
      schedule: { cron: '0 0 * * *', timezone: 'Europe/Paris' },
      partition: { every: '1d' },
      parameters: { n: { type: 'number', default: 1 } },
      tasks: [{ id: 'a' }, { id: 'b', needs: 'a' }],
    });
    expect(read.partition).toEqual({ every: '1d', keys: [], timezone: 'Europe/Paris' });
    expect(read.tasks).toEqual([
      { id: 'a', needs: [] },
      { id: 'b', needs: ['a'] },
    ]);
    expect(read.parameters).toMatchObject([{ name: 'n', type: 'number', default: 1 }]);
  });

  test('what is no document reads as empty', () => {
    expect(readBatchDocument(undefined)).toMatchObject({ schedule: null, tasks: [] });
  });
});

describe('parameters that are typed in', () => {
  const declare = (type: string, values: readonly unknown[] | null = null) => [
    { name: 'p', type, default: undefined, description: null, values, schema: undefined },
  ];
  const read = (type: string, text: string) => readParameters(declare(type), { p: text });

  test.each([
    ['number', '0.5', 0.5],
    ['string', ' a ', ' a '],
    ['boolean', 'true', true],
    ['duration', '5m', '5m'],
    ['list', '[1]', [1]],
    ['map', '{"a":1}', { a: 1 }],
    ['schema', '"x"', 'x'],
  ])('a %s', (type, text, value) => {
    expect(read(type, text)).toEqual({ values: { p: value }, problems: {} });
  });

  test.each([
    ['number', 'much'],
    ['boolean', 'perhaps'],
    ['duration', '5'],
    ['list', '{}'],
    ['map', '[]'],
    ['schema', 'x'],
  ])('what is no %s is told, not sent', (type, text) => {
    expect(read(type, text)).toMatchObject({ values: {}, problems: { p: expect.any(String) } });
  });

  test('an empty field overrides nothing', () => {
    expect(read('number', ' ')).toEqual({ values: {}, problems: {} });
  });
});

describe('a range of days', () => {
  test('holds both days, on the clock of the zone, also where it changes', () => {
    expect(dayRange('2026-03-28', '2026-03-29', 'Europe/Paris')).toEqual({
      from: Date.parse('2026-03-28T00:00+01:00'),
      to: Date.parse('2026-03-30T00:00+02:00'),
    });
  });

  test('is none when its end is before its start or a day is missing', () => {
    expect(dayRange('2026-03-02', '2026-03-01', 'UTC')).toBeNull();
    expect(dayRange('', '2026-03-01', 'UTC')).toBeNull();
  });

  test('begins at days of the zone', () => {
    expect(dayAt(Date.parse('2026-11-22T23:30Z'), 'Europe/Paris', -1)).toBe('2026-11-22');
  });
});
