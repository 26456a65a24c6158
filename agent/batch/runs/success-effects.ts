/**
 * What a successful attempt leaves behind, made part of the commit that makes its task succeed:
 * cursor, measurements, partitions of datasets, rows for the control plane, dead letters.
 *
 * Guarantees: everything slow (hashing, linking files, reading rows to deliver) happens before, as
 * a part of the attempt with its timeout, so that the commit only puts; what is the same as at an
 * earlier run of the partition is no update and goes nowhere again; a cursor is set by the newest
 * run that succeeded, not by one that is made again later, and never by a backfill
 * (cursor-place.ts).
 */
import { createHash } from 'node:crypto';
import type { Json } from '@runnel/shared/engine/record.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import { deadLetterKey, OTHER_DEAD_LETTERS } from '@runnel/shared/protocol/dead-letter-key.ts';
import { SentRows } from '../data/sent-rows.ts';
import { sentRevision } from '../io/idempotency-key.ts';
import type { RunRecord, SentRecord, TableRef } from '../records.ts';
import type { DatasetWrite, ResultRow, TaskSuccess } from '../tasks/task.ts';
import type { TableFiles } from '../tables/table-files.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { type CursorPlace, makeRoom } from './cursor-place.ts';
import type { Datasets, DatasetUpdate, PreparedDataset } from './datasets.ts';
import { keys } from './job-record.ts';
import type { RowText } from './run-reports.ts';

/** `['cursor', job, task, key, item]` */
export interface CursorRecord {
  readonly value: Json;
  /** The run that set it. */
  readonly n: number;
  readonly tries: number;
}

/** `['quality', job, task, key, item, of]`: what a task measured, oldest first. */
export interface HistoryRecord {
  readonly values: readonly Json[];
  /** The run that set it. */
  readonly n: number;
}

/** No name of a dataset: what went over HTTP. */
const SENT_OVER_HTTP = ':http';

export interface PreparedSuccess {
  readonly success: TaskSuccess;
  readonly datasets: readonly PreparedDataset[];
  /** Rows of the datasets that are delivered, by dataset and partition. */
  readonly delivered: ReadonlyMap<DatasetWrite, readonly Json[]>;
  readonly results: ReadonlyMap<string, { readonly rows: readonly ResultRow[]; hash: string }>;
}

export interface CommittedSuccess {
  readonly updates: readonly DatasetUpdate[];
  readonly garbage: readonly TableRef[];
  readonly letters: Readonly<Record<string, number>>;
}

export interface SuccessPlace {
  readonly run: RunRecord;
  readonly task: string;
  readonly index: number | null;
  readonly now: number;
  /** Of its cursor and measurements. */
  readonly stored: CursorPlace;
}

export class SuccessEffects {
  readonly #store: BatchStore;
  readonly #datasets: Datasets;
  readonly #files: TableFiles;
  /** Over `limits.taskCursorsMax`. */
  cursorsForgotten = 0;

  constructor(store: BatchStore, datasets: Datasets, files: TableFiles) {
    this.#store = store;
    this.#datasets = datasets;
    this.#files = files;
  }

  /** An attempt that ended, with success or not, has sent this over HTTP. */
  rememberSent(
    tx: BatchTx,
    place: Pick<SuccessPlace, 'index' | 'run' | 'task'>,
    hash: string,
  ): void {
    this.#newRevision(tx, place, SENT_OVER_HTTP, hash);
  }

  /** What an instance last sent over HTTP. */
  sentBy(run: RunRecord, task: string, index: number | null): SentRecord | null {
    const key = keys.sent(run.job, run.partition.id, task, index, SENT_OVER_HTTP);
    return this.#store.get<SentRecord>(key) ?? null;
  }

  /**
   * Throws a `TaskError` where there is more than may be sent, and the signal's reason; nothing of
   * it is left then. What it gives back is committed or discarded.
   */
  async prepare(
    success: TaskSuccess,
    { partition }: RunRecord,
    signal: AbortSignal,
  ): Promise<PreparedSuccess> {
    const datasets = await this.#datasets.prepare(success, partition, signal);
    try {
      const prepared = await this.#sendable(success, datasets, signal);
      signal.throwIfAborted();
      return prepared;
    } catch (error) {
      await this.#datasets.discard(datasets);
      throw error;
    }
  }

  /** Removes what was put in place for a success that does not count. */
  async discard({ datasets }: PreparedSuccess): Promise<void> {
    await this.#datasets.discard(datasets);
  }

  async #sendable(
    success: TaskSuccess,
    datasets: readonly PreparedDataset[],
    signal: AbortSignal,
  ): Promise<PreparedSuccess> {
    const delivered = new Map<DatasetWrite, readonly Json[]>();
    const sent = new SentRows();
    for (const { write } of datasets) {
      if (write.deliver) delivered.set(write, await this.#rowsOf(write, sent, signal));
    }
    const results = new Map<string, { rows: readonly ResultRow[]; hash: string }>();
    const given = success.results ?? [];
    for (const [at, { dataset, key, value }] of given.entries()) {
      sent.add(dataset, at + 1, key, value);
    }
    for (const [dataset, rows] of groupBy(given, (row) => row.dataset)) {
      const hash = createHash('sha256').update(JSON.stringify(rows)).digest('hex');
      results.set(dataset, { rows, hash });
    }
    return { success, datasets, delivered, results };
  }

  /**
   * Returns the datasets that changed, files that go when the commit is on disk, and how many rows
   * went to the dead letters by `<task>: <reason>`.
   */
  commit(
    tx: BatchTx,
    { success, datasets, delivered, results }: PreparedSuccess,
    place: SuccessPlace,
  ): CommittedSuccess {
    const { run, now } = place;
    this.#remember(tx, success, place);
    const { updates, replaced } = this.#datasets.commit(tx, datasets, {
      job: run.job,
      run: run.id,
      now,
    });
    for (const { record, write } of updates) {
      for (const value of delivered.get(write) ?? []) {
        const { name: dataset, start, end, revision } = record;
        const time = Math.max(start, end - 1);
        const span = { windowStart: start, windowEnd: end, time, revision };
        const key = write.key === undefined ? null : (columnOf(value, write.key) ?? null);
        tx.row(place.run, rowText(place, { dataset, key, value, ...span }));
      }
    }
    for (const [dataset, sent] of results) this.#send(tx, place, dataset, sent);
    const removed = this.#datasets.remove(tx, success.removedDatasets ?? []);
    const letters = this.#bury(tx, success, place);
    return { updates, garbage: [...replaced, ...removed], letters };
  }

  #bury(
    tx: BatchTx,
    { deadRows = [], deadRowCount = deadRows.length }: TaskSuccess,
    { run, task, now }: SuccessPlace,
  ): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    const kept = deadRows.slice(0, limits.taskDeadRowsMax);
    for (const { reason, message, value } of kept) {
      const record = { topic: '', payload: value, time: run.partition.start };
      const at = epochMs(now);
      tx.deadLetter(run.job, run.version, { step: task, reason, message, record, at });
      const key = deadLetterKey(task, reason);
      counts[key] = (counts[key] ?? 0) + 1;
    }
    // Of those that are not kept nobody knows the reason any more.
    const rest = Math.max(deadRowCount, deadRows.length) - kept.length;
    if (rest > 0) counts[OTHER_DEAD_LETTERS] = rest;
    return counts;
  }

  #remember(tx: BatchTx, success: TaskSuccess, { run: { n, tries }, stored }: SuccessPlace): void {
    if (success.history !== undefined) {
      const values = success.history.slice(-limits.taskHistoryMax);
      this.cursorsForgotten += makeRoom(this.#store, tx, stored.history);
      tx.put(stored.history, { values, n } satisfies HistoryRecord);
    }
    const { cursor: key } = stored;
    if (success.cursor === undefined || key === null) return;
    const before = this.#store.get<CursorRecord>(key);
    if (before !== undefined && before.n > n) return;
    this.cursorsForgotten += makeRoom(this.#store, tx, key);
    tx.put(key, { value: success.cursor, n, tries } satisfies CursorRecord);
  }

  #send(
    tx: BatchTx,
    place: SuccessPlace,
    dataset: string,
    { rows, hash }: { readonly rows: readonly ResultRow[]; readonly hash: string },
  ): void {
    const revision = this.#newRevision(tx, place, dataset, hash);
    if (revision === undefined) return;
    const { start, end } = place.run.partition;
    for (const { key: rowKey, time, value } of rows) {
      const span = { windowStart: start, windowEnd: end, time, revision };
      tx.row(place.run, rowText(place, { dataset, key: rowKey, value, ...span }));
    }
  }

  /** Undefined where it is the same as before. */
  #newRevision(
    tx: BatchTx,
    { run, task, index }: Pick<SuccessPlace, 'index' | 'run' | 'task'>,
    name: string,
    hash: string,
  ): number | undefined {
    const key = keys.sent(run.job, run.partition.id, task, index, name);
    const before = this.#store.get<SentRecord>(key) ?? null;
    if (before?.hash === hash) return undefined;
    const revision = sentRevision(before, hash);
    tx.put(key, { hash, revision } satisfies SentRecord);
    return revision;
  }

  async #rowsOf(
    { dataset, key, table, withheld = [] }: DatasetWrite,
    sent: SentRows,
    signal: AbortSignal,
  ): Promise<readonly Json[]> {
    sent.expect(table.rows);
    const rows: Json[] = [];
    const isShown = ([name]: readonly [string, Json]): boolean => !withheld.includes(name);
    for await (const chunk of this.#files.read(table)) {
      signal.throwIfAborted();
      for (const row of chunk) {
        const shown =
          withheld.length === 0 ? row : Object.fromEntries(Object.entries(row).filter(isShown));
        const rowKey = key === undefined ? null : (columnOf(shown, key) ?? null);
        sent.add(dataset, rows.length + 1, rowKey, shown);
        rows.push(shown);
      }
    }
    return rows;
  }
}

function rowText(
  { run, task, now }: SuccessPlace,
  row: Pick<
    RowText,
    'dataset' | 'key' | 'revision' | 'time' | 'value' | 'windowEnd' | 'windowStart'
  >,
): string {
  const text: RowText = {
    kind: 'result',
    job: run.job,
    version: run.version,
    step: task,
    ...row,
    at: now,
  };
  return JSON.stringify(text);
}

function columnOf(row: Json, column: string): Json | undefined {
  return (row as Readonly<Record<string, Json>>)[column];
}

function groupBy<T>(list: readonly T[], of: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const name = of(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return groups;
}
