/**
 * The jobs of this agent in the commit cycle: live ones get what comes in, lagging ones read the
 * journal in slices between it, and one that throws is tried again after a growing pause while the
 * others go on.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { jittered, type Random } from '@runnel/shared/random.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import type { Journal } from '../journal/journal.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { CommitCycle } from './commit-cycle.ts';
import { FAILURES_MAX, JobHost, type JobHostOptions } from './job-host.ts';
import type { OutputTargets } from './job-outputs.ts';
import { type JobRecord, NO_TOTALS, putGarbage, readJobs, readTotals } from './job-record.ts';
import type { RunnableJob } from './runnable-job.ts';
import type { JobsInCycle, StageContext } from './participant.ts';
import { StateBudget } from './state-budget.ts';
import { StateGarbage } from './state-garbage.ts';
import type { StreamItem } from './stream-item.ts';

const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 60_000;
/** One slice of catching up: short enough not to be seen in the latency of live jobs. */
const SLICE_MS = 4;
/** A job this close to the head is brought there within a commit. */
const JOIN_RECORDS_MAX = 2000;
/** A version that has run so long without failing is confirmed: the one before is let go. */
export const CONFIRM_RUN_MS = 600_000;

export interface JobSetOptions {
  readonly store: CheckpointStore;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly targets: OutputTargets;
  readonly stateBytesMax: number;
  /** Compiles what a record names; throws when this release cannot. */
  readonly compile: (record: JobRecord) => RunnableJob;
  /** An unconfirmed version fails again and again: the one before should come back. */
  readonly giveUp: (host: JobHost, error: unknown) => void;
  /** A phase changed. */
  readonly changed: (host: JobHost) => void;
}

export class JobSet implements JobsInCycle {
  readonly #options: JobSetOptions;
  readonly #budget: StateBudget;
  readonly #garbage: StateGarbage;
  readonly hosts = new Map<string, JobHost>();
  #cycle: CommitCycle | undefined;
  #once: ((tx: StoreTx) => void)[] = [];
  /** Want to start, and wait until no commit is in flight. */
  readonly #starting = new Set<JobHost>();
  readonly #retries = new Map<JobHost, () => void>();
  #slicing = false;
  #closed = false;

  constructor(options: JobSetOptions) {
    this.#options = options;
    this.#budget = new StateBudget(options.stateBytesMax);
    this.#garbage = new StateGarbage(options.store);
  }

  attach(cycle: CommitCycle): void {
    this.#cycle = cycle;
  }

  get isDirty(): boolean {
    if (this.#once.length > 0 || this.#garbage.isDirty) return true;
    for (const host of this.hosts.values()) if (host.isDirty) return true;
    return false;
  }

  get isUrgent(): boolean {
    for (const host of this.hosts.values()) if (host.isUrgent) return true;
    return false;
  }

  get keepFrom(): number {
    let keepFrom = Infinity;
    for (const host of this.hosts.values()) {
      if (host.runnable.onLag === 'block') keepFrom = Math.min(keepFrom, host.neededBlock);
    }
    return keepFrom;
  }

  /** Blocks before it have been read by every job. */
  get readUpTo(): number {
    let block = Infinity;
    for (const host of this.hosts.values()) block = Math.min(block, host.neededBlock);
    return block;
  }

  get stateBytes(): number {
    return this.#budget.bytes;
  }

  /** A host for a record; it is not started and not yet among `hosts`. */
  host(record: JobRecord, runnable: RunnableJob): JobHost {
    const { store, journal, clock, targets } = this.#options;
    const options: JobHostOptions = {
      store,
      journal,
      budget: this.#budget,
      targets,
      monotonicMs: () => clock.monotonicMs(),
      failed: (host, error) => this.#failed(host, error),
    };
    const known = this.hosts.get(record.name)?.totals();
    const totals = known ?? readTotals(store, record.name) ?? NO_TOTALS;
    return new JobHost(options, record, runnable, totals);
  }

  /** Makes `start` happen when no commit is in flight, since state is read from disk. */
  start(host: JobHost): void {
    this.#starting.add(host);
    this.#startWaiting();
  }

  /** Something more for the next commit. */
  once(write: (tx: StoreTx) => void): void {
    this.#once.push(write);
  }

  /** Removes a host and stops it; what it has not committed is gone. */
  remove(host: JobHost): void {
    this.#starting.delete(host);
    this.#retries.get(host)?.();
    this.#retries.delete(host);
    host.pause('stopped');
    if (this.hosts.get(host.record.name) === host) this.hosts.delete(host.record.name);
    this.#options.conditions.clear(`jobs/${host.record.name}`);
  }

  discardState(tx: StoreTx, slot: number): void {
    putGarbage(tx, slot);
    this.#garbage.add(slot);
  }

  process(items: readonly StreamItem[]): void {
    for (const host of this.hosts.values()) host.process(items);
  }

  join(): void {
    const { journal } = this.#options;
    for (const host of this.hosts.values()) {
      if (!host.isCatchingUp) continue;
      if (journal.recordsTotal - host.position.records > JOIN_RECORDS_MAX) continue;
      if (host.catchUp(Infinity)) this.#joined(host);
    }
  }

  nextTickMs(): number | undefined {
    let earliest: number | undefined;
    for (const host of this.hosts.values()) {
      const due = host.nextTickMs();
      if (due !== undefined && (earliest === undefined || due < earliest)) earliest = due;
    }
    return earliest;
  }

  stage(tx: StoreTx, context: StageContext): void {
    for (const host of this.hosts.values()) {
      host.skipDropped();
      host.stage(tx, context.commit);
    }
    for (const write of this.#once) write(tx);
    this.#once = [];
    this.#garbage.stage(tx);
  }

  committed(commit: number): void {
    this.#garbage.committed();
    this.#budget.enforce(commit);
    this.#confirm();
    // The cycle is told when all participants have heard of the commit.
    setImmediate(() => this.#startWaiting());
    this.#sliceSoon();
  }

  reload(): void {
    this.#once = [];
    this.#garbage.reload();
    const compiled = new Map([...this.hosts.values()].map((host) => [host.record.name, host]));
    for (const host of compiled.values()) this.remove(host);
    for (const record of readJobs(this.#options.store)) {
      const before = compiled.get(record.name);
      const same = before?.record.current.slot === record.current.slot;
      try {
        const runnable = same ? before.runnable : this.#options.compile(record);
        const host = this.host(record, runnable);
        this.hosts.set(record.name, host);
        if (before !== undefined && before.phase !== 'pending' && !record.paused) this.start(host);
      } catch (error) {
        this.#options.log.error({ job: record.name, error: messageOf(error) }, 'job is lost');
      }
    }
    // The failed commit is over by then.
    setImmediate(() => this.#startWaiting());
  }

  /** Reads on for the jobs that lag, a slice of each at a time. */
  #sliceSoon(): void {
    if (this.#slicing || this.#closed) return;
    if (![...this.hosts.values()].some((host) => host.isCatchingUp)) return;
    this.#slicing = true;
    setImmediate(() => {
      this.#slicing = false;
      if (this.#closed) return;
      let more = false;
      for (const host of this.hosts.values()) {
        if (!host.isCatchingUp) continue;
        const reached = host.catchUp(SLICE_MS);
        if (reached && this.#cycle?.isAtHead === true) this.#joined(host);
        else if (!reached && host.canSlice) more = true;
      }
      this.#cycle?.wake();
      if (more) this.#sliceSoon();
    });
  }

  #joined(host: JobHost): void {
    host.join();
    this.#options.conditions.clear(`jobs/${host.record.name}`);
    this.#options.changed(host);
  }

  #startWaiting(): void {
    if (this.#cycle === undefined || this.#cycle.isCommitting || this.#closed) return;
    for (const host of this.#starting) {
      this.#starting.delete(host);
      if (this.hosts.get(host.record.name) !== host) continue;
      host.start(this.#cycle.isAtHead);
      if (host.isLive) this.#joined(host);
      else this.#options.changed(host);
    }
    this.#cycle.wake();
    this.#sliceSoon();
  }

  #failed(host: JobHost, error: unknown): void {
    const { log, conditions, clock, random, giveUp, changed } = this.#options;
    const { name, previous, current } = host.record;
    const message = messageOf(error);
    log.warn({ job: name, version: current.version, error: message }, 'job failed');
    // One that was only tried beside the running version is its caller's to report.
    if (this.hosts.get(name) !== host) return;
    conditions.set({
      type: `jobs/${name}`,
      axis: 'jobs',
      severity: 'error',
      reason: 'Failing',
      message: `version ${current.version}: ${message}`.slice(0, 2000),
    });
    changed(host);
    if (previous !== null && host.failures >= FAILURES_MAX) {
      giveUp(host, error);
      return;
    }
    const pauseMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (host.failures - 1));
    this.#retries.get(host)?.();
    const cancel = clock.after(jittered(random, pauseMs), () => {
      this.#retries.delete(host);
      this.start(host);
    });
    this.#retries.set(host, cancel);
    this.#cycle?.wake();
  }

  #confirm(): void {
    const runMs = this.#cycle?.runMs ?? 0;
    for (const host of this.hosts.values()) {
      const { previous } = host.record;
      if (previous === null || !host.isLive || host.failures > 0) continue;
      if (runMs - previous.runMs < CONFIRM_RUN_MS) continue;
      host.update({ previous: null, deaths: 0 });
      this.once((tx) => this.discardState(tx, previous.version.slot));
    }
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#retries.values()) cancel();
    this.#retries.clear();
  }
}
