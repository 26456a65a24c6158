/** What every store must do with rows that are too old or too many. */
import type { Kysely } from 'kysely';
import { expect } from 'vitest';
import { appendAudit } from '@runnel/control-plane/store/audit.ts';
import { DatasetStats } from '@runnel/control-plane/store/dataset-stats.ts';
import { appendEvent, pageEvents } from '@runnel/control-plane/store/events.ts';
import { pageResults } from '@runnel/control-plane/store/results.ts';
import { type Keep, Retention } from '@runnel/control-plane/store/retention.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import { type Clock, systemClock } from '@runnel/shared/clock.ts';
import type { EpochMs } from '@runnel/shared/ids.ts';
import { silentLog } from '../support/nats.ts';
import { waitFor } from '../support/wait-for.ts';
import type { WithStore } from './store-contract.ts';
import { insertResults, insertRuns } from './store-rows.ts';

const noPause = (): Promise<void> => Promise.resolve();

const EVERYTHING: Keep = {
  resultsMs: 1e9,
  resultsRows: 1e9,
  eventsMs: 1e9,
  eventsRows: 1e9,
  auditRows: 1e9,
  runsMs: 1e9,
  runsRows: 1e9,
  runTasksRows: 1e9,
  slaIntervalsMs: 1e12,
  slaIntervalsRows: 1e9,
  alertsMs: 1e9,
  alertsRows: 1e9,
  notificationsMs: 1e9,
  notificationsRows: 1e9,
};

/** Time stands still at `now`, so that a test says what is old. */
function retentionAt(
  db: Kysely<Schema>,
  now: number,
  keep: Partial<Keep>,
  time: Partial<Clock> = {},
) {
  const clock = { ...systemClock, now: () => now as EpochMs, ...time };
  const datasets = new DatasetStats(db, noPause);
  const parts = { db, clock, log: silentLog, datasets, keep: { ...EVERYTHING, ...keep } };
  return { retention: new Retention(parts), datasets };
}

async function seqsOf(
  db: Kysely<Schema>,
  page: { after?: number; latest?: boolean } = {},
): Promise<{ seqs: number[]; next: number }> {
  const request = { kind: 'result', dataset: 'rms', after: 0, limit: 100, ...page } as const;
  const { items, next } = await pageResults(db, request, noPause);
  return { seqs: items.map(({ seq }) => seq), next };
}

/** Rows of one second each: row n was stored at n seconds. */
const rowsUpTo = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    seq: index + 1,
    received_at: (index + 1) * 1000,
  }));

export function retentionContract(withStore: WithStore): void {
  resultsExpire(withStore);
  countsFollow(withStore);
  othersExpire(withStore);
}

function resultsExpire(withStore: WithStore): void {
  withStore('rows that are too old go, and a reader goes on behind them', async (db) => {
    await insertResults(db, rowsUpTo(10));
    const { next } = await pageResults(
      db,
      { kind: 'result', dataset: 'rms', after: 0, limit: 2 },
      noPause,
    );
    const { retention } = retentionAt(db, 12_000, { resultsMs: 5000 });
    await retention.sweep();
    expect(retention.counters.deleted.results).toEqual({ age: 6, rows: 0, superseded: 0 });
    expect((await seqsOf(db, { after: next })).seqs).toEqual([7, 8, 9, 10]);
    expect((await seqsOf(db)).seqs).toEqual([7, 8, 9, 10]);
  });

  withStore('the oldest rows beyond the number go, more than one batch of them', async (db) => {
    await insertResults(db, rowsUpTo(1203));
    const { retention } = retentionAt(db, 0, { resultsRows: 3 });
    await retention.sweep();
    expect(retention.counters.deleted.results).toEqual({ age: 0, rows: 1200, superseded: 0 });
    expect((await seqsOf(db)).seqs).toEqual([1201, 1202, 1203]);
  });

  withStore('a cursor stays good when nothing at all is left', async (db) => {
    await insertResults(db, rowsUpTo(3));
    const { next } = await seqsOf(db);
    await retentionAt(db, 1_000_000, { resultsMs: 1000 }).retention.sweep();
    const empty = await seqsOf(db, { after: next });
    expect(empty.seqs).toEqual([]);
    await insertResults(db, [{ seq: 4 }]);
    expect((await seqsOf(db, { after: empty.next })).seqs).toEqual([4]);
    expect((await seqsOf(db, { after: next })).seqs).toEqual([4]);
  });

  withStore('a window that lost its highest revision does not show a lower one', async (db) => {
    const window = { window_start: 0, window_end: 10, key: 'p1' };
    await insertResults(db, [
      { seq: 1, received_at: 1000, ...window, revision: 2, value: null },
      { seq: 2, received_at: 9000, ...window, epoch: 'e2', revision: 1 },
      { seq: 3, received_at: 9000, ...window, key: 'p2' },
      { seq: 4, received_at: 9000 },
    ]);
    expect((await seqsOf(db, { latest: true })).seqs).toEqual([3, 4]);
    const { retention } = retentionAt(db, 10_000, { resultsMs: 5000 });
    await retention.sweep();
    expect(retention.counters.deleted.results).toEqual({ age: 1, rows: 0, superseded: 1 });
    expect((await seqsOf(db, { latest: true })).seqs).toEqual([3, 4]);
  });
}

function countsFollow(withStore: WithStore): void {
  withStore('marks stay, so that a block of deleted rows is still a duplicate', async (db) => {
    const mark = { agent: 'a1', epoch: 'e1', lane: 'results', mark: 3, lost: 0, updated_at: 1 };
    await db.insertInto('marks').values(mark).execute();
    await insertResults(db, rowsUpTo(3));
    await retentionAt(db, 1_000_000, { resultsMs: 1000 }).retention.sweep();
    expect(await db.selectFrom('marks').selectAll().execute()).toEqual([mark]);
  });

  withStore('datasets are counted without the rows that went', async (db) => {
    await insertResults(db, [
      ...rowsUpTo(4),
      { seq: 5, received_at: 1000, dataset: 'gone' },
      { seq: 6, received_at: 9000, kind: 'alert' },
      { seq: 7, received_at: 9000 },
    ]);
    const { retention, datasets } = retentionAt(db, 10_000, { resultsMs: 7500 });
    expect((await datasets.list()).map((one) => [one.dataset, one.rows])).toEqual([
      ['gone', 1],
      ['rms', 5],
    ]);
    const [listed] = await Promise.all([datasets.list(), retention.sweep(), datasets.list()]);
    expect(listed).toHaveLength(2);
    const left = [
      ['gone', 1],
      ['rms', 3],
    ];
    const counts = async (stats: DatasetStats) =>
      (await stats.list()).map((one) => [one.dataset, one.rows]);
    expect(await counts(datasets)).toEqual(left);
    expect(await counts(new DatasetStats(db, noPause))).toEqual(left);
  });
}

function othersExpire(withStore: WithStore): void {
  withStore('events go by age and number, audit rows by number alone', async (db) => {
    const event = { agent: 'a1', job: null, type: 'job', severity: 'info', message: '' } as const;
    for (const at of [1000, 2000, 8000, 9000]) await appendEvent(db, { ...event, at });
    for (const at of [1, 2, 3]) {
      await appendAudit(db, { at, actor: 'system', action: 'x', subject: `${at}` });
    }
    const { retention } = retentionAt(db, 10_000, { eventsMs: 5000, eventsRows: 1, auditRows: 2 });
    await retention.sweep();
    expect(retention.counters.deleted.events).toEqual({ age: 2, rows: 1, superseded: 0 });
    expect(retention.counters.deleted.audit).toEqual({ age: 0, rows: 1, superseded: 0 });
    expect((await pageEvents(db, { limit: 10 })).map(({ at }) => at)).toEqual([9000]);
  });

  withStore('runs go by their own bounds, counted', async (db) => {
    await insertRuns(db, ['r1', 'r2', 'r3']);
    const { retention } = retentionAt(db, 0, { runsRows: 1 });
    await retention.sweep();
    expect(retention.counters.deleted.runs).toEqual({ age: 0, rows: 2, superseded: 0 });
    const left = await db.selectFrom('runs').select('run').execute();
    expect(left).toEqual([{ run: 'r3' }]);
  });

  withStore('a timer sweeps again and again until it is stopped', async (db) => {
    let due: (() => void) | undefined;
    const after = (_ms: number, run: () => void): (() => void) => {
      due = run;
      return () => (due = undefined);
    };
    const { retention } = retentionAt(db, 1_000_000, { resultsMs: 1000 }, { after });
    retention.start();
    for (const seq of [1, 2]) {
      const tick = await waitFor('the next sweep to be planned', () => due);
      due = undefined;
      await insertResults(db, [{ seq }]);
      tick();
      await waitFor('the row to go', async () => (await seqsOf(db)).seqs.length === 0);
    }
    await waitFor('the next sweep to be planned', () => due);
    await retention.stop();
    expect(due).toBeUndefined();
    expect(retention.counters).toMatchObject({ deleted: { results: { age: 2 } }, failures: 0 });
  });
}
