/**
 * The batch engine in the agent: loaded with the first batch job, or when there is something of one
 * in the store, so that an agent of stream jobs alone carries nothing of it. What it writes goes
 * through `writes`, which is a participant of the commit cycle from the start.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { BatchEngine, BatchRuntimeOptions } from '../batch/batch-engine.ts';
import { BatchStore, type BatchStoreOptions } from '../batch/runs/batch-store.ts';
import type { CheckpointStore } from '../checkpoints/checkpoint-store.ts';
import type { RefusedJob } from './job-plan.ts';

export type BatchSlotOptions = Omit<BatchRuntimeOptions, 'checkpoints' | 'store'>;

interface Wanted<T> {
  readonly batch: readonly T[];
  readonly stream: readonly T[];
}

export class BatchSlot {
  readonly writes: BatchStore;
  readonly #store: CheckpointStore;
  readonly #options: BatchSlotOptions | undefined;
  #engine: BatchEngine | undefined;

  /** Without the rest of the options, batch jobs are refused. */
  constructor(writes: BatchStoreOptions, options?: BatchSlotOptions) {
    this.writes = new BatchStore(writes);
    this.#store = writes.store;
    this.#options = options;
  }

  get engine(): BatchEngine | undefined {
    return this.#engine;
  }

  /** Throws `no_batch_job` while there is none. */
  required(): BatchEngine {
    if (this.#engine !== undefined) return this.#engine;
    throw new RunnelError('job_unknown', 'this device has no batch jobs');
  }

  /** Which of them are its own: by the document, or by a job of that name that it has. */
  split(
    desired: readonly DesiredJob[],
    refused: readonly RefusedJob[],
  ): { readonly desired: Wanted<DesiredJob>; readonly refused: Wanted<RefusedJob> } {
    const known = new Set(this.#engine?.jobReports().map(({ name }) => name));
    const isOwn = ({ document }: DesiredJob): boolean =>
      (document as { readonly kind?: unknown } | null)?.kind === 'BatchJob';
    const parted = <T>(all: readonly T[], own: (one: T) => boolean): Wanted<T> => ({
      batch: all.filter((one) => own(one)),
      stream: all.filter((one) => !own(one)),
    });
    return {
      desired: parted(desired, isOwn),
      refused: parted(refused, ({ name }) => known.has(name)),
    };
  }

  /** Before the first `split` and `apply`: what is stored may name jobs that are refused now. */
  async load(desired: readonly DesiredJob[]): Promise<void> {
    if (this.#engine !== undefined || this.#options === undefined) return;
    const store = this.#store;
    const [stored] = store.keys('batch', { start: ['job'], end: ['job', '\uffff'], limit: 1 });
    if (stored === undefined && this.split(desired, []).desired.batch.length === 0) return;
    const { BatchRuntime } = await import('../batch/batch-runtime.ts');
    this.#engine = new BatchRuntime({ ...this.#options, checkpoints: store, store: this.writes });
  }

  async apply(desired: readonly DesiredJob[], refused: readonly RefusedJob[]): Promise<void> {
    if (this.#engine === undefined) return;
    await this.#engine.applyJobs(desired, refused);
    await this.#engine.start();
  }

  async close(): Promise<void> {
    await this.#engine?.close();
  }
}
