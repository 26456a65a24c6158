/** Files of datasets while several runs write one partition. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BatchStore } from '@runnel/agent/batch/runs/batch-store.ts';
import { Datasets, type PreparedDataset } from '@runnel/agent/batch/runs/datasets.ts';
import type { TableRef } from '@runnel/agent/batch/records.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { taskSite } from '../../support/task-context.ts';
import { Committer } from '../outbox/open-test-store.ts';

const DAY = { id: '2026-11-22', start: epochMs(0), end: epochMs(86_400_000) };

function opened() {
  const site = taskSite();
  const nothing = (): void => undefined;
  const committer = new Committer(site.store);
  const store = new BatchStore({
    store: site.store,
    row: nothing,
    deadLetter: nothing,
    wake: nothing,
  });
  committer.use(store);
  const datasets = new Datasets(store, site.tables);
  const { signal } = new AbortController();
  return {
    site,
    datasets,
    prepare: async (n: number) => {
      const write = { dataset: 'days', table: await site.table([{ n }]), deliver: false };
      return datasets.prepare({ output: null, datasets: [write] }, DAY, signal);
    },
    /** Returns the files that may go now. */
    commit: async (prepared: readonly PreparedDataset[]): Promise<readonly TableRef[]> => {
      let replaced: readonly TableRef[] = [];
      const by = { job: 'job', run: 'run', now: 1 };
      const written = store.commit((tx) => ({ replaced } = datasets.commit(tx, prepared, by)));
      await committer.commit();
      await written;
      return replaced;
    },
    remove: async (tables: readonly TableRef[]) => {
      for (const table of tables) await site.tables.remove(table);
    },
    files: () => readdirSync(join(site.dataDir, 'batch/datasets/days')),
    rows: () => site.rows(datasets.partitions('days')[0]!.table!),
  };
}

describe('a partition that becomes again what it was', () => {
  it('keeps its file when what it was replaced by comes to remove the old one', async () => {
    const { commit, files, prepare, remove, rows } = opened();
    await remove(await commit(await prepare(1)));
    const replaced = await commit(await prepare(2));
    // The same rows as at first, before the first file is removed.
    const again = await prepare(1);
    await remove(replaced);
    await remove(await commit(again));
    expect(await rows()).toEqual([{ n: 1 }]);
    expect(files()).toHaveLength(1);
  });

  it('keeps its file when it is removed between its commit and that of the other', async () => {
    const { commit, files, prepare, remove, rows } = opened();
    await remove(await commit(await prepare(1)));
    const other = await prepare(2);
    const again = await prepare(1);
    const replaced = await commit(other);
    const old = await commit(again);
    await remove(replaced);
    await remove(old);
    expect(await rows()).toEqual([{ n: 1 }]);
    expect(files()).toHaveLength(1);
  });
});

it('what is the same leaves one file', async () => {
  const { commit, files, prepare, remove, rows } = opened();
  for (let time = 0; time < 3; time++) await remove(await commit(await prepare(1)));
  expect(await rows()).toEqual([{ n: 1 }]);
  expect(files()).toHaveLength(1);
});

it('an attempt that is told to end while its files are placed leaves none', async () => {
  const { datasets, files, prepare, site } = opened();
  await prepare(1);
  const before = files();
  const control = new AbortController();
  const tables = await Promise.all([2, 3].map((n) => site.table([{ n }])));
  const writes = tables.map((table, n) => ({
    dataset: 'days',
    partition: { ...DAY, id: `${n}` },
    table,
    deliver: false,
  }));
  const get = Object.getOwnPropertyDescriptor(writes, 1)!.value as (typeof writes)[0];
  // Told when the first is in place and the second is looked at.
  Object.defineProperty(writes, 1, {
    get: () => {
      control.abort(new Error('told to end'));
      return get;
    },
  });
  const prepared = datasets.prepare({ output: null, datasets: writes }, DAY, control.signal);
  await expect(prepared).rejects.toThrow('told to end');
  expect(files()).toEqual(before);
  expect(tables.every((table) => existsSync(site.tables.pathOf(table)))).toBe(true);
});
