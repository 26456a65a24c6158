/**
 * Backfills: the partitions of a range run one after the other, or some at a time, from what is on
 * the device; no network is needed.
 *
 * A backfill is a record of its own: how far it came is in the commit that makes the next run, so a
 * restart goes on behind it and makes no run twice. Its list of partitions is never stored: the
 * range gives it again, and another version of the job may give another one. Whether a partition is
 * to run is judged when its turn comes; what is passed by is counted, and told at the end.
 */
import { DefinitionError, RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
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
  /** Of this version of the job; `next` is the position of the one behind what was reached. */
  version: number;
  partitions: readonly Partition[];
  next: number;
}

type Skipped = BackfillRecord['skipped'];
type Reason = Skipped['partitions'][number]['reason'];

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
      const host = jobs.hosts.get(value.job);
      if (host?.facts == null) continue;
      this.#ongoing.set(value.id, this.#listed(value, host.record.version, host.facts));
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

  /** Returns the first runs of it, and what was passed by before them. */
  begin(
    tx: BatchTx,
    request: BackfillRequest,
    total: number,
  ): { readonly runs: readonly RunRecord[]; readonly skipped: Skipped } {
    const { jobs, now } = this.#options;
    const { host, facts } = jobs.required(request.job);
    const madeAt = now();
    const { values: _, ...asked } = request;
    const record: BackfillRecord = {
      ...asked,
      version: host.record.version,
      madeAt,
      reached: null,
      total,
      started: 0,
      skipped: { count: 0, partitions: [] },
      stopped: null,
    };
    const ongoing = this.#listed(record, host.record.version, facts);
    this.#ongoing.set(record.id, ongoing);
    tx.undo(() => this.#ongoing.delete(record.id));
    this.#tell(tx, record, 'backfill_started', `backfill of ${total} partitions`);
    const runs = this.#advance(tx, record.id);
    return { runs, skipped: ongoing.record.skipped };
  }

  /** No further runs; its open ones are cancelled in the same commit, by the caller. */
  cancel(tx: BatchTx, id: string, stopped: string): Skipped {
    const ongoing = this.#ongoing.get(id);
    if (ongoing === undefined) throw new RunnelError('backfill_unknown', `no backfill ${id}`);
    this.#change(tx, ongoing, { stopped }, ongoing.next);
    tx.put(keys.backfill(id), ongoing.record);
    if (this.#open(id).length === 0) this.#end(tx, ongoing.record);
    return ongoing.record.skipped;
  }

  /** Its runs that have not ended. */
  openOf(id: string): readonly string[] {
    return this.#open(id).map((run) => run.id);
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
    const { host, facts } = jobs.required(ongoing.record.job);
    this.#list(tx, ongoing, host.record.version, facts);
    const { partitions, record } = ongoing;
    const { parameters } = record;
    let { reached, skipped, stopped } = record;
    const given = stopped === null ? this.#values(facts, parameters) : stopped;
    // The job has changed, and no longer takes what the backfill gives it.
    if (typeof given === 'string') stopped = given;
    else if (partitions.length === 0) stopped = 'the job has no such partitions any more';
    const made: RunRecord[] = [];
    let { next } = ongoing;
    let open = this.#open(id).length;
    while (typeof given !== 'string' && open < record.maxActive) {
      const partition = partitions[next];
      if (partition === undefined) break;
      next++;
      reached = { id: partition.id, start: partition.start, end: partition.end };
      const verdict = this.#judge(record, partition);
      if (verdict === 'done' || verdict === 'active') skipped = passed(skipped, partition, verdict);
      if (verdict !== 'run') continue;
      const run = runs.create(tx, host, facts, {
        partition,
        trigger: 'backfill',
        at: partition.end,
        parameters,
        values: given,
        backfill: id,
      });
      made.push(run);
      open++;
    }
    const started = record.started + made.length;
    this.#change(tx, ongoing, { reached, skipped, stopped, started }, next);
    if (open === 0) this.#end(tx, ongoing.record);
    else tx.put(keys.backfill(id), ongoing.record);
    return made;
  }

  #change(tx: BatchTx, ongoing: Ongoing, fields: Partial<BackfillRecord>, next: number): void {
    const before = { ...ongoing };
    tx.undo(() => Object.assign(ongoing, before));
    ongoing.record = { ...ongoing.record, ...fields };
    ongoing.next = next;
  }

  /** Of another version of the job the partitions may be others. */
  #list(tx: BatchTx, ongoing: Ongoing, version: number, facts: JobFacts): void {
    if (ongoing.version === version) return;
    const before = { ...ongoing };
    tx.undo(() => Object.assign(ongoing, before));
    Object.assign(ongoing, this.#listed(ongoing.record, version, facts));
  }

  #listed(record: BackfillRecord, version: number, facts: JobFacts): Ongoing {
    const partitions = this.#again(facts, record);
    return { record, version, partitions, next: positionBehind(partitions, record) };
  }

  /** Effective parameters, or why there are none. */
  #values(
    facts: JobFacts,
    parameters: BackfillRecord['parameters'],
  ): Readonly<Record<string, unknown>> | string {
    try {
      return this.#options.jobs.valuesWith(facts, parameters);
    } catch (error) {
      if (!(error instanceof DefinitionError)) throw error;
      return `the job no longer takes its parameters: ${error.message}`.slice(0, 500);
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

  /** `never`: nobody asked for it, or this backfill has made it, under another list. */
  #judge(record: BackfillRecord, partition: Partition): Reason | 'never' | 'run' {
    const { store } = this.#options;
    const done = store.get<PartitionRecord>(keys.partition(record.job, partition.id));
    const by = done === undefined ? undefined : store.get<RunRecord>(keys.run(done.run));
    if (by?.backfill === record.id) return 'never';
    if (!this.#isWanted(record, partition)) {
      return (done?.endedAt ?? 0) >= record.madeAt ? 'done' : 'never';
    }
    // A run of somebody else is making it, and its end would not bring this one further.
    return this.#isActive(record.job, partition) ? 'active' : 'run';
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
    const { skipped, started, stopped, total } = record;
    const how = stopped === null ? 'ended' : `was stopped (${stopped})`;
    const names = skipped.partitions.map(({ partition, reason }) => `${partition} (${reason})`);
    if (skipped.count > names.length) names.push('…');
    const told = skipped.count === 0 ? '' : `; passed by ${skipped.count}: ${names.join(', ')}`;
    const message = `backfill ${how} after ${started} of ${total} partitions${told}`;
    this.#tell(tx, record, 'backfill_ended', message);
  }

  #tell(tx: BatchTx, record: BackfillRecord, type: string, message: string): void {
    const { job, version, id, fromMs, toMs, total, started, skipped, stopped } = record;
    const fields = { backfill: id, from: fromMs, to: toMs, total, started, skipped, stopped };
    const { jobs, now } = this.#options;
    const origin = jobs.hosts.get(job)?.origin ?? { job, priority: 0 };
    tx.row(origin, eventRow({ job, version, type, severity: 'info', message, fields }, now()));
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

function passed({ count, partitions }: Skipped, { id }: Partition, reason: Reason): Skipped {
  const isNamed = partitions.length < limits.backfillSkippedNamedMax;
  const named = isNamed ? [...partitions, { partition: id, reason }] : partitions;
  return { count: count + 1, partitions: named };
}

/**
 * Where a list goes on. Where the partition that was reached is not in it (another version of the
 * job): at what lies behind its period, and at the keys of the same period, of which those that
 * have been made are known by their runs.
 */
function positionBehind(
  partitions: readonly Partition[],
  { order, reached }: Pick<BackfillRecord, 'order' | 'reached'>,
): number {
  if (reached === null) return 0;
  const { id, start, end } = reached;
  const found = partitions.findIndex((each) => each.id === id && each.start === start);
  if (found >= 0) return found + 1;
  const next = partitions.findIndex((each) => {
    if (each.start === start && each.end === end) return true;
    return order === 'oldest' ? each.start >= end : each.end <= start;
  });
  return next < 0 ? partitions.length : next;
}
