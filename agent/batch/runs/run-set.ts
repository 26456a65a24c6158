/**
 * The runs of this agent that have not ended: made, started when there is room, their tasks brought
 * to run within the device's budget, and let go when they end.
 *
 * Guarantees: one run per (job, partition) at a time; nothing starts before the commit that says so
 * is on disk; a run that cannot be compiled ends as failed with the reason, and the others go on.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Random } from '@runnel/shared/random.ts';
import { clockErrorMs, redated, redatedRun } from '../dag/redate.ts';
import type { RunEvent } from '../dag/run-machine.ts';
import { snapshotOf } from '../dag/run-snapshot.ts';
import { nextWakeMs, runDeadlineMs } from '../dag/ready-instances.ts';
import type { AgentFacts } from '../dag/task-scope.ts';
import type { RunRecord, TaskRecord } from '../records.ts';
import type { EngineTime } from '../schedule/engine-time.ts';
import { ActiveRun } from './active-run.ts';
import type { BatchJobHost, BatchJobs, JobFacts } from './batch-jobs.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { TaskError } from '../tasks/task-error.ts';
import { CLOCK_READ_EVERY_MS } from '../schedule/batch-clock.ts';
import { keys, type RunParametersRecord } from './job-record.ts';
import {
  isOpen,
  type FatalCode,
  failedRun,
  newRun,
  notReadable,
  type OpenRun,
  opened,
  partitionActive,
  type RunRequest,
  takenAgain,
  runUnknown,
} from './open-run.ts';
import type { RunLogs } from './run-logs.ts';
import { runRow } from './run-reports.ts';

export interface RunSetOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly clock: Clock;
  readonly time: EngineTime;
  readonly random: Random;
  readonly log: Logger;
  readonly agent: AgentFacts;
  readonly logs: RunLogs;
  /** Starts what there is room for; called whenever something may have changed. */
  readonly admit: (now: number) => void;
  /** In the commit that ends the run. */
  readonly ended: (tx: BatchTx, run: RunRecord, affectedTasks: readonly string[]) => void;
  readonly committed: (run: RunRecord, tasks: readonly TaskRecord[]) => void;
}

export class RunSet {
  readonly #options: RunSetOptions;
  readonly #open = new Map<string, OpenRun>();
  #pumping = false;
  /** Monotonic time of the last look: what it passed over is what it waits for. */
  #lookMs = 0;
  #cancelTimer: (() => void) | undefined;
  #isStarted = false;
  #closed = false;

  constructor(options: RunSetOptions) {
    this.#options = options;
  }

  /** What was open when the agent stopped. */
  load(): void {
    const { store, jobs, time } = this.#options;
    for (const { key } of store.list<object>(['open'])) {
      const run = store.get<RunRecord>(keys.run(String(key[1])));
      const host = run === undefined ? undefined : jobs.hosts.get(run.job);
      if (run === undefined || host === undefined) continue;
      // What is under way is looked at with its tasks, when it goes on.
      const errorMs = run.state === 'queued' ? clockErrorMs(run, [], time.now()) : 0;
      this.#open.set(run.id, opened(host, redatedRun(run, errorMs)));
    }
  }

  /** The time was another one all along (schedule/engine-time.ts). */
  redate(deltaMs: number): void {
    const { log, store } = this.#options;
    for (const open of this.#open.values()) {
      const { active } = open;
      if (active === undefined) open.queued = redatedRun(open.queued, deltaMs);
      const { queued } = open;
      const done =
        active === undefined
          ? store.commit((tx) => tx.put(keys.run(queued.id), queued))
          : active.redate(deltaMs);
      done.catch((error: unknown) =>
        log.debug({ run: queued.id, error: messageOf(error) }, 'not moved to the new time'),
      );
    }
  }

  /** Runs go on: those that were running are resumed. */
  start(): void {
    this.#isStarted = true;
    this.#resume();
    this.pump();
  }

  get(id: string): OpenRun | undefined {
    return this.#open.get(id);
  }

  runOf({ active, queued }: OpenRun): RunRecord {
    return active?.run ?? queued;
  }

  /** In the order in which they were made. */
  open(job?: string): OpenRun[] {
    const all = [...this.#open.values()];
    return job === undefined ? all : all.filter(({ host }) => host.name === job);
  }

  /** The run of a partition that is open, or a new one; part of `tx`. */
  create(tx: BatchTx, host: BatchJobHost, facts: JobFacts, request: RunRequest): RunRecord {
    const same = this.open(host.name).find(
      (open) => this.runOf(open).partition.id === request.partition.id,
    );
    const { time, random } = this.#options;
    const now = time.now();
    // Soon, and not within this write.
    this.pump();
    if (same !== undefined) return takenAgain(tx, same, request, now);
    const { run, given } = newRun(randomId(random), now, host, facts, request);
    const { n } = run;
    host.update(tx, { nextRun: n + 1 });
    tx.put(keys.run(run.id), run);
    tx.put(keys.given(run.id), given);
    tx.put(keys.numbered(run.job, n), run.id);
    tx.put(keys.open(run.id), {});
    tx.row(run, runRow(run, given, { tasks: [], jobs: [] }, now));
    this.#open.set(run.id, opened(host, run));
    tx.undo(() => this.#open.delete(run.id));
    return run;
  }

  /**
   * What a person asks of a run, open or ended. Throws `run_unknown`, and what the machine says of
   * an event that does not fit; resolves with the run when it is on disk.
   */
  async command(
    id: string,
    event: RunEvent,
    write?: (tx: BatchTx, run: RunRecord) => void,
  ): Promise<RunRecord> {
    const open = this.#open.get(id) ?? this.#reopened(id);
    const active = open.active ?? this.#activate(open);
    if (active === undefined && this.#open.has(id)) throw notReadable(id);
    if (active === undefined) throw new RunnelError('run_ended', `run ${id} could not be compiled`);
    const isNew = !this.#open.has(id);
    if (isNew && AGAIN.has(event.kind)) this.#assertAlone(active.run);
    // A rerun makes an ended run one of those that are open.
    if (isNew) this.#open.set(id, open);
    try {
      await active.dispatch(event, (tx) => {
        if (isOpen(active.run)) tx.put(keys.open(id), {});
        write?.(tx, active.run);
      });
    } catch (error) {
      if (isNew && !isOpen(active.run)) this.#letGo(active);
      throw error;
    }
    if (isNew && !isOpen(active.run)) this.#letGo(active);
    this.pump();
    return active.run;
  }

  /**
   * Cancels those of the runs that have not ended, in one commit with what `write` adds before and
   * after. One that cannot be read is left to itself.
   */
  async cancelAll(
    ids: readonly string[],
    reason: string,
    write: (tx: BatchTx, cancel: () => readonly RunRecord[]) => void,
  ): Promise<void> {
    const actives = ids.flatMap((id) => {
      const open = this.#open.get(id);
      return (open === undefined ? undefined : (open.active ?? this.#activate(open))) ?? [];
    });
    const steps = actives.map((active) => active.step({ kind: 'cancel', reason }));
    const committed = this.#options.store.commit((tx) =>
      write(tx, () => {
        for (const step of steps) step.gather(tx);
        return actives.map(({ run }) => run);
      }),
    );
    for (const step of steps) if (step.isGathered()) step.gathered();
    await committed;
    for (const step of steps) step.committed();
    this.pump();
  }

  /** The event of a timer or of an attempt: what goes wrong with it is logged. */
  send(active: ActiveRun, event: RunEvent, write?: (tx: BatchTx) => void): void {
    active.dispatch(event, write).then(
      () => this.pump(),
      (error: unknown) => this.failed(active, error, event.kind),
    );
    this.pump();
  }

  /**
   * An event was not taken. Where its commit could not be made, the run is read again from the
   * store, loudly, and goes on from there; one with which that does not help ends as failed.
   */
  failed(active: ActiveRun, error: unknown, event = 'attemptStarted'): void {
    const { clock, log } = this.#options;
    const { id: run, job } = active.run;
    const { code } = error as { code?: unknown };
    if (code === 'agent_closing' || code === 'run_reloaded') return;
    log.error({ job, run, event, error: messageOf(error) }, 'an event was not taken');
    const open = this.#open.get(run);
    if (code !== 'run_write_failed' || open?.active !== active) return;
    active.retire(new TaskError('interrupted', 'run_reloaded', 'the run is read again'));
    open.active = undefined;
    open.queued = this.#options.store.get<RunRecord>(keys.run(run)) ?? open.queued;
    open.reloads++;
    open.notBeforeMs = clock.monotonicMs() + RELOAD_PAUSE_MS;
    if (open.reloads > limits.runReloadsMax)
      this.#end(open.queued, 'run_write_failed', messageOf(error));
    this.pump();
  }

  /** Starts a queued run. */
  startRun(open: OpenRun): void {
    if (this.#lookMs < open.notBeforeMs) return;
    const active = open.active ?? this.#activate(open);
    if (active !== undefined) this.send(active, { kind: 'start' });
  }

  /** Looks for what may start, soon. */
  pump(): void {
    if (this.#pumping || !this.#isStarted || this.#closed) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      if (this.#closed) return;
      const now = this.#options.time.look().nowMs;
      this.#lookMs = this.#options.clock.monotonicMs();
      this.#resume();
      this.#timeOut(now);
      this.#options.admit(now);
      this.#arm(now);
    });
  }

  /** Told by an ended run, within its commit. */
  forget(id: string): void {
    this.#open.delete(id);
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }

  /** Runs that were under way when the agent stopped, or that were read again. */
  #resume(): void {
    for (const open of this.open()) {
      if (open.active !== undefined || open.queued.state !== 'running') continue;
      if (this.#lookMs < open.notBeforeMs) continue;
      const active = this.#activate(open);
      if (active !== undefined) this.send(active, { kind: 'resumed' });
    }
  }

  #letGo(active: ActiveRun): void {
    this.#open.delete(active.run.id);
    active.log.close();
  }

  #timeOut(now: number): void {
    for (const { active } of this.#open.values()) {
      if (active === undefined) continue;
      const deadline = runDeadlineMs(active.program, active.snapshot);
      if (deadline !== null && deadline <= now) this.send(active, { kind: 'timedOut' });
    }
  }

  #arm(now: number): void {
    const { clock } = this.#options;
    let next = Infinity;
    for (const open of this.#open.values()) {
      const { active } = open;
      if (active !== undefined) {
        next = Math.min(next, nextWakeMs(active.program, active.snapshot, now) ?? Infinity);
      }
      const waitMs = open.notBeforeMs - this.#lookMs;
      if (active === undefined && waitMs > 0) next = Math.min(next, now + waitMs);
      const { state, notBefore } = this.runOf(open);
      if (state === 'queued' && notBefore > now) next = Math.min(next, notBefore);
    }
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#open.size === 0) return;
    // A look now and then, since what waits grows older and the clock may jump.
    const delayMs = Math.min(Math.max(next - now, 1), CLOCK_READ_EVERY_MS);
    this.#cancelTimer = clock.after(delayMs, () => this.pump());
  }

  /**
   * Compiles the run; one that cannot be is ended. What the store does not give is no verdict on
   * the job: it is asked again.
   */
  #activate(open: OpenRun): ActiveRun | undefined {
    const { store, jobs, agent, clock, time, log, logs, committed, ended } = this.#options;
    const run = open.queued;
    try {
      const given = store.get<RunParametersRecord>(keys.given(run.id)) ?? NOTHING_GIVEN;
      const program = jobs.program(run, given.values);
      const tasks = store.list<TaskRecord>(['task', run.id]).map(({ value }) => value);
      const snapshot = snapshotOf(program, run, tasks);
      const errorMs = clockErrorMs(run, tasks, time.now());
      open.active = new ActiveRun(
        {
          store,
          agent,
          now: () => time.now(),
          ended: (active, tx) => {
            this.#open.delete(active.run.id);
            tx.undo(() => this.#open.set(active.run.id, open));
            tx.remove(keys.open(active.run.id));
            ended(tx, active.run, active.affectedTasks());
          },
          committed,
        },
        program,
        isOpen(run) && errorMs !== 0 ? redated(snapshot, errorMs) : snapshot,
        given,
        logs.of(run.id),
      );
      return open.active;
    } catch (error) {
      const { code } = error as { code?: unknown };
      const message = messageOf(error);
      if (code === 'definition_invalid' || code === 'version_gone') {
        this.#end(run, 'definition_invalid', message);
        return undefined;
      }
      const at = { job: run.job, run: run.id };
      log.error({ ...at, error: message }, 'a run could not be read, it is tried again');
      open.notBeforeMs = clock.monotonicMs() + RELOAD_PAUSE_MS;
      return undefined;
    }
  }

  /** Ends a run that cannot go on. */
  #end(run: RunRecord, code: FatalCode, message: string): void {
    const { store, time, log, ended } = this.#options;
    const now = time.now();
    log.error({ job: run.job, run: run.id, error: message }, 'the run cannot go on');
    const failed = failedRun(run, code, message, now);
    this.#open.delete(run.id);
    const done = store.commit((tx) => {
      tx.put(keys.run(run.id), failed);
      tx.remove(keys.open(run.id));
      ended(tx, failed, []);
    });
    done.catch((failure: unknown) => {
      if ((failure as { code?: unknown }).code === 'agent_closing') return;
      // It is open in the store: the next start of the agent tries again.
      log.error({ job: run.job, run: run.id, error: messageOf(failure) }, 'its end is not written');
    });
  }

  /** Throws `partition_active` where another run of the same partition is under way. */
  #assertAlone({ id, job, partition }: RunRecord): void {
    const other = this.open(job)
      .map((open) => this.runOf(open))
      .find((run) => run.id !== id && run.partition.id === partition.id);
    if (other !== undefined) throw partitionActive(other);
  }

  #reopened(id: string): OpenRun {
    const { store, jobs } = this.#options;
    const run = store.get<RunRecord>(keys.run(id));
    const host = run === undefined ? undefined : jobs.hosts.get(run.job);
    if (run === undefined || host === undefined) {
      throw runUnknown(id);
    }
    return opened(host, run);
  }
}

/** Before a run is read again from the store. */
const RELOAD_PAUSE_MS = 1000;
/** Events that bring an ended run back. */
const AGAIN: ReadonlySet<RunEvent['kind']> = new Set(['rerun', 'clear']);
const NOTHING_GIVEN: RunParametersRecord = { values: {}, origins: {}, tasks: [] };
