/**
 * Lets old runs go: ended ones beyond `limits.batchRunsKeptMax` of a job or older than
 * `limits.batchRunsKeptMsMax`, with their tasks, tables and logs; and logs beyond
 * `limits.runLogsBytesMax` over all jobs, those of the oldest runs first.
 *
 * A run that ended before the device knew the time is as old as the next one that ended after it:
 * until there is one it is not too old.
 *
 * Files go after the commit that forgets them: a crash in between leaves files that no record
 * refers to, which the next start sweeps.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '@runnel/shared/limits.ts';
import { namesIn } from '../../config/names-in.ts';
import type { PartitionRecord, RunRecord } from '../records.ts';
import { CLOCK_FLOOR_MS } from '../schedule/batch-clock.ts';
import type { TableFiles } from '../tables/table-files.ts';
import type { BatchJobHost, BatchJobs } from './batch-jobs.ts';
import type { BatchKey, BatchStore, BatchTx } from './batch-store.ts';
import { keys } from './job-record.ts';
import { logPath } from './run-log.ts';
import { removeLog } from './run-logs.ts';

/** Runs that go in one commit: what is over goes with the next ones. */
const RUNS_PER_COMMIT = 10;

export class Retention {
  readonly #store: BatchStore;
  readonly #jobs: BatchJobs;
  readonly #files: TableFiles;
  /** Since the start of the process. */
  runsTrimmed = 0;
  partitionsTrimmed = 0;
  logsTrimmed = 0;

  constructor(store: BatchStore, jobs: BatchJobs, files: TableFiles) {
    this.#store = store;
    this.#jobs = jobs;
    this.#files = files;
  }

  /**
   * Within a commit; returns the runs whose files go when it is on disk. A run that goes on is
   * passed over: those that ended after it go all the same.
   */
  trim(tx: BatchTx, host: BatchJobHost, now: number): readonly string[] {
    const { name } = host;
    const kept = this.#store.list<string>(['runs', name]);
    let over = this.#endedOver(kept.map(({ value }) => value));
    const gone = new Set<string>();
    for (const { key, value: id } of kept) {
      if (gone.size >= RUNS_PER_COMMIT) break;
      const run = this.#store.get<RunRecord>(keys.run(id));
      if (run === undefined || run.endedAt === null || this.#store.has(keys.open(id))) continue;
      const endedMs = this.#endedMs(host, Number(key[2]), run.endedAt) ?? now;
      if (over <= 0 && now - endedMs <= limits.batchRunsKeptMsMax) break;
      gone.add(this.forget(tx, run));
      over--;
    }
    if (gone.size === 0) return [];
    this.runsTrimmed += gone.size;
    const first = kept.find(({ value }) => !gone.has(value))?.key[2];
    host.update(tx, { firstRun: Number(first ?? host.record.nextRun) });
    this.#jobs.removeVersions(tx, name, this.#versionsOf(name));
    return [...gone];
  }

  /** How many of the runs that have ended are too many. */
  #endedOver(runs: readonly string[]): number {
    if (runs.length <= limits.batchRunsKeptMax) return 0;
    const ended = runs.filter((id) => !this.#store.has(keys.open(id)));
    return ended.length - limits.batchRunsKeptMax;
  }

  /** When the `n`th run ended at the latest, by a clock that knew the time; null: unknown. */
  #endedMs({ name, record }: BatchJobHost, n: number, endedAt: number): number | null {
    if (endedAt >= CLOCK_FLOOR_MS) return endedAt;
    for (let next = n + 1; next < record.nextRun; next++) {
      const id = this.#store.get<string>(keys.numbered(name, next));
      const later = id === undefined ? null : this.#store.get<RunRecord>(keys.run(id))?.endedAt;
      if (later != null && later >= CLOCK_FLOOR_MS) return later;
    }
    return null;
  }

  /** All records of a run. */
  forget(tx: BatchTx, run: RunRecord): string {
    for (const key of this.keysOf(run)) tx.remove(key);
    return run.id;
  }

  keysOf({ id, job, n }: RunRecord): BatchKey[] {
    const own = [keys.run(id), keys.given(id), keys.open(id), keys.numbered(job, n)];
    return [...own, ...this.#store.keys(['task', id])];
  }

  /** Completions beyond the bound, earliest periods first; what was sent of them goes too. */
  trimPartitions(tx: BatchTx, job: string): void {
    const over = this.#store.keys(['partition', job]).length - limits.batchPartitionsKeptMax;
    if (over <= 0) return;
    const oldest = this.#store
      .list<PartitionRecord>(['partition', job])
      .toSorted((a, b) => a.value.partition.end - b.value.partition.end)
      .slice(0, over);
    for (const { key } of oldest) {
      tx.remove(key);
      for (const sent of this.#store.keys(['results', job, String(key[2])])) tx.remove(sent);
    }
    this.partitionsTrimmed += oldest.length;
  }

  async removeFiles(batchDir: string, runs: readonly string[]): Promise<void> {
    for (const run of runs) {
      await this.#files.removeRun(run);
      await removeLog(logPath(batchDir, run));
    }
  }

  /** Returns how many logs went. */
  async trimLogs(batchDir: string, isOpen: (run: string) => boolean): Promise<number> {
    const directory = join(batchDir, 'logs');
    const logs: { readonly path: string; readonly bytes: number; readonly at: number }[] = [];
    let bytes = 0;
    for (const name of await namesIn(directory)) {
      const path = join(directory, name);
      const run = name.replace(/\.jsonl$/, '');
      const { size, mtimeMs } = await stat(path);
      if (!this.#store.has(keys.run(run))) {
        await removeLog(path);
        continue;
      }
      bytes += size;
      if (!isOpen(run)) logs.push({ path, bytes: size, at: mtimeMs });
    }
    let removed = 0;
    for (const log of logs.toSorted((a, b) => a.at - b.at)) {
      if (bytes <= limits.runLogsBytesMax) break;
      await removeLog(log.path);
      bytes -= log.bytes;
      removed++;
    }
    this.logsTrimmed += removed;
    return removed;
  }

  #versionsOf(job: string): { needed: ReadonlySet<number>; open: ReadonlySet<number> } {
    const needed = new Set<number>();
    const open = new Set<number>();
    for (const { value: id } of this.#store.list<string>(['runs', job])) {
      const run = this.#store.get<RunRecord>(keys.run(id));
      if (run === undefined) continue;
      needed.add(run.version);
      if (this.#store.has(keys.open(id))) open.add(run.version);
    }
    return { needed, open };
  }
}
