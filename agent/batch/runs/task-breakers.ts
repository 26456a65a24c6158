/** The circuit breakers of tasks, stored per job and task (dag/circuit-breaker.ts). */
import type { TaskDefinition } from '@runnel/shared/definitions/batch-job.ts';
import {
  type BreakerEvent,
  type BreakerRecord,
  breakerRecord,
  CLOSED,
  transition,
} from '../dag/circuit-breaker.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys } from './job-record.ts';

export class TaskBreakers {
  readonly #store: BatchStore;
  /** Read since the process started: calls that were under way before it never end. */
  readonly #known = new Set<string>();

  constructor(store: BatchStore) {
    this.#store = store;
  }

  /** An attempt wants to begin; `write` belongs in the commit that says so. */
  call(
    job: string,
    task: TaskDefinition,
    now: number,
  ): { readonly refusedForMs: number | null; readonly write: (tx: BatchTx) => void } {
    const policy = task.circuitBreaker;
    if (policy === null) return { refusedForMs: null, write: () => undefined };
    const before = this.#read(job, task, now);
    const { record, refusedForMs } = transition(before, { kind: 'call' }, policy, now);
    const write = (tx: BatchTx): void => {
      if (record !== before) tx.put(keys.breaker(job, task.id), record);
    };
    return { refusedForMs, write };
  }

  ended(tx: BatchTx, job: string, task: TaskDefinition, event: BreakerEvent, now: number): void {
    const policy = task.circuitBreaker;
    if (policy === null) return;
    const before = this.#read(job, task, now);
    const { record } = transition(before, event, policy, now);
    if (record !== before) tx.put(keys.breaker(job, task.id), record);
  }

  #read(job: string, task: TaskDefinition, now: number): BreakerRecord {
    const stored = this.#store.get(keys.breaker(job, task.id));
    const record = stored === undefined ? CLOSED : breakerRecord.parse(stored);
    const name = `${job}/${task.id}`;
    if (this.#known.has(name) || task.circuitBreaker === null) return record;
    this.#known.add(name);
    return transition(record, { kind: 'restarted' }, task.circuitBreaker, now).record;
  }
}
