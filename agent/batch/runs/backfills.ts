/**
 * Backfills: the partitions of a range run one after the other, or some at a time, from what is on
 * the device; no network is needed.
 *
 * A backfill is a record of its own: how far it came is in the commit that makes the next run, so a
 * restart goes on behind it and makes no run twice. Its list of partitions is never stored: the
 * range gives it again. Whether a partition is to run is judged when its turn comes.
 */
import { DefinitionError, RunnelError } from '@runnel/shared/errors.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { partitionsBetween } from '@runnel/shared/schedule/partitions.ts';
import type { PartitionRecord, RunRecord } from '../records.ts';
import type { BatchJobs, JobFacts } from './batch-jobs.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { type BackfillRecord, keys } from './job-record.ts';
import { eventRow } from './run-reports.ts';
import type { RunSet } from './run-set.ts';

interface Ongoing {
  record: BackfillRecord;
  readonly partitions: readonly Partition[];
}

export type BackfillRequest = Pick<
  BackfillRecord,
  'fromMs' | 'id' | 'job' | 'maxActive' | 'order' | 'parameters' | 'toMs' | 'which'
> & { readonly values: Readonly<Record<string, unknown>> };

export interface BackfillsOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly runs: RunSet;
  readonly now: () => number;
}

export class Backfills {
  readonly #options: BackfillsOptions;
  readonly #ongoing = new Map<string, Ongoing>();

  constructor(options: BackfillsOptions) {
    this.#options = options;
  }

  load(): void {
    const { store, jobs } = this.#options;
    for (const { value } of store.list<BackfillRecord>(['backfill'])) {
      const facts = jobs.hosts.get(value.job)?.facts;
      if (facts == null) continue;
      this.#ongoing.set(value.id, { record: value, partitions: this.#again(facts, value) });
    }
  }

  /** Goes on with those of which no run is open: no end of a run would. */
  resume(tx: BatchTx): void {
    for (const id of [...this.#ongoing.keys()]) {
      if (this.#open(id).length === 0) this.#advance(tx, id);
    }
  }

  maxOf(id: string): number | undefined {
    return this.#ongoing.get(id)?.record.maxActive;
  }

  /** What would run, in order. Throws `partitions_none`, `partitions_too_many`. */
  plan(request: Omit<BackfillRequest, 'id' | 'maxActive' | 'parameters' | 'values'>): string[] {
    const { jobs } = this.#options;
    const { facts } = jobs.required(request.job);
    return this.#partitions(facts, request, this.#options.now())
      .filter((partition) => this.#isWanted(request, partition))
      .map(({ id }) => id);
  }

  /** Returns the first runs of it. */
  begin(tx: BatchTx, request: BackfillRequest, total: number): RunRecord[] {
    const { jobs, now } = this.#options;
    const { host, facts } = jobs.required(request.job);
    const madeAt = now();
    const { values: _, ...asked } = request;
    const record: BackfillRecord = {
      ...asked,
      version: host.record.version,
      madeAt,
      next: 0,
      total,
      started: 0,
      cancelled: false,
    };
    const partitions = this.#partitions(facts, record, madeAt);
    this.#ongoing.set(record.id, { record, partitions });
    tx.undo(() => this.#ongoing.delete(record.id));
    tx.row('results', this.#event(record, 'backfill_started', `backfill of ${total} partitions`));
    return this.#advance(tx, record.id);
  }

  /** No further runs; returns those of it that are open. */
  cancel(tx: BatchTx, id: string): string[] {
    const ongoing = this.#ongoing.get(id);
    if (ongoing === undefined) throw new RunnelError('backfill_unknown', `no backfill ${id}`);
    this.#change(tx, ongoing, { cancelled: true });
    tx.put(keys.backfill(id), ongoing.record);
    const open = this.#open(id);
    if (open.length === 0) this.#end(tx, ongoing.record);
    return open.map((run) => run.id);
  }

  has(id: string): boolean {
    return this.#ongoing.has(id);
  }

  /** The next runs of every backfill that has room; `run` has just ended. */
  ended(tx: BatchTx, { backfill }: Pick<RunRecord, 'backfill'>): void {
    if (backfill !== null && this.#ongoing.has(backfill)) this.#advance(tx, backfill);
  }

  /** A job goes, and its backfills with it. */
  forget(tx: BatchTx, job: string): void {
    // Also those that have not been loaded: the job may go as the agent starts.
    for (const { key, value } of this.#options.store.list<BackfillRecord>(['backfill'])) {
      if (value.job !== job) continue;
      this.#ongoing.delete(value.id);
      tx.remove(key);
    }
  }

  #advance(tx: BatchTx, id: string): RunRecord[] {
    const { jobs, runs } = this.#options;
    const ongoing = this.#ongoing.get(id);
    if (ongoing === undefined) return [];
    const { partitions } = ongoing;
    let { record } = ongoing;
    const { host, facts } = jobs.required(record.job);
    const { parameters } = record;
    const values = record.cancelled ? undefined : this.#values(facts, parameters);
    // The job has changed, and no longer takes what the backfill gives it.
    if (values === undefined) record = { ...record, cancelled: true };
    const made: RunRecord[] = [];
    let { next } = record;
    let open = this.#open(id).length;
    while (values !== undefined && open < record.maxActive && next < partitions.length) {
      const partition = partitions[next++];
      if (partition === undefined || !this.#isWanted(record, partition)) continue;
      // A run of somebody else is making it, and its end would not bring this one further.
      if (this.#isActive(record.job, partition)) continue;
      const run = runs.create(tx, host, facts, {
        partition,
        trigger: 'backfill',
        at: partition.end,
        parameters,
        values,
        backfill: id,
      });
      made.push(run);
      open++;
    }
    const { cancelled, started } = record;
    this.#change(tx, ongoing, { cancelled, next, started: started + made.length });
    if (open === 0) this.#end(tx, ongoing.record);
    else tx.put(keys.backfill(id), ongoing.record);
    return made;
  }

  #change(tx: BatchTx, ongoing: Ongoing, fields: Partial<BackfillRecord>): void {
    const before = ongoing.record;
    tx.undo(() => (ongoing.record = before));
    ongoing.record = { ...before, ...fields };
  }

  #values(
    facts: JobFacts,
    parameters: BackfillRecord['parameters'],
  ): Readonly<Record<string, unknown>> | undefined {
    try {
      return this.#options.jobs.valuesWith(facts, parameters);
    } catch (error) {
      if (error instanceof DefinitionError) return undefined;
      throw error;
    }
  }

  /** Of a job whose partitions are others now: none are left where they cannot be listed. */
  #again(facts: JobFacts, record: BackfillRecord): readonly Partition[] {
    try {
      return this.#partitions(facts, record, record.madeAt);
    } catch (error) {
      if (error instanceof RunnelError) return [];
      throw error;
    }
  }

  #isActive(job: string, { id }: Partition): boolean {
    const { runs } = this.#options;
    return runs.open(job).some((open) => runs.runOf(open).partition.id === id);
  }

  #end(tx: BatchTx, record: BackfillRecord): void {
    const ongoing = this.#ongoing.get(record.id);
    if (ongoing !== undefined) tx.undo(() => this.#ongoing.set(record.id, ongoing));
    this.#ongoing.delete(record.id);
    tx.remove(keys.backfill(record.id));
    const how = record.cancelled ? 'was cancelled' : 'ended';
    const message = `backfill ${how} after ${record.started} of ${record.total} partitions`;
    tx.row('results', this.#event(record, 'backfill_ended', message));
  }

  #event(record: BackfillRecord, type: string, message: string): string {
    const { job, version, id, fromMs, toMs, total, started } = record;
    const fields = { backfill: id, from: fromMs, to: toMs, total, started };
    const now = this.#options.now();
    return eventRow({ job, version, type, severity: 'info', message, fields }, now);
  }

  #open(id: string): RunRecord[] {
    const { runs } = this.#options;
    return runs.open().flatMap((open) => {
      const run = runs.runOf(open);
      return run.backfill === id ? [run] : [];
    });
  }

  #isWanted({ job, which }: Pick<BackfillRecord, 'job' | 'which'>, partition: Partition): boolean {
    if (which === 'all') return true;
    const done = this.#options.store.get<PartitionRecord>(keys.partition(job, partition.id));
    return done === undefined || (which === 'failed' && done.state !== 'success');
  }

  #partitions(
    facts: JobFacts,
    { fromMs, toMs, order }: Pick<BackfillRecord, 'fromMs' | 'order' | 'toMs'>,
    now: number,
  ): readonly Partition[] {
    const oldestFirst = partitionsBetween(facts.partition, fromMs, toMs, now);
    return order === 'oldest' ? oldestFirst : oldestFirst.toReversed();
  }
}
