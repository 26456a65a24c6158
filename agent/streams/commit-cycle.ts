/**
 * The commit cycle (DESIGN.md §6.1): what comes in is gathered into journal blocks, run through the
 * jobs as soon as the event loop has taken a chunk from the sockets, and committed together with
 * offsets, state and outbox rows in one transaction. Only when that is on disk are sources told to
 * acknowledge and the outbox to send: nothing leaves before (I1).
 *
 * At most one commit is in flight; what comes meanwhile gathers. The next begins when the flush has
 * returned and there is a token (commit-pace.ts), or something is urgent: an alert, half of a
 * source's receive window, half of the gather bounds, a change asked for by the control plane.
 *
 * A failed commit throws away all that is not on disk (gathered records, state, rows), has the
 * sources get their records again and the jobs start from disk, raises the condition `storage` and
 * tries again after a growing pause. It never throws out of here.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { jittered, type Random } from '@runnel/shared/random.ts';
import type { CheckpointStore, CommitReceipt, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { encodeVersioned } from '../checkpoints/store-layout.ts';
import type { ControlEntry } from '../journal/control-entry.ts';
import type { Journal } from '../journal/journal.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { RawRecord } from '../sources/source.ts';
import { CommitMetrics } from './commit-metrics.ts';
import { CommitPace, type PaceSettings } from './commit-pace.ts';
import { Gather, type GatherBounds } from './gather.ts';
import { isFull, storageCondition } from './storage-condition.ts';
import { TickTimer } from './tick-timer.ts';
import type { JobsInCycle, Participant, SourcesInCycle } from './participant.ts';

export interface CommitCycleOptions {
  readonly store: CheckpointStore;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly pace: PaceSettings;
  readonly bounds: GatherBounds;
  readonly jobs: JobsInCycle;
  readonly sources: SourcesInCycle;
  /** Outbox, delivery, dead letters: staged after sources and jobs, in this order. */
  readonly others: readonly Participant[];
  /** Calls `acknowledge` when `flushed` has resolved, and not before. */
  readonly acknowledge?: (
    flushed: Promise<CommitReceipt>,
    acknowledge: () => void,
  ) => Promise<void>;
}

/** Whoever offers records; the cycle counts what it has put into the journal. */
export interface Offering {
  readonly id: string;
  offered: number;
}

/** What came while the cycle was held. */
type Held = { from: Offering; record: RawRecord } | { from: undefined; entry: ControlEntry };

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const BACKOFF_MS_MIN = 200;
const BACKOFF_MS_MAX = 30_000;

async function acknowledgeWhenFlushed(
  flushed: Promise<CommitReceipt>,
  acknowledge: () => void,
): Promise<void> {
  await flushed;
  acknowledge();
}

export class CommitCycle {
  readonly metrics = new CommitMetrics();
  readonly #options: CommitCycleOptions;
  readonly #participants: readonly Participant[];
  readonly #pace: CommitPace;
  readonly #startedMs: number;
  readonly #runMsBefore: number;
  #gather: Gather;
  #commit = 0;
  #now: number;
  #drainPending = false;
  #inFlight: Promise<void> | undefined;
  /** Set while `exclusive` runs. */
  #held: Held[] | undefined;
  /** A commit failed: the next writes something even if there is nothing else to write. */
  #probe = false;
  /** The disk is full: the journal must shrink before the next commit. */
  #needsRelief = false;
  #closed = false;
  #urgent = false;
  #waiters: Waiter[] = [];
  #cancelPace: (() => void) | undefined;
  readonly #tick: TickTimer;
  #failures = 0;
  #cancelBackoff: (() => void) | undefined;

  constructor(options: CommitCycleOptions) {
    this.#options = options;
    const { clock, journal, sources, jobs, others } = options;
    this.#participants = [sources, jobs, ...others];
    this.#startedMs = clock.monotonicMs();
    this.#runMsBefore = journal.runMs;
    this.#pace = new CommitPace(options.pace, this.#startedMs);
    this.#now = journal.now;
    this.#tick = new TickTimer(clock, (dueMs, waitedMs) => {
      // The time has passed, also when the clock was set back meanwhile.
      this.#now = Math.max(this.#now, Math.min(dueMs, this.#now + waitedMs));
      this.control({ kind: 'tick' });
    });
    this.#gather = new Gather(journal.nextBlock, options.bounds);
  }

  /** Running time of the agent over all its processes, as far as it has been committed. */
  get runMs(): number {
    return this.#runMsBefore + this.#options.clock.monotonicMs() - this.#startedMs;
  }

  /** Nothing came in since the last commit was prepared: a job at the head has seen everything. */
  get isAtHead(): boolean {
    return this.#gather.isEmpty;
  }

  get isCommitting(): boolean {
    return this.#inFlight !== undefined;
  }

  /** Takes a record; false when there should be no more until `resume`. */
  offer(from: Offering, record: RawRecord): boolean {
    if (this.#held !== undefined) {
      this.#held.push({ from, record });
      return this.#held.length < this.#options.bounds.recordsMax;
    }
    this.#gather.record(from.id, record, this.#nextNow());
    from.offered++;
    this.metrics.ingested(record.payload.length);
    this.#drainSoon();
    return !this.#gather.isFull;
  }

  control(entry: ControlEntry): void {
    if (this.#held !== undefined) {
      this.#held.push({ from: undefined, entry });
      return;
    }
    this.#gather.control(entry, this.#nextNow());
    this.#drainSoon();
  }

  /** Something became dirty; a commit will come at its pace. */
  wake(): void {
    this.#drainSoon();
  }

  /** Resolves when everything that is dirty now is on disk; rejects when that commit failed. */
  async request(urgent: boolean): Promise<void> {
    if (this.#closed) throw new RunnelError('agent_closing', 'the agent is closing');
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (urgent) this.#urgent = true;
      this.#drainSoon();
    });
  }

  /**
   * Runs `change` between two cycles: everything that came before has been processed and is on
   * disk, what comes meanwhile waits and has not been journaled. Calls must not overlap.
   */
  async exclusive<T>(change: () => Promise<T>): Promise<T> {
    await this.request(true);
    await this.#inFlight;
    const held: Held[] = [];
    this.#held = held;
    try {
      await this.commitHeld();
      return await change();
    } finally {
      const waiting = this.#held;
      this.#held = undefined;
      for (const each of waiting) {
        if (each.from === undefined) this.control(each.entry);
        else this.offer(each.from, each.record);
      }
      this.#drainSoon();
    }
  }

  /** Within `exclusive`: a control entry of its own, before everything that waits. */
  controlHeld(entry: ControlEntry): void {
    this.#gather.control(entry, this.#nextNow());
  }

  /** Within `exclusive`: commits what `change` has made dirty, and nothing else. */
  async commitHeld(): Promise<void> {
    this.#start();
    await this.#inFlight;
    if (this.#failures > 0) {
      throw new RunnelError('storage_failed', 'the commit failed', { retry: 'backoff' });
    }
  }

  /** Commits what there is and stops; sources have been stopped before. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#inFlight;
    if (this.#failures === 0) {
      this.#start();
      await this.#inFlight;
    }
    this.#closed = true;
    this.#cancelPace?.();
    this.#tick.stop();
    this.#cancelBackoff?.();
    for (const { reject } of this.#waiters) {
      reject(new RunnelError('agent_closing', 'the agent is closing'));
    }
  }

  #nextNow(): number {
    const now = this.#options.clock.now();
    if (now > this.#now) this.#now = now;
    return this.#now;
  }

  #drainSoon(): void {
    if (this.#drainPending || this.#closed) return;
    this.#drainPending = true;
    setImmediate(() => {
      this.#drainPending = false;
      if (this.#closed || this.#held !== undefined) return;
      this.#drain();
      this.#maybeStart();
    });
  }

  #drain(): void {
    if (!this.#gather.hasPending) return;
    this.#options.jobs.process(this.#gather.takePending());
    this.#armTick();
  }

  #isDirty(): boolean {
    if (this.#probe || !this.#gather.isEmpty) return true;
    return this.#participants.some(({ isDirty }) => isDirty);
  }

  #maybeStart(): void {
    if (this.#inFlight !== undefined || this.#cancelBackoff !== undefined) return;
    if (this.#held !== undefined) return;
    if (!this.#isDirty()) {
      this.#resolveWaiters();
      this.#armTick();
      return;
    }
    const urgent =
      this.#urgent ||
      this.#gather.isHalfFull ||
      this.#participants.some(({ isUrgent }) => isUrgent === true);
    if (!urgent) {
      if (this.#cancelPace !== undefined) return;
      const { clock } = this.#options;
      const waitMs = this.#pace.take(clock.monotonicMs());
      if (waitMs > 0) {
        this.#cancelPace = clock.after(waitMs, () => {
          this.#cancelPace = undefined;
          this.#drainSoon();
        });
        return;
      }
    }
    this.#start();
  }

  #start(): void {
    this.#cancelPace?.();
    this.#cancelPace = undefined;
    this.#urgent = false;
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#inFlight = this.#run(waiters);
  }

  async #run(waiters: readonly Waiter[]): Promise<void> {
    const { store, clock, acknowledge = acknowledgeWhenFlushed } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      let stagedMs = startedMs;
      let bytes = 0;
      const flushed = store.commit((tx) => {
        this.#stage(tx);
        stagedMs = clock.monotonicMs();
      });
      await acknowledge(flushed, () => this.#committed());
      ({ bytes } = await flushed);
      this.metrics.committed(bytes, stagedMs - startedMs, clock.monotonicMs() - stagedMs);
      this.#succeeded();
      for (const { resolve } of waiters) resolve();
    } catch (error) {
      this.#failed(error);
      for (const { reject } of waiters) reject(error);
    }
    this.#inFlight = undefined;
    this.#drainSoon();
  }

  #stage(tx: StoreTx): void {
    const { journal, jobs, sources } = this.#options;
    this.#drain();
    this.#commit++;
    const gather = this.#gather;
    journal.append(tx, gather.writers, this.runMs);
    this.#gather = new Gather(journal.nextBlock, this.#options.bounds);
    jobs.join();
    if (this.#probe) tx.put('meta', ['probe'], encodeVersioned(1, this.#commit));
    const context = { commit: this.#commit, now: this.#now };
    for (const participant of this.#participants) participant.stage(tx, context);
    journal.trim(tx, jobs.keepFrom);
    sources.block(journal.isBlocked(jobs.keepFrom));
    sources.resume();
  }

  #committed(): void {
    this.#options.journal.committed();
    for (const participant of this.#participants) participant.committed(this.#commit);
  }

  #succeeded(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#probe = false;
    this.#options.conditions.clear('storage');
    this.#options.log.info('the store can be written again');
  }

  #failed(error: unknown): void {
    const { journal, clock, random, conditions, log, bounds } = this.#options;
    this.#failures++;
    this.#probe = true;
    if (this.#held !== undefined) this.#held = [];
    this.metrics.failed();
    log.error({ error: messageOf(error), failures: this.#failures }, 'a commit failed');
    conditions.set(storageCondition(error));
    journal.reload();
    if (isFull(error)) this.#needsRelief = true;
    this.#gather = new Gather(journal.nextBlock, bounds);
    for (const participant of this.#participants) participant.reload();
    const pauseMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (this.#failures - 1));
    this.#cancelBackoff?.();
    this.#cancelBackoff = clock.after(jittered(random, pauseMs), () => {
      this.#cancelBackoff = undefined;
      if (this.#needsRelief && this.#inFlight === undefined && !this.#closed) {
        this.#inFlight = this.#relieve();
      } else {
        this.#drainSoon();
      }
    });
  }

  /**
   * Makes room before anything else is written: a commit that frees pages and needs new ones at the
   * same time would be refused again. LMDB uses freed pages from the second commit after on.
   */
  async #relieve(): Promise<void> {
    const { store, journal, jobs, log } = this.#options;
    try {
      await store.commit((tx) => {
        const gaveWay = this.#participants.some((each) => each.relieve?.(tx) === true);
        if (!gaveWay) journal.relieve();
        journal.trim(tx, jobs.keepFrom);
        tx.put('meta', ['probe'], encodeVersioned(1, this.#commit));
      });
      await store.commit((tx) => tx.put('meta', ['probe'], encodeVersioned(1, this.#commit)));
      this.#needsRelief = false;
    } catch (error) {
      journal.reload();
      log.error({ error: messageOf(error) }, 'no room could be made');
    }
    this.#inFlight = undefined;
    this.#drainSoon();
  }

  #resolveWaiters(): void {
    if (this.#waiters.length === 0) return;
    for (const { resolve } of this.#waiters) resolve();
    this.#waiters = [];
    this.#urgent = false;
  }

  #armTick(): void {
    if (this.#closed) return;
    this.#tick.arm(this.#options.jobs.nextTickMs() ?? Infinity, this.#nextNow());
  }
}
