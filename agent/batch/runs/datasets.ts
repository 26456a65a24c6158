/**
 * Datasets on this device: partitions that tasks have written, and updates that others wait for.
 *
 * Guarantees: rows that hash to what is stored are no update, so that a task that is run again
 * triggers and delivers nothing; the files of a partition are in place under their final name
 * before the commit that names them, and the ones it replaces go only after it.
 */
import type { DatasetRecord, TableRef } from '../records.ts';
import type { TableFiles } from '../tables/table-files.ts';
import type { DatasetWrite, TaskSuccess } from '../tasks/task.ts';
import type { DatasetsOnDevice } from '../tasks/task-services.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys } from './job-record.ts';

/** A partition that is ready to be committed. */
export interface PreparedDataset {
  readonly write: DatasetWrite;
  readonly partition: { readonly id: string; readonly start: number; readonly end: number };
  readonly table: TableRef;
  readonly hash: string;
}

export interface DatasetUpdate {
  readonly record: DatasetRecord;
  readonly write: DatasetWrite;
}

export class Datasets implements DatasetsOnDevice {
  readonly #store: BatchStore;
  readonly #files: TableFiles;

  constructor(store: BatchStore, files: TableFiles) {
    this.#store = store;
    this.#files = files;
  }

  partitions(name: string, fromMs = -Infinity, toMs = Infinity): readonly DatasetRecord[] {
    return this.#store
      .list<DatasetRecord>(['dataset', name])
      .map(({ value }) => value)
      .filter(({ start, end }) => start < toMs && (end > fromMs || start >= fromMs))
      .toSorted((a, b) => a.start - b.start || (a.partition < b.partition ? -1 : 1));
  }

  /**
   * Puts the files in place, each under a name of its own; the caller commits or discards them.
   * What it throws, the signal's reason too, leaves none.
   */
  async prepare(
    success: TaskSuccess,
    own: PreparedDataset['partition'],
    signal: AbortSignal,
  ): Promise<PreparedDataset[]> {
    const prepared: PreparedDataset[] = [];
    try {
      for (const write of success.datasets ?? []) {
        signal.throwIfAborted();
        const partition = write.partition ?? own;
        const hash = await this.#files.hash(write.table, signal);
        const { dataset } = write;
        const table = await this.#files.toDataset(write.table, dataset, partition.id, hash, signal);
        prepared.push({ write, partition, table, hash });
      }
      return prepared;
    } catch (error) {
      await this.discard(prepared);
      throw error;
    }
  }

  /** Removes the files of what does not count. */
  async discard(prepared: readonly PreparedDataset[]): Promise<void> {
    for (const { table } of prepared) await this.#files.remove(table);
  }

  /**
   * Records what changed; returns the updates, and the files that go when this is on disk: those of
   * what was replaced, and of what is the same as before.
   */
  commit(
    tx: BatchTx,
    prepared: readonly PreparedDataset[],
    by: { readonly job: string; readonly run: string; readonly now: number },
  ): { readonly updates: DatasetUpdate[]; readonly replaced: TableRef[] } {
    const updates: DatasetUpdate[] = [];
    const replaced: TableRef[] = [];
    for (const { write, partition, table, hash } of prepared) {
      const key = keys.dataset(write.dataset, partition.id);
      const before = this.#store.get<DatasetRecord>(key);
      const { link } = write;
      if (before?.hash === hash) {
        replaced.push(table);
        if (link !== undefined) tx.put(key, { ...before, link });
        continue;
      }
      const record: DatasetRecord = {
        name: write.dataset,
        partition: partition.id,
        start: partition.start,
        end: partition.end,
        table,
        hash,
        revision: (before?.revision ?? 0) + 1,
        job: by.job,
        run: by.run,
        updatedAt: by.now,
        ...(link !== undefined && { link }),
      };
      tx.put(key, record);
      updates.push({ record, write });
      if (before?.table != null) replaced.push(before.table);
    }
    return { updates, replaced };
  }

  /**
   * Forgets partitions that have not changed since; returns the files that go when this is on disk.
   */
  remove(
    tx: BatchTx,
    gone: readonly Pick<DatasetRecord, 'hash' | 'name' | 'partition'>[],
  ): TableRef[] {
    const files: TableRef[] = [];
    for (const { name, partition, hash } of gone) {
      const key = keys.dataset(name, partition);
      const before = this.#store.get<DatasetRecord>(key);
      if (before?.hash !== hash) continue;
      tx.remove(key);
      if (before.table !== null) files.push(before.table);
    }
    return files;
  }
}
