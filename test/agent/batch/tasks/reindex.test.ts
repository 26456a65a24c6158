/** The task `reindex`: over a real store with broken records, and a real SQLite file. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { encodeVersioned } from '@runnel/agent/checkpoints/store-layout.ts';
import {
  type CheckpointStore,
  openCheckpointStore,
} from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { BatchStore } from '@runnel/agent/batch/runs/batch-store.ts';
import { type BatchJobRecord, keys } from '@runnel/agent/batch/runs/job-record.ts';
import type { PartitionRecord, RunRecord } from '@runnel/agent/batch/records.ts';
import type { BatchKey } from '@runnel/agent/batch/runs/batch-store.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import { taskSite, type TaskSite } from '../../../support/task-context.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { type BatchSite, desiredJob, openBatchSite } from '../batch-site.ts';

/** Two tables with an index each, of 500 rows. */
function makeDatabase(site: TaskSite): string {
  const path = join(site.dataDir, 'mes.db');
  const database = new Database(path);
  database.exec(
    'CREATE TABLE daily (machine text, rms float); CREATE INDEX by_machine ON daily (machine);' +
      'CREATE TABLE other (n integer); CREATE INDEX by_n ON other (n)',
  );
  const insert = database.prepare('INSERT INTO daily VALUES (?, ?)');
  for (let n = 0; n < 500; n++) insert.run(`machine-${n}`, n);
  database.close();
  return path;
}

/** Rows that the index does not know: it is taken away while they are written, as a bug would. */
function breakIndex(path: string): void {
  const database = new Database(path);
  const [{ rootpage }] = database
    .prepare("SELECT rootpage FROM sqlite_master WHERE name = 'by_machine'")
    .all() as [{ rootpage: number }];
  const [{ page_size: pageSize }] = database.prepare('PRAGMA page_size').all() as [
    { page_size: number },
  ];
  database.close();
  const bytes = readFileSync(path);
  // An empty leaf of an index in place of its root.
  const page = Buffer.alloc(pageSize);
  page[0] = 0x0a;
  page.writeUInt16BE(pageSize % 65_536, 5);
  page.copy(bytes, (rootpage - 1) * pageSize);
  writeFileSync(path, bytes);
}

const sqliteJob = (more: object = {}, common: object = {}) => ({
  tasks: [{ id: 'task', reindex: { sqlite: { path: 'mes.db', ...more }, ...common } }],
});

taskContract({
  kind: 'reindex',
  child: true,
  setup: async (site) => {
    makeDatabase(site);
    return { program: site.program(sqliteJob()), task: 'task', effects: null };
  },
});

describe('a SQLite file', () => {
  it('with a broken index is mended, and says what it had', async () => {
    const site = taskSite();
    const path = makeDatabase(site);
    breakIndex(path);
    const look = await site.attempt(site.program(sqliteJob({}, { dryRun: true })), 'task');
    expect(look.success.output).toMatchObject({ repaired: 0 });
    const { success, context } = await site.attempt(site.program(sqliteJob()), 'task');
    const { problems, repaired } = success.output as { problems: number; repaired: number };
    // The pages that the index had are unused from then on, which is no damage.
    const unused = context.lines.filter((line) => line.endsWith('never used')).length;
    expect(repaired).toBeGreaterThan(90);
    expect(problems).toBe(repaired + unused);
    expect(context.lines.join('\n')).toMatch(/index by_machine/);
    const database = new Database(path);
    const found = database.prepare("SELECT rms FROM daily WHERE machine = 'machine-7'").all();
    expect(found).toEqual([{ rms: 7 }]);
    expect(database.prepare('SELECT count(*) AS n FROM sqlite_stat1').all()).not.toEqual([
      { n: 0 },
    ]);
    database.close();
  });

  it('whose other index is broken says that it is, and stays as it was', async () => {
    const site = taskSite();
    breakIndex(makeDatabase(site));
    const error = await site.failure(site.program(sqliteJob({ tables: ['other'] })), 'task');
    expect(error).toMatchObject({ class: 'data', code: 'sqlite_damaged' });
    expect(error.hint).toMatch(/leave tables: out/);
  });

  it('that is not there, or outside of what policy.yaml allows, is refused', async () => {
    const site = taskSite();
    const missing = await site.failure(site.program(sqliteJob()), 'task');
    expect(missing).toMatchObject({ class: 'data', code: 'file_missing' });
    const outside = await site.failure(site.program(sqliteJob({ path: '/etc/mes.db' })), 'task');
    expect(outside).toMatchObject({ class: 'policy' });
    makeDatabase(site);
    const unknown = await site.failure(site.program(sqliteJob({ tables: ['nope'] })), 'task');
    expect(unknown).toMatchObject({ class: 'rejected', code: 'reindex_table' });
  });
});

const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;
const WORK = desiredJob('work', 'tasks: [{ id: a, value: { value: 1 } }]');
const care = (more = ''): ReturnType<typeof desiredJob> =>
  desiredJob('care', `tasks: [{ id: fix, reindex: { store: true${more} } }]`);

interface Opened {
  readonly site: BatchSite;
  readonly store: CheckpointStore;
  readonly records: BatchStore;
}

async function open(dataDir: string, more = ''): Promise<Opened> {
  let store: CheckpointStore | undefined;
  const site = await openBatchSite({
    dataDir,
    wrapStore: (real) => (store = real),
  });
  await site.runtime.applyJobs([WORK, care(more)]);
  return { site, store: store!, records: readerOf(store!) };
}

/** Reads what is committed. */
function readerOf(store: CheckpointStore): BatchStore {
  const nothing = (): void => undefined;
  return new BatchStore({ store, row: nothing, deadLetter: nothing, wake: nothing });
}

let asked = 0;
async function run(site: BatchSite, job: string): Promise<string> {
  const { runs } = await site.command({ ...ASK, job }, `${job}-${++asked}`);
  const report = await site.ended(runs[0]!.run);
  expect(report).toMatchObject({ state: 'success', error: null });
  return report.run;
}

async function repair({ site }: Opened): Promise<unknown> {
  const id = await run(site, 'care');
  const rows = (await site.rows()).filter(({ kind, dataset }) => kind === 'task' && dataset === id);
  return (rows.at(-1)!.value as { output: unknown }).output;
}

async function put(store: CheckpointStore, key: BatchKey, value: unknown): Promise<void> {
  await store.commit((tx) => tx.put('batch', key, encodeVersioned(1, value)));
}

describe("the agent's store", () => {
  it('that is right is not written to', async () => {
    const opened = await open(tempDir('batch'));
    await run(opened.site, 'work');
    expect(await repair(opened)).toMatchObject({
      missing: 0,
      orphaned: 0,
      wrong: 0,
      repaired: 0,
    });
  });

  it('has its broken records mended, and runs, rows and numbers go on', async () => {
    const opened = await open(tempDir('batch'));
    const { site, store, records } = opened;
    const first = await run(site, 'work');
    const second = await run(site, 'work');
    const done = records.get<RunRecord>(keys.run(second))!;
    const partition = keys.partition('work', done.partition.id);
    const before = records.get<PartitionRecord>(partition)!;
    await store.commit((tx) => {
      tx.remove('batch', keys.numbered('work', 1));
      tx.put('batch', keys.numbered('work', 77), encodeVersioned(1, 'nobody'));
      tx.put('batch', keys.open(first), encodeVersioned(1, {}));
      tx.put('batch', keys.open('nobody'), encodeVersioned(1, {}));
      tx.put('batch', keys.given('nobody'), encodeVersioned(1, {}));
      tx.put('batch', keys.task('nobody', 'a', null), encodeVersioned(1, {}));
      tx.put('batch', partition, encodeVersioned(1, { ...before, state: 'failed' }));
      tx.remove(
        'batch',
        keys.partition('work', records.get<RunRecord>(keys.run(first))!.partition.id),
      );
    });
    const report = (await repair(opened)) as Record<string, number>;
    expect(report).toMatchObject({ missing: 2, orphaned: 5, wrong: 1, repaired: 8 });
    expect(report['checked']).toBeGreaterThan(10);
    expect(records.get(keys.numbered('work', 1))).toBe(first);
    expect(records.get<PartitionRecord>(partition)).toEqual(before);
    for (const key of [keys.numbered('work', 77), keys.open(first), keys.given('nobody')]) {
      expect(records.has(key), key.join('/')).toBe(false);
    }
    expect(await repair(opened)).toMatchObject({ missing: 0, orphaned: 0, wrong: 0, repaired: 0 });
    await run(site, 'work');
  });

  it('is only looked at with dryRun', async () => {
    const opened = await open(tempDir('batch'), ', dryRun: true');
    const { store, records, site } = opened;
    await run(site, 'work');
    await put(store, keys.open('nobody'), {});
    expect(await repair(opened)).toMatchObject({ orphaned: 1, repaired: 0 });
    expect(records.has(keys.open('nobody'))).toBe(true);
  });

  it('gives no number of a run twice, and finds a run that nobody knew to be open', async () => {
    const dataDir = tempDir('batch');
    const broken = await open(dataDir);
    const id = await run(broken.site, 'work');
    await broken.site.close();
    // Between two processes: the number goes back, and a run that is not over is in no list.
    const store = openCheckpointStore({
      dir: join(dataDir, 'store'),
      bytesMax: 1 << 30,
      monotonicMs: () => systemClock.monotonicMs(),
    });
    const records = readerOf(store);
    const job = records.get<BatchJobRecord>(keys.job('work'))!;
    const ended = records.get<RunRecord>(keys.run(id))!;
    const lost = { ...ended, id: 'lost', n: 9, state: 'running', endedAt: null };
    await put(store, keys.job('work'), { ...job, nextRun: 1 });
    await put(store, keys.run('lost'), lost);
    await store.close();
    const opened = await open(dataDir);
    expect(await repair(opened)).toMatchObject({ missing: 2, wrong: 1, repaired: 3 });
    expect(opened.records.get<BatchJobRecord>(keys.job('work'))?.nextRun).toBe(10);
    const next = await run(opened.site, 'work');
    expect(opened.records.get(keys.numbered('work', 10))).toBe(next);
    await opened.site.close();
    const again = await open(dataDir);
    expect(await again.site.ended('lost')).toMatchObject({ run: 'lost' });
  });
});
