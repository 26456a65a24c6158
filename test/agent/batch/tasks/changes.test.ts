/** The task `changes`: two states of a table as change events. */
import { describe, expect, it } from 'vitest';
import { positionOf } from '@runnel/agent/batch/changes/event-position.ts';
import type { TableRef } from '@runnel/agent/batch/records.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { limits } from '@runnel/shared/limits.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import {
  type ContextOptions,
  DAY_MS,
  DAY_START,
  taskSite,
  type TaskSite,
} from '../../../support/task-context.ts';

const row = (id: number, name: string | null = 'x'): Row => ({ id, name });

function job(site: TaskSite, settings: object) {
  return site.program({
    tasks: [
      { id: 'old', value: { value: 1 } },
      { id: 'now', value: { value: 1 } },
      { id: 'task', needs: ['old', 'now'], changes: { input: 'now', key: ['id'], ...settings } },
    ],
  });
}

taskContract({
  kind: 'changes',
  setup: async (site) => {
    const tables = {
      old: await site.table([row(1), row(2)]),
      now: await site.table([row(2, 'y'), row(3)]),
    };
    const program = job(site, { against: { task: 'old' } });
    return { program, task: 'task', options: { tables }, effects: null };
  },
});

/** Events without what is around them. */
async function events(site: TaskSite, table: TableRef | undefined) {
  const rows = await site.rows(table);
  return rows.map(({ op, before, after }) => ({ op, before, after }));
}

describe('changes against a task', () => {
  async function against(old: readonly Row[], now: readonly Row[], settings: object = {}) {
    const site = taskSite();
    const tables = { old: await site.table(old), now: await site.table(now) };
    const program = job(site, { against: { task: 'old' }, ...settings });
    const { success, context } = await site.attempt(program, 'task', { tables });
    return { site, success, context };
  }

  it('are c, u and d, deletes first; what is the same is none', async () => {
    const old = [row(1), row(2), row(3), { id: 4, name: 'x', note: null }];
    const { site, success } = await against(old, [row(9), row(4), row(2, 'y'), row(1)]);
    expect(await events(site, success.table)).toEqual([
      { op: 'd', before: row(3), after: null },
      { op: 'u', before: row(2), after: row(2, 'y') },
      { op: 'c', before: null, after: row(9) },
    ]);
    const counts = { read: 0, created: 1, updated: 1, deleted: 1, unchanged: 2, deadLetters: 0 };
    expect(success.output).toMatchObject({ rowCount: 3, ...counts });
  });

  it('carry where they come from, and a sequence that grows', async () => {
    const { site, success } = await against([row(1)], [row(2)], { name: 'line-1', table: 'parts' });
    const source = {
      version: expect.any(String) as string,
      connector: 'runnel',
      name: 'line-1',
      ts_ms: DAY_START + DAY_MS,
      snapshot: 'false',
      db: 'press-1',
      schema: null,
      table: 'parts',
    };
    const [gone, there] = await site.rows(success.table);
    expect(gone).toEqual({
      before: row(1),
      after: null,
      source: { ...source, sequence: `["${DAY_START}","1","1"]` },
      transaction: null,
      op: 'd',
      ts_ms: DAY_START + DAY_MS,
    });
    expect(there).toMatchObject({ source: { ...source, sequence: `["${DAY_START}","1","2"]` } });
  });

  it('do not depend on the order of the rows, and nothing is in memory but a part', async () => {
    const wide = 'w'.repeat(3000);
    const old = Array.from({ length: 3000 }, (_, id) => ({ id, name: `a${id}`, wide }));
    const now = old.slice(600).map((each) => (each.id % 3 === 0 ? { ...each, name: 'b' } : each));
    const one = await against(old, now);
    const two = await against(old.toReversed(), now.toReversed());
    expect(old.length * wide.length).toBeGreaterThan(2 * limits.changesBucketBytes);
    expect(one.success.output).toMatchObject({ deleted: 600, updated: 800, unchanged: 1600 });
    expect(await two.site.rows(two.success.table)).toEqual(await one.site.rows(one.success.table));
  });

  it('of a row without a key are a dead letter, of two with one key a failure', async () => {
    const { success, context } = await against([{ name: 'x' }], [row(1), { name: 'y' }]);
    expect(success.output).toMatchObject({ rowCount: 1, created: 1, deadLetters: 1 });
    expect(success.deadRows).toMatchObject([{ reason: 'missing_key', value: { name: 'y' } }]);
    expect(context.lines).toEqual(['warn 1 rows went to the dead letters']);
    const twice = against([], [row(1), row(1, 'y')]);
    await expect(twice).rejects.toMatchObject({ class: 'data', code: 'key_twice' });
  });
});

/** Who takes events, but for those that are older than what was taken of their key. */
class Copy {
  readonly #site: TaskSite;
  readonly #rows = new Map<unknown, { readonly row: Row | null; readonly at: string }>();

  constructor(site: TaskSite) {
    this.#site = site;
  }

  async take({ table }: { readonly table?: TableRef | undefined }): Promise<Row[]> {
    for (const event of await this.#site.rows(table)) {
      const row = event['after'] as Row | null;
      const { id } = row ?? (event['before'] as Row);
      const at = positionOf(event)?.order ?? '';
      if (at > (this.#rows.get(id)?.at ?? '')) this.#rows.set(id, { row, at });
    }
    const rows = [...this.#rows.values()].flatMap(({ row }) => (row === null ? [] : [row]));
    return rows.sort((one, other) => Number(one['id']) - Number(other['id']));
  }
}

describe('changes against a dataset', () => {
  const settings = { against: { dataset: 'state' } };

  /** The run of a day, and what the commit of its success does with its state. */
  async function day(
    site: TaskSite,
    n: number,
    rows: readonly Row[],
    options: ContextOptions = {},
  ) {
    const start = DAY_START + n * DAY_MS;
    const id = new Date(start).toISOString().slice(0, 10);
    const partition = { id, start, end: start + DAY_MS } as ContextOptions['partition'];
    const now = await site.table(rows);
    const { success } = await site.attempt(job(site, settings), 'task', {
      tables: { now },
      ...options,
      partition: { ...partition, ...options.partition },
    });
    const place = { partition: id, start, end: start + DAY_MS };
    for (const write of success.datasets ?? []) await site.publishDataset(write, place);
    return success;
  }

  it('begin with a snapshot, and go on with what the last state has not', async () => {
    const site = taskSite();
    const first = await day(site, 0, [row(1), row(2)]);
    expect(await events(site, first.table)).toEqual(
      [row(1), row(2)].map((after) => ({ op: 'r', before: null, after })),
    );
    const second = await day(site, 1, [row(1), row(3)]);
    expect(second.output).toMatchObject({ created: 1, deleted: 1, unchanged: 1 });
    // A day without a run: the state is that of the last one.
    const fourth = await day(site, 3, [row(1), row(3, 'y')]);
    expect(await events(site, fourth.table)).toEqual([
      { op: 'u', before: row(3), after: row(3, 'y') },
    ]);
  });

  it('of a run that is made again are the same, though its own state is there', async () => {
    const site = taskSite();
    await day(site, 0, [row(1), row(2)]);
    const first = await day(site, 1, [row(2, 'y'), row(3)]);
    await day(site, 2, [row(7)]);
    const again = await day(site, 1, [row(2, 'y'), row(3)], { tries: 2 });
    expect(await site.rows(again.table)).toEqual(await site.rows(first.table));
  });

  it('of a run that is made again with other rows lead from what it told before', async () => {
    const site = taskSite();
    await day(site, 0, [row(1), row(2)]);
    await day(site, 1, [row(1), row(2, 'wrong'), row(5)]);
    const sent = { hash: 'of the first', revision: 1 };
    const again = await day(site, 1, [row(1), row(2)], { tries: 2, sent });
    expect(await events(site, again.table)).toEqual([
      { op: 'd', before: row(5), after: null },
      { op: 'u', before: row(2, 'wrong'), after: row(2) },
    ]);
    const [event] = await site.rows(again.table);
    const sequence = `["${DAY_START + DAY_MS + 1}","2","1"]`;
    expect(event?.source).toMatchObject({ sequence });
  });

  it('lead from the state that was committed last, in whatever order partitions run', async () => {
    const site = taskSite();
    const copy = new Copy(site);
    const run = async (n: number, rows: readonly Row[], options: ContextOptions = {}) =>
      copy.take(await day(site, n, rows, options));
    await run(0, [row(1, 'old')]);
    await run(2, [row(1, 'A'), row(2)]);
    // An older partition reads the table as it is now.
    expect(await run(1, [row(1, 'B')])).toEqual([row(1, 'B')]);
    expect(await run(3, [row(1, 'A'), row(2)])).toEqual([row(1, 'A'), row(2)]);
    // The first one again: what it was compared with was nothing, and so it tells everything.
    expect(await run(0, [row(1, 'C')], { tries: 2 })).toEqual([row(1, 'C')]);
    expect(await run(4, [row(1, 'A'), row(2)])).toEqual([row(1, 'A'), row(2)]);
    // The rows that it had: nothing is new, and who has taken what came later keeps it.
    const last = await run(2, [row(1, 'A'), row(2)], { tries: 2 });
    expect(last).toEqual([row(1, 'A'), row(2)]);
  });

  it('read all rows again where what the run was compared with is gone', async () => {
    const site = taskSite();
    await day(site, 0, [row(1)]);
    await day(site, 1, [row(1), row(2)]);
    await day(site, 0, [row(3)], { tries: 2 });
    const again = await day(site, 1, [row(1), row(2)], { tries: 2 });
    expect(await events(site, again.table)).toEqual([
      { op: 'd', before: row(3), after: null },
      { op: 'r', before: null, after: row(1) },
      { op: 'r', before: null, after: row(2) },
    ]);
  });

  it('fail before their commit when a run beside has committed a state', async () => {
    const site = taskSite();
    await day(site, 0, [row(1)]);
    const tables = { now: await site.table([row(2)]) };
    const { success } = await site.attempt(job(site, settings), 'task', {
      tables,
      partition: { id: '2026-11-23' },
    });
    expect(() => success.requireCurrent?.()).not.toThrow();
    await day(site, 2, [row(3)]);
    const moved = expect.objectContaining({ code: 'state_moved', class: 'other' }) as Error;
    expect(() => success.requireCurrent?.()).toThrowError(moved);
  });

  it('keep the states of the last runs, and no more', async () => {
    const site = taskSite();
    for (let n = 0; n < limits.changesStatesMax; n++) {
      expect((await day(site, n, [row(n)])).removedDatasets).toEqual([]);
    }
    const { removedDatasets } = await day(site, limits.changesStatesMax, [row(0)]);
    expect(removedDatasets).toMatchObject([{ name: 'state', partition: '2026-11-22' }]);
  });

  it('of a full refresh are all rows, and the keys that are gone', async () => {
    const site = taskSite();
    await day(site, 0, [row(1), row(2)]);
    const refreshed = await day(site, 1, [row(2), row(3)], { fullRefresh: true });
    expect(await events(site, refreshed.table)).toEqual([
      { op: 'd', before: row(1), after: null },
      { op: 'r', before: null, after: row(2) },
      { op: 'r', before: null, after: row(3) },
    ]);
  });

  it('of a full refresh take another key, which old rows may share', async () => {
    const site = taskSite();
    await site.publishDataset(
      { dataset: 'state', table: await site.table([row(1, 'a'), row(1, 'b')]) },
      { partition: '2026-11-21', start: DAY_START - DAY_MS, end: DAY_START },
    );
    await expect(day(site, 0, [row(1)])).rejects.toMatchObject({ code: 'key_twice' });
    const refreshed = await day(site, 0, [row(1)], { fullRefresh: true });
    expect(refreshed.output).toMatchObject({ rowCount: 1, read: 1 });
    expect((await day(site, 1, [row(1)])).output).toMatchObject({ rowCount: 0, unchanged: 1 });
  });

  it('of a key of the job are told from those of other keys', async () => {
    const site = taskSite();
    await site.publishDataset(
      { dataset: 'state', table: await site.table([row(1)]) },
      { partition: 'line-10/2026-11-21', start: DAY_START - DAY_MS, end: DAY_START },
    );
    const partition = { id: 'line-1/2026-11-22', key: 'line-1' };
    const now = await site.table([row(1)]);
    const options = { tables: { now }, partition };
    const { success } = await site.attempt(job(site, settings), 'task', options);
    expect(success.output).toMatchObject({ read: 1 });
  });
});
