/** What every store must do with runs of batch jobs: the newest report wins, pages, retention. */
import type { Kysely } from 'kysely';
import { expect } from 'vitest';
import { applyBlock } from '@runnel/control-plane/intake/apply-block.ts';
import { expireRuns } from '@runnel/control-plane/store/expire-rows.ts';
import {
  findRuns,
  lastSuccesses,
  pageRuns,
  runsOf,
  taskInstances,
  taskStates,
} from '@runnel/control-plane/store/runs.ts';
import { appendEvent } from '@runnel/control-plane/store/events.ts';
import { applyVersion, deleteJob, getJob, setJobPaused } from '@runnel/control-plane/store/jobs.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import { runRowOf, taskRowOf } from '../support/runs.ts';
import type { WithStore } from './store-contract.ts';

type RowParts = Partial<Row> & Pick<Row, 'kind' | 'value'>;

/** One block of these rows, as its agent's next. */
async function report(
  db: Kysely<Schema>,
  rows: readonly RowParts[],
  { agent = 'a1', now = 1000, after = undefined as number | undefined } = {},
) {
  const mark = await db.selectFrom('marks').select('mark').where('agent', '=', agent).execute();
  const from = after ?? mark[0]?.mark ?? 0;
  const full = rows.map((row, index) => ({
    ...{ seq: from + 1 + index, job: 'nightly', version: 1, step: '', dataset: '', key: null },
    ...{ windowStart: null, windowEnd: null, time: 1, revision: 1, at: 1, ...row },
  }));
  const last = from + rows.length;
  const head = { v: 1, agent, epoch: 'e1', lane: 'results', after: from, last, lost: 0 } as const;
  return await db
    .transaction()
    .execute((transaction) => applyBlock(transaction, { ...head, rows: full }, now));
}

const key = { agent: 'a1', run: 'run1' };
const SAID = { at: 1, agent: null, job: null, type: 'said', severity: 'info', data: null } as const;
const KEEP = { beforeMs: 0, rowsMax: 1e9, tasksMax: 1e9 };

export function runsContract(withStore: WithStore): void {
  reportsContract(withStore);
  refusalsContract(withStore);
  readsContract(withStore);
  retentionContract(withStore);
  pauseContract(withStore);
}

function reportsContract(withStore: WithStore): void {
  withStore(
    'the newest report of a run and of its tasks wins, and no result is made',
    async (db) => {
      await report(db, [runRowOf({ state: 'queued', startedAt: null })]);
      await report(db, [
        runRowOf(),
        taskRowOf({ state: 'running', endedAt: null }),
        taskRowOf({ state: 'success', output: { n: 7 } }),
        runRowOf({ state: 'success', endedAt: 3000 }),
      ]);
      expect(await pageRuns(db, { limit: 10 })).toMatchObject([
        { run: 'run1', state: 'success', endedAt: 3000, parameters: { min: 1 }, error: null },
      ]);
      expect(await taskInstances(db, key, 10)).toMatchObject([
        { task: 'daily', index: null, state: 'success', output: { n: 7 } },
      ]);
      expect(await db.selectFrom('results').selectAll().execute()).toEqual([]);
    },
  );

  withStore('a block that comes again changes nothing and tells no end twice', async (db) => {
    await report(db, [runRowOf()]);
    const end = [runRowOf({ state: 'failed', endedAt: 900, error: cause })];
    const first = await report(db, end, { after: 1 });
    expect(first.runs?.changes).toMatchObject([{ run: 'run1', ended: { state: 'failed' } }]);
    expect(await report(db, end, { after: 1 })).toMatchObject({ outcome: 'duplicate' });
    expect(await report(db, [runRowOf()], { after: 0 })).toMatchObject({ outcome: 'duplicate' });
    // The device says it once more in a block of its own, as after a lost mark.
    await report(db, end);
    expect(await pageRuns(db, { limit: 10 })).toMatchObject([{ state: 'failed' }]);
    expect(await db.selectFrom('events').select(['type', 'severity']).execute()).toEqual([
      { type: 'run', severity: 'error' },
    ]);
  });

  withStore('a failed run is an event with its cause and what it affects', async (db) => {
    const affected = { tasks: ['share'], jobs: ['report'] };
    await report(db, [runRowOf({ state: 'failed', endedAt: 900, error: cause, affected })]);
    const events = await db.selectFrom('events').selectAll().execute();
    expect(events).toMatchObject([{ at: 900, agent: 'a1', job: 'nightly', severity: 'error' }]);
    expect(events[0]!.message).toBe(
      'run of 2026-11-22 failed: no disk (tasks not run: share; jobs that wait for it: report)',
    );
    const again = { state: 'failed', tries: 2, endedAt: 950, error: cause } as const;
    await report(db, [runRowOf({ tries: 2 }), runRowOf(again)]);
    expect(await db.selectFrom('events').select('id').execute()).toHaveLength(2);
  });
}

function refusalsContract(withStore: WithStore): void {
  withStore('a text that no database holds as it is stops no lane', async (db) => {
    const error = { ...cause, message: 'bad bytes: a\0b' };
    await report(db, [runRowOf({ state: 'failed', endedAt: 900, error })]);
    const value = { message: 'a\0b', severity: 'error' };
    await report(db, [{ kind: 'event', dataset: 'disk', value }]);
    await appendEvent(db, { ...SAID, message: 'said\0' });
    const messages = await db.selectFrom('events').select('message').orderBy('id').execute();
    expect(messages.map(({ message }) => message)).toEqual([
      'run of 2026-11-22 failed: bad bytes: a\uFFFDb',
      'a\uFFFDb',
      'said\uFFFD',
    ]);
  });

  withStore(
    'a device that says the run id of another changes only a run of its own',
    async (db) => {
      await report(db, [runRowOf({ state: 'success', endedAt: 900 }), taskRowOf()]);
      await report(db, [runRowOf({ state: 'failed' }), taskRowOf({ state: 'failed' })], {
        agent: 'a2',
      });
      expect(await runsOf(db, [key])).toMatchObject([{ agent: 'a1', state: 'success' }]);
      expect(await taskInstances(db, key, 10)).toMatchObject([{ state: 'success' }]);
      expect((await findRuns(db, 'run1', 5)).map(({ agent }) => agent)).toEqual(['a1', 'a2']);
    },
  );

  withStore('reports that do not parse are counted, and those beside them stand', async (db) => {
    const { runs } = await report(db, [
      { kind: 'run', value: { run: 'x' } },
      { kind: 'run', value: null },
      { ...runRowOf({ run: 'with space' }) },
      { ...taskRowOf({ task: 'line\nfeed' }) },
      { ...runRowOf(), job: 'Not a name' },
      runRowOf({ run: 'good', queuedAt: 1.5, tries: 1e12 }),
    ]);
    expect(runs).toMatchObject({ refused: 5, changes: [{ run: 'good' }] });
    expect((await pageRuns(db, { limit: 10 })).map(({ run, queuedAt }) => [run, queuedAt])).toEqual(
      [['good', 1]],
    );
  });

  withStore('an output that is too large is kept by its size alone', async (db) => {
    await report(db, [taskRowOf({ output: 'x'.repeat(100_000) })]);
    expect((await taskInstances(db, key, 10))[0]?.output).toEqual({
      truncated: true,
      bytes: 100_002,
    });
  });

  withStore('the instances of a task go when it waits to run again', async (db) => {
    await report(db, [
      taskRowOf({ state: 'running' }),
      taskRowOf({ index: 0 }),
      taskRowOf({ index: 1, state: 'failed' }),
    ]);
    expect(await taskStates(db, [key])).toHaveLength(3);
    await report(db, [taskRowOf({ state: 'waiting' }), taskRowOf({ index: 0, state: 'ready' })]);
    const instances = await taskInstances(db, key, 10);
    expect(instances.map(({ index, state }) => [index, state])).toEqual([
      [null, 'waiting'],
      [0, 'ready'],
    ]);
  });
}

const cause = { code: 'disk_full', class: 'resources', message: 'no disk' };

function readsContract(withStore: WithStore): void {
  withStore('runs come newest first, filtered, and page by page each once', async (db) => {
    for (let n = 1; n <= 7; n += 1) {
      const state = n % 2 === 0 ? 'failed' : 'success';
      // Queued times that run backwards: a wrong clock hides nothing.
      await report(db, [runRowOf({ run: `r${n}`, state, queuedAt: 100 - n, endedAt: n })], {
        agent: n < 4 ? 'a1' : 'a2',
      });
    }
    const pages: string[] = [];
    let before: number | undefined;
    for (;;) {
      const page = await pageRuns(db, { limit: 3, ...(before === undefined ? {} : { before }) });
      if (page.length === 0) break;
      pages.push(page.map(({ run }) => run).join(' '));
      before = page.at(-1)!.id;
    }
    expect(pages).toEqual(['r7 r6 r5', 'r4 r3 r2', 'r1']);
    const names = async (filter: object) =>
      (await pageRuns(db, { limit: 10, ...filter })).map(({ run }) => run).join(' ');
    expect(await names({ agent: 'a1' })).toBe('r3 r2 r1');
    expect(await names({ state: 'failed', agent: 'a2' })).toBe('r6 r4');
    expect(await names({ job: 'other' })).toBe('');
    expect(await names({ partition: '2026-11-22', trigger: 'schedule' })).toBe(
      'r7 r6 r5 r4 r3 r2 r1',
    );
    expect(await lastSuccesses(db)).toEqual(new Map([['nightly', 7]]));
  });

  withStore('a run is found by its id before others that begin with it', async (db) => {
    for (const run of ['ab', 'abc', 'aBd', 'x_y']) await report(db, [runRowOf({ run })]);
    const found = async (text: string) => (await findRuns(db, text, 5)).map(({ run }) => run);
    expect(await found('ab')).toEqual(['ab']);
    expect((await found('a')).toSorted()).toEqual(['aBd', 'ab', 'abc']);
    expect(await found('aB')).toEqual(['aBd']);
    expect(await found('x_')).toEqual(['x_y']);
    expect(await found('xy')).toEqual([]);
  });
}

function retentionContract(withStore: WithStore): void {
  const runsLeft = async (db: Kysely<Schema>) =>
    (await pageRuns(db, { limit: 100 })).map(({ run }) => run);
  const fill = async (db: Kysely<Schema>): Promise<void> => {
    for (let n = 1; n <= 5; n += 1) {
      const rows = [runRowOf({ run: `r${n}` }), ...[0, 1].map((index) => task(`r${n}`, index))];
      await report(db, rows, { now: n * 1000 });
    }
  };
  const task = (run: string, index: number) => taskRowOf({ run, index });
  const sweep = async (db: Kysely<Schema>, keep: Partial<typeof KEEP>, limit = 100) => {
    const reasons: string[] = [];
    for (;;) {
      const rows = await expireRuns(db, { ...KEEP, ...keep }, limit);
      if (rows.length === 0) return reasons;
      reasons.push(...rows.map(({ reason }) => reason));
    }
  };

  withStore('old runs go with their tasks, and those beyond the number', async (db) => {
    await fill(db);
    expect(await sweep(db, {})).toEqual([]);
    expect(await sweep(db, { beforeMs: 2500 }, 1)).toEqual(['age', 'age']);
    expect(await runsLeft(db)).toEqual(['r5', 'r4', 'r3']);
    expect(await sweep(db, { rowsMax: 1 })).toEqual(['rows', 'rows']);
    expect(await runsLeft(db)).toEqual(['r5']);
    expect(await taskStates(db, [{ agent: 'a1', run: 'r4' }])).toEqual([]);
    expect(await db.selectFrom('run_tasks').select('run').execute()).toHaveLength(2);
  });

  withStore('the oldest runs go when there are too many tasks', async (db) => {
    await fill(db);
    expect(await sweep(db, { tasksMax: 5 })).toEqual(['rows', 'rows', 'rows']);
    expect(await runsLeft(db)).toEqual(['r5', 'r4']);
  });

  withStore('tasks whose run was never told go by age', async (db) => {
    await report(db, [task('lost', 0)], { now: 1000 });
    await report(db, [runRowOf({ run: 'r1' }), task('r1', 0)], { now: 5000 });
    expect(await sweep(db, { beforeMs: 500 })).toEqual([]);
    expect(await sweep(db, { beforeMs: 2000 })).toEqual(['age']);
    expect(await db.selectFrom('run_tasks').select('run').execute()).toEqual([{ run: 'r1' }]);
  });
}

function pauseContract(withStore: WithStore): void {
  withStore('a paused job stays so over new versions, and not over its deletion', async (db) => {
    const version = (hash: string) => ({
      ...{ name: 'nightly', kind: 'BatchJob', hash, source: '', createdBy: 't' },
      document: '{}',
    });
    expect(await setJobPaused(db, 'nightly', true, 1)).toBeUndefined();
    await applyVersion(db, version('a'), 1);
    expect(await setJobPaused(db, 'nightly', true, 2)).toBe(true);
    expect(await setJobPaused(db, 'nightly', true, 3)).toBe(false);
    await applyVersion(db, version('b'), 4);
    expect(await getJob(db, 'nightly')).toMatchObject({ paused: true, generation: 3 });
    await deleteJob(db, 'nightly', 5);
    await applyVersion(db, version('b'), 6);
    expect((await getJob(db, 'nightly'))?.paused).toBe(false);
  });
}
