/**
 * Jobs that wait for a dataset which a failed run should have updated, and those that wait for
 * what these would make, however far: a condition of each, until a dataset that it waits for is
 * updated, the job that failed succeeds, or the job that waits is gone.
 *
 * It is stored, so that a restart tells it again; a later failure takes the place of one before.
 */
import type { Conditions } from '../../resources/conditions.ts';
import { runKey } from '../dag/task-scope.ts';
import type { RunRecord } from '../records.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys, type UpstreamRecord } from './job-record.ts';

/** A job that cannot go on without what another makes. */
export interface Downstream {
  readonly name: string;
  /** The job between them, that waits itself; null where there is none. */
  readonly via: string | null;
}

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

  /** `via`: the job between the two, that waits itself. */
  failed(tx: BatchTx, { name: waiting, via }: Downstream, run: RunRecord, now: number): void {
    const through = via === null ? {} : { via };
    const record: UpstreamRecord = { job: run.job, run: runKey(run), at: now, ...through };
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

  #tell(waiting: string, { run, via }: UpstreamRecord): void {
    const behind = via === undefined ? '' : `${via}, which waits for `;
    this.#conditions.set({
      type: conditionOf(waiting),
      axis: 'jobs',
      severity: 'warning',
      reason: 'UpstreamFailed',
      message:
        `${waiting} waits for ${behind}a dataset that run ${run} should have updated: ` +
        'it failed',
    });
  }
}

function conditionOf(job: string): string {
  return `batch/upstream/${job}`;
}
