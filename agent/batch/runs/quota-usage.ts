/** When the runs of a job began and what they took, for its quota; of jobs that have one only. */
import type { RunUsage } from '../dag/run-admission.ts';
import type { RunRecord, TaskRecord } from '../records.ts';
import type { BatchStore } from './batch-store.ts';
import { keys } from './job-record.ts';

interface Usage {
  readonly run: string;
  startedAt: number;
  taskMs: number;
}

export class QuotaUsage {
  readonly #store: BatchStore;
  readonly #byJob = new Map<string, Usage[]>();

  constructor(store: BatchStore) {
    this.#store = store;
  }

  /** Runs that began within the last `perMs`. */
  of(job: string, perMs: number, now: number): readonly RunUsage[] {
    const known = this.#byJob.get(job) ?? this.#stored(job, now - perMs);
    const recent = known.filter(({ startedAt }) => startedAt > now - perMs);
    this.#byJob.set(job, recent);
    return recent;
  }

  /** The time was another one all along. */
  redate(deltaMs: number): void {
    for (const each of [...this.#byJob.values()].flat()) each.startedAt += deltaMs;
  }

  started(job: string, run: string, startedAt: number): void {
    const usage = this.#byJob.get(job);
    // A start that could not be committed comes again.
    if (usage?.some((each) => each.run === run) !== true)
      usage?.push({ run, startedAt, taskMs: 0 });
  }

  used(job: string, run: string, tookMs: number): void {
    const usage = this.#byJob.get(job)?.find((each) => each.run === run);
    if (usage !== undefined) usage.taskMs += tookMs;
  }

  #stored(job: string, fromMs: number): Usage[] {
    const found: Usage[] = [];
    const ids = this.#store.list<string>(['runs', job]).toReversed();
    for (const { value: id } of ids) {
      const run = this.#store.get<RunRecord>(keys.run(id));
      if (run === undefined || run.startedAt === null) continue;
      if (run.startedAt <= fromMs) break;
      found.push({ run: id, startedAt: run.startedAt, taskMs: this.#taskMs(id) });
    }
    return found;
  }

  #taskMs(run: string): number {
    let sum = 0;
    for (const { value } of this.#store.list<TaskRecord>(['task', run])) {
      if (value.items === null && value.startedAt !== null && value.endedAt !== null) {
        sum += value.endedAt - value.startedAt;
      }
    }
    return sum;
  }
}
