/**
 * Checks the records that are derived from others, and mends those that differ: for the task
 * `reindex`. What is derived, and from what:
 *
 * | record                    | is right when                                                     |
 * |---------------------------|-------------------------------------------------------------------|
 * | `['runs', job, n]`        | it names the run of that job and number; each run has one         |
 * | `['open', run]`           | the run has not ended; each such run has one                      |
 * | `['given', run]`, `task`  | there is such a run                                               |
 * | `['partition', job, id]`  | it says how the run that it names ended; each partition of which  |
 * |                           | a run ended has one, while they are fewer than are kept           |
 * | `nextRun` of a job        | it is above the number of each of its runs                        |
 * | lanes of the outbox       | rows and bytes are those that lie there (outbox/row-lane.ts)      |
 *
 * Guarantees: safe while jobs run. Everything is looked at in steps between which the agent goes
 * on; what differs is only suspected, is looked at again within the commit that mends all of it,
 * and in that nothing comes between. A run, a cursor, a dataset is never removed: they are what the
 * others are derived from. What a run was given or a task put out cannot be made anew.
 *
 * Bound: `limits.reindexRepairsMax` repairs; what is over is mended by the next attempt.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import { hasEnded } from '@runnel/shared/protocol/runs.ts';
import type { LaneRecount } from '../../outbox/outbox.ts';
import type { PartitionRecord, RunRecord } from '../records.ts';
import type { IndexCare, IndexReport } from '../tasks/task-services.ts';
import type { BatchJobHost, BatchJobs } from './batch-jobs.ts';
import type { BatchKey, BatchStore, BatchTx } from './batch-store.ts';
import { keys } from './job-record.ts';
import type { RunSet } from './run-set.ts';

export interface StoreIndexOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly runs: RunSet;
  readonly clock: Clock;
  readonly recountLanes: (mend: boolean) => Promise<LaneRecount>;
}

type Fault = 'missing' | 'orphaned' | 'wrong';

interface Found {
  readonly fault: Fault;
  readonly mend: (tx: BatchTx) => void;
}

/** What is wrong with one record as the store is now. */
type Check = () => Found | undefined;

/** Looked at in one go: about a millisecond. */
const CHECKS_PER_TURN = 100;

export class StoreIndex implements IndexCare {
  readonly #options: StoreIndexOptions;

  constructor(options: StoreIndexOptions) {
    this.#options = options;
  }

  async rebuild(dryRun: boolean, signal: AbortSignal): Promise<IndexReport> {
    const { clock, recountLanes, store } = this.#options;
    const suspects: Check[] = [];
    const faults: Record<Fault, number> = { missing: 0, orphaned: 0, wrong: 0 };
    let checked = 0;
    for (const check of this.#checks()) {
      if (++checked % CHECKS_PER_TURN === 0) {
        await clock.sleep(0, signal);
        signal.throwIfAborted();
      }
      const found = check();
      if (found === undefined) continue;
      faults[found.fault]++;
      if (suspects.length < limits.reindexRepairsMax) suspects.push(check);
    }
    const lanes = await recountLanes(!dryRun);
    let repaired = dryRun ? 0 : lanes.wrong;
    if (!dryRun && suspects.length > 0) {
      signal.throwIfAborted();
      await store.commit((tx) => {
        for (const check of suspects) {
          const found = check();
          found?.mend(tx);
          if (found !== undefined) repaired++;
        }
      });
    }
    const wrong = faults.wrong + lanes.wrong;
    return { ...faults, checked: checked + lanes.checked, wrong, repaired };
  }

  *#checks(): Iterable<Check> {
    const { jobs, store } = this.#options;
    const highest = new Map<string, number>();
    const newest = new Map<string, RunRecord>();
    for (const [, id] of store.keys(['run'])) {
      const run = store.get<RunRecord>(keys.run(String(id)));
      if (run === undefined) continue;
      yield () => this.#unnumbered(run.id);
      yield () => this.#notOpen(run.id);
      highest.set(run.job, Math.max(highest.get(run.job) ?? 0, run.n));
      if (!hasEnded(run.state)) continue;
      const partition = JSON.stringify([run.job, run.partition.id]);
      if ((newest.get(partition)?.endedAt ?? -1) < (run.endedAt ?? 0)) newest.set(partition, run);
    }
    for (const key of store.keys(['runs'])) yield () => this.#numberOfNothing(key);
    for (const key of store.keys(['open'])) yield () => this.#openOfNothing(key);
    for (const kind of ['given', 'task']) {
      for (const key of store.keys([kind])) yield () => this.#partOfNothing(key);
    }
    for (const host of jobs.hosts.values()) {
      yield () => this.#numberTaken(host, highest.get(host.name) ?? 0);
    }
    for (const { id } of newest.values()) yield () => this.#completion(id);
    for (const key of store.keys(['partition'])) yield () => this.#completionOfAnother(key);
  }

  #run(id: unknown): RunRecord | undefined {
    return this.#options.store.get<RunRecord>(keys.run(String(id)));
  }

  #unnumbered(id: string): Found | undefined {
    const run = this.#run(id);
    if (run === undefined) return undefined;
    const key = keys.numbered(run.job, run.n);
    const named = this.#options.store.get<string>(key);
    if (named === id) return undefined;
    const other = named === undefined ? undefined : this.#run(named);
    // Two runs of one number: both stay, the list keeps the one it has.
    if (other?.job === run.job && other.n === run.n) return undefined;
    const fault = named === undefined ? 'missing' : 'wrong';
    return { fault, mend: (tx) => tx.put(key, id) };
  }

  #numberOfNothing(key: BatchKey): Found | undefined {
    const id = this.#options.store.get<string>(key);
    if (id === undefined) return undefined;
    const run = this.#run(id);
    if (run?.job === key[1] && run?.n === key[2]) return undefined;
    return { fault: 'orphaned', mend: (tx) => tx.remove(key) };
  }

  #notOpen(id: string): Found | undefined {
    const run = this.#run(id);
    if (run === undefined || hasEnded(run.state)) return undefined;
    const key = keys.open(id);
    if (this.#options.store.has(key)) return undefined;
    return { fault: 'missing', mend: (tx) => tx.put(key, {}) };
  }

  #openOfNothing(key: BatchKey): Found | undefined {
    const { runs, store } = this.#options;
    const id = String(key[1]);
    if (!store.has(key) || runs.get(id) !== undefined) return undefined;
    const run = this.#run(id);
    if (run !== undefined && !hasEnded(run.state)) return undefined;
    return { fault: 'orphaned', mend: (tx) => tx.remove(key) };
  }

  #partOfNothing(key: BatchKey): Found | undefined {
    if (!this.#options.store.has(key) || this.#run(key[1]) !== undefined) return undefined;
    return { fault: 'orphaned', mend: (tx) => tx.remove(key) };
  }

  #numberTaken(host: BatchJobHost, highest: number): Found | undefined {
    // A host that was taken away meanwhile has nothing to be mended.
    if (this.#options.jobs.hosts.get(host.name) !== host) return undefined;
    if (host.record.nextRun > highest) return undefined;
    return { fault: 'wrong', mend: (tx) => host.update(tx, { nextRun: highest + 1 }) };
  }

  /** Of a partition that has none. */
  #completion(id: string): Found | undefined {
    const { jobs, store } = this.#options;
    const run = this.#run(id);
    if (run === undefined || !hasEnded(run.state) || !jobs.hosts.has(run.job)) return undefined;
    const key = keys.partition(run.job, run.partition.id);
    if (store.has(key)) return undefined;
    // The oldest are let go where there are too many, and those are not to come back.
    if (store.keys(['partition', run.job]).length >= limits.batchPartitionsKeptMax) {
      return undefined;
    }
    return { fault: 'missing', mend: (tx) => tx.put(key, completionOf(run)) };
  }

  /** One that says something else than the run that it names; a run that goes on again may. */
  #completionOfAnother(key: BatchKey): Found | undefined {
    const done = this.#options.store.get<PartitionRecord>(key);
    const run = done === undefined ? undefined : this.#run(done.run);
    if (done === undefined || run === undefined || !hasEnded(run.state)) return undefined;
    if (run.job !== done.job || run.partition.id !== done.partition.id) return undefined;
    if (done.state === run.state && done.version === run.version) return undefined;
    return { fault: 'wrong', mend: (tx) => tx.put(key, completionOf(run)) };
  }
}

function completionOf(run: RunRecord): PartitionRecord {
  const { job, partition, id, version, endedAt } = run;
  const state = run.state as PartitionRecord['state'];
  return { job, partition, state, run: id, version, endedAt: endedAt ?? run.queuedAt };
}
