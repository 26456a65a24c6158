/** The external merge sort of records by event time. */
import { readdirSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { Slices } from '@runnel/agent/batch/data/slices.ts';
import { sortRecords, type TimedRecord } from '@runnel/agent/batch/data/sort-records.ts';
import { tempDir } from '../../support/temp-dir.ts';

async function sorted(records: readonly TimedRecord[], recordsMax: number): Promise<TimedRecord[]> {
  const dir = tempDir('sort');
  const slices = new Slices({ clock: systemClock, signal: new AbortController().signal });
  const chunks = (async function* () {
    for (let at = 0; at < records.length; at += 3) yield records.slice(at, at + 3);
  })();
  const result: TimedRecord[] = [];
  for await (const chunk of sortRecords(chunks, { dir, slices, recordsMax })) result.push(...chunk);
  expect(readdirSync(dir).length).toBeLessThanOrEqual(8);
  return result;
}

describe('sorting records', () => {
  it('is stable and complete, however few fit into memory', async () => {
    const times = fc.array(fc.integer({ min: -5, max: 5 }), { maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(times, fc.integer({ min: 1, max: 7 }), async (list, recordsMax) => {
        const records = list.map((timeMs, n) => ({ timeMs, topic: 't\t1', payload: { n } }));
        const expected = records.toSorted((left, right) => left.timeMs - right.timeMs);
        expect(await sorted(records, recordsMax)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});
