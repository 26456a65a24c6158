/**
 * What the batch engine cleans up: at the start, programs and files that attempts which were cut
 * off have left; every hour, what retention (retention.ts) and the answers to commands let go.
 *
 * Guarantees: a file that a record refers to is never removed; files of a run go after the commit
 * that forgets it.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { endOrphans } from '../io/command-group.ts';
import type { DatasetRecord, TaskRecord } from '../records.ts';
import { pathsIn } from '../tables/join-tables.ts';
import type { EngineTime } from '../schedule/engine-time.ts';
import type { TableFiles } from '../tables/table-files.ts';
import type { BatchJobs } from './batch-jobs.ts';
import type { BatchSpace } from './batch-space.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys } from './job-record.ts';
import type { Retention } from './retention.ts';
import type { RunSet } from './run-set.ts';

const TIDY_MS = 3_600_000;

export interface UpkeepOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly runs: RunSet;
  readonly files: TableFiles;
  readonly retention: Retention;
  readonly space: BatchSpace;
  readonly clock: Clock;
  readonly time: EngineTime;
  readonly log: Logger;
  readonly batchDir: string;
  readonly trimAnswers: (tx: BatchTx, now: number) => void;
}

export class Upkeep {
  readonly #options: UpkeepOptions;
  #cancel: (() => void) | undefined;
  /** Programs that an earlier agent left behind. */
  orphansEnded = 0;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** Before anything runs. Throws what the file system throws. */
  async sweep(): Promise<void> {
    const { batchDir, clock, files, log, runs, store } = this.#options;
    const scratch = join(batchDir, 'scratch');
    // Programs of an agent that was killed live on without it.
    const ended = await endOrphans(scratch, clock);
    this.orphansEnded += ended;
    if (ended > 0) log.warn({ ended }, 'ended programs that an earlier agent left behind');
    await rm(scratch, { recursive: true, force: true });
    const kept = this.#kept();
    const removed = await files.sweep((path) => {
      if (kept.has(path)) return true;
      const [folder, run = ''] = path.split('/');
      // What a run that has ended holds goes with it.
      return folder === 'tables' && runs.get(run) === undefined && store.has(keys.run(run));
    });
    if (removed > 0) log.info({ removed }, 'removed files of attempts that were cut off');
  }

  /** From now on, every hour. */
  start(): void {
    const { clock, log, space } = this.#options;
    space.measureAgain();
    space.check();
    this.#cancel = clock.after(TIDY_MS, () => {
      this.#tidy().catch((error: unknown) => {
        if ((error as { code?: unknown }).code === 'agent_closing') return;
        log.error({ error: messageOf(error) }, 'batch upkeep failed');
      });
      this.start();
    });
  }

  stop(): void {
    this.#cancel?.();
  }

  /** Files of datasets and of the tasks of open runs. */
  #kept(): ReadonlySet<string> {
    const { runs, store } = this.#options;
    const kept = new Set<string>();
    for (const { value } of store.list<DatasetRecord>(['dataset'])) {
      if (value.table !== null) kept.add(value.table.path);
    }
    for (const open of runs.open()) {
      const { id } = runs.runOf(open);
      for (const { value } of store.list<TaskRecord>(['task', id])) {
        if (value.table === null) continue;
        for (const path of pathsIn(value.table)) kept.add(path);
      }
    }
    return kept;
  }

  async #tidy(): Promise<void> {
    const { batchDir, jobs, retention, runs, store, time, trimAnswers } = this.#options;
    const gone: string[] = [];
    await store.commit((tx) => trimAnswers(tx, time.now()));
    for (const host of jobs.hosts.values()) {
      await store.commit((tx) => {
        gone.push(...retention.trim(tx, host, time.now()));
        retention.trimPartitions(tx, host.name);
      });
    }
    await retention.removeFiles(batchDir, gone);
    await retention.trimLogs(batchDir, (run) => runs.get(run) !== undefined);
  }
}
