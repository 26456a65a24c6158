/** Paging through results, and what `latest` keeps. */
import type { Kysely } from 'kysely';
import { expect } from 'vitest';
import { pageResults, type ResultPage } from '@runnel/control-plane/store/results.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import type { WithStore } from './store-contract.ts';
import { insertResults } from './store-rows.ts';

const page = (db: Kysely<Schema>, options: Partial<ResultPage> = {}) =>
  pageResults(db, { kind: 'result', dataset: 'rms', after: 0, limit: 100, ...options }, () =>
    Promise.resolve(),
  );

/** Every page from the beginning, `limit` rows each, as the seqs that came. */
async function walk(db: Kysely<Schema>, options: Partial<ResultPage>): Promise<number[]> {
  const seqs: number[] = [];
  let after = 0;
  for (;;) {
    const slice = await page(db, { ...options, after });
    if (slice.items.length === 0) return seqs;
    seqs.push(...slice.items.map((item) => item.seq));
    after = slice.next;
  }
}

const window = (seq: number, start: number, revision: number, more: object = {}) => ({
  seq,
  window_start: start,
  window_end: start + 10,
  revision,
  ...more,
});

export function resultsContract(withStore: WithStore): void {
  pagingContract(withStore);
  latestContract(withStore);
  withStore('alerts and results do not mix', async (db) => {
    await insertResults(db, [{ seq: 1 }, { seq: 2, kind: 'alert', lane: 'alerts' }]);
    const alerts = await pageResults(db, { kind: 'alert', after: 0, limit: 10 }, () =>
      Promise.resolve(),
    );
    expect(alerts.items.map((item) => item.seq)).toEqual([2]);
    expect(await walk(db, {})).toEqual([1]);
  });

  withStore('keys and values come back as the JSON they were', async (db) => {
    const value = { text: 'é"<b>', list: [1, null, { deep: true }], number: 1e-7 };
    await insertResults(db, [{ seq: 1, key: ['p1', 2], value }]);
    expect((await page(db)).items[0]).toMatchObject({ key: ['p1', 2], value });
  });
}

function pagingContract(withStore: WithStore): void {
  withStore('a walk gives every row once, whatever the page size', async (db) => {
    const seqs = Array.from({ length: 25 }, (_, index) => index + 1);
    await insertResults(
      db,
      seqs.map((seq) => ({ seq, dataset: seq % 5 === 0 ? 'other' : 'rms' })),
    );
    const own = seqs.filter((seq) => seq % 5 !== 0);
    for (const limit of [1, 3, 7, 100]) expect(await walk(db, { limit })).toEqual(own);
  });

  withStore('an empty page keeps a cursor from which new rows are found', async (db) => {
    const empty = await page(db);
    expect(empty).toEqual({ items: [], next: 0 });
    await insertResults(db, [{ seq: 1 }, { seq: 2, dataset: 'other' }]);
    const first = await page(db, { after: empty.next });
    expect(first.items).toHaveLength(1);
    const nothing = await page(db, { after: first.next });
    expect(nothing.items).toEqual([]);
    await insertResults(db, [{ seq: 3 }]);
    expect((await page(db, { after: nothing.next })).items.map((item) => item.seq)).toEqual([3]);
  });

  withStore('a cursor of a newer store comes back to what this one has', async (db) => {
    await insertResults(db, [{ seq: 1 }]);
    expect(await page(db, { after: 999 })).toEqual({ items: [], next: 1 });
  });

  withStore('filters by agent, job and event time', async (db) => {
    await insertResults(db, [
      { seq: 1, agent: 'a1', time: 100 },
      { seq: 2, agent: 'a2', time: 200, job: 'oven' },
      { seq: 3, agent: 'a1', time: 300 },
    ]);
    expect(await walk(db, { agent: 'a1', limit: 1 })).toEqual([1, 3]);
    expect(await walk(db, { job: 'oven' })).toEqual([2]);
    expect(await walk(db, { since: 200 })).toEqual([2, 3]);
    expect(await walk(db, { since: 301 })).toEqual([]);
  });

  withStore('the newest rows come in insertion order with a cursor to go on from', async (db) => {
    await insertResults(db, [{ seq: 1 }, { seq: 2 }, { seq: 3 }]);
    const newest = await page(db, { newest: true, limit: 2 });
    expect(newest.items.map((item) => item.seq)).toEqual([2, 3]);
    expect((await page(db, { after: newest.next })).items).toEqual([]);
  });
}

function latestContract(withStore: WithStore): void {
  withStore('latest keeps the highest revision of each window under any paging', async (db) => {
    await insertResults(db, [
      window(1, 0, 1, { key: 'p1' }),
      window(2, 0, 1, { key: 'p2' }),
      window(3, 0, 2, { key: 'p1' }),
      window(4, 10, 1, { key: 'p1' }),
      window(5, 0, 3, { key: 'p1' }),
      window(6, 0, 1, { key: 'p1', agent: 'a2' }),
    ]);
    for (const limit of [1, 2, 100]) {
      expect(await walk(db, { latest: true, limit })).toEqual([2, 4, 5, 6]);
    }
  });

  withStore('latest says nothing of a window that was retracted', async (db) => {
    // Two sessions merge: the absorbed one is retracted, the merged one has its own bounds.
    await insertResults(db, [
      window(1, 0, 1, { key: 'p1' }),
      window(2, 20, 1, { key: 'p1' }),
      window(3, 0, 2, { key: 'p1', value: null }),
      window(4, 20, 2, { key: 'p1', value: null }),
      { seq: 5, window_start: 0, window_end: 30, key: 'p1' },
    ]);
    expect(await walk(db, { latest: true })).toEqual([5]);
    expect(await walk(db, {})).toEqual([1, 2, 3, 4, 5]);
  });

  withStore('latest keeps every row that has no window, whatever its value', async (db) => {
    await insertResults(db, [{ seq: 1 }, { seq: 2, value: null }, { seq: 3 }]);
    expect(await walk(db, { latest: true })).toEqual([1, 2, 3]);
  });

  withStore('latest takes the later row when two epochs give one revision', async (db) => {
    await insertResults(db, [window(1, 0, 1), window(1, 0, 1, { epoch: 'e2' })]);
    const slice = await page(db, { latest: true });
    expect(slice.items.map((item) => item.epoch)).toEqual(['e2']);
  });

  withStore('latest finds a higher revision that was stored before a lower one', async (db) => {
    await insertResults(db, [window(9, 0, 2), window(1, 0, 1, { epoch: 'e2' })]);
    expect(await walk(db, { latest: true, limit: 1 })).toEqual([9]);
  });
}
