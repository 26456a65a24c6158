/** Input lines of dry-run: what is not one thing clearly is refused. */
import { expect, test } from 'vitest';
import { dryRunEntry } from '@runnel/shared/engine/dry-run.ts';

test.each([
  [{ time: 1, payload: {}, watermark: 5 }, 'payload and watermark'],
  [{ time: 1, payload: null, now: 5 }, 'payload and now'],
  [{ watermark: 1, now: 5 }, 'watermark and now'],
  [{ time: 1, payload: 1, watermark: 1, now: 5 }, 'payload and watermark and now'],
])('the line %j is refused: it has %s', (line, fields) => {
  expect(() => dryRunEntry(line)).toThrow(`has ${fields}, of which it can have one`);
});

test('a line of one of them is taken', () => {
  expect(dryRunEntry({ time: 1, payload: { now: 2, watermark: 3 } }).kind).toBe('record');
  expect(dryRunEntry({ watermark: 1 })).toEqual({ kind: 'watermark', timeMs: 1 });
  expect(dryRunEntry({ now: 1, time: 1 })).toEqual({ kind: 'now', timeMs: 1 });
});
