/**
 * Jobs that wait for a dataset which a failed run should have updated: a condition of each, until
 * the dataset is updated, the job that failed succeeds, or the job that waits is gone.
 *
 * It is stored, so that a restart tells it again; a later failure takes the place of one before.
 */
import type { Conditions } from '../../resources/conditions.ts';
import { runKey } from '../dag/task-scope.ts';
import type { RunRecord } from '../records.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys, type UpstreamRecord } from './job-record.ts';

export class UpstreamFailures {
  readonly #store: BatchStore;
  readonly #conditions: Conditions;

  constructor(store: BatchStore, conditions: Conditions) {
    this.#store = store;
    this.#conditions = conditions;
  }

  /** Tells what was stored when the agent stopped. */
  load(): void {
    for (const { key, value } of this.#store.list<UpstreamRecord>(['upstream'])) {
      this.#tell(String(key[1]), value);
    }
  }

  failed(tx: BatchTx, waiting: string, run: RunRecord, now: number): void {
    const record: UpstreamRecord = { job: run.job, run: runKey(run), at: now };
    tx.put(keys.upstream(waiting), record);
    this.#tell(waiting, record);
  }

  /** Its dataset was updated; with `by` only if it was this job that had failed. */
  over(tx: BatchTx, waiting: string, by?: string): void {
    const known = this.#store.get<UpstreamRecord>(keys.upstream(waiting));
    if (known === undefined || (by !== undefined && known.job !== by)) return;
    tx.remove(keys.upstream(waiting));
    this.untell(waiting);
  }

  /** The job is gone, and its record with it. */
  untell(waiting: string): void {
    this.#conditions.clear(conditionOf(waiting));
  }

  #tell(waiting: string, { run }: UpstreamRecord): void {
    this.#conditions.set({
      type: conditionOf(waiting),
      axis: 'jobs',
      severity: 'warning',
      reason: 'UpstreamFailed',
      message: `${waiting} waits for a dataset that run ${run} should have updated: it failed`,
    });
  }
}

function conditionOf(job: string): string {
  return `batch/upstream/${job}`;
}
