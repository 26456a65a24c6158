/**
 * A run that is going on: the shell around the run machine (dag/run-machine.ts).
 *
 * Every event changes the run in memory at once and is committed with what belongs to it; what has
 * an effect outside waits for that commit. So the disk is never ahead of what was done, and after a
 * crash the run goes on from the last event that is there: tasks that were `running` are made
 * again.
 */
import { createHash } from 'node:crypto';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import { assert, messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { hasEnded, type RunReport, type RunState } from '@runnel/shared/protocol/runs.ts';
import { type RunEvent, type RunStep, transition } from '../dag/run-machine.ts';
import { redated } from '../dag/redate.ts';
import { affectedTasks, isDone, type RunSnapshot, slotOf } from '../dag/run-snapshot.ts';
import { type AgentFacts, runKey, scopeOf } from '../dag/task-scope.ts';
import type { RunRecord, TableRef, TaskRecord } from '../records.ts';
import { joinTables } from '../tables/join-tables.ts';
import { TaskError } from '../tasks/task-error.ts';
import { Attempt, type AttemptDeps, type AttemptPlan } from './attempt.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys, type RunParametersRecord } from './job-record.ts';
import type { RunLog } from './run-log.ts';
import { runRow, taskRow } from './run-reports.ts';

export interface ActiveRunOptions {
  readonly store: BatchStore;
  readonly agent: AgentFacts;
  readonly now: () => number;
  /** In the commit in which the run ends. */
  readonly ended: (run: ActiveRun, tx: BatchTx) => void;
  /** A commit of a change is on disk. */
  readonly committed: (run: RunRecord, tasks: readonly TaskRecord[]) => void;
}

/** One event of a run on its way: gathered into a commit, told, committed; in this order. */
export interface RunStepParts {
  readonly gather: (tx: BatchTx, write?: (tx: BatchTx) => void) => void;
  /** False: what goes into the commit could not be made, and nothing has changed. */
  readonly isGathered: () => boolean;
  readonly gathered: () => void;
  readonly committed: () => void;
}

interface Running {
  readonly attempt: Attempt;
  readonly startedMs: number;
}

export class ActiveRun {
  readonly program: BatchProgram;
  readonly given: RunParametersRecord;
  readonly log: RunLog;
  readonly #options: ActiveRunOptions;
  readonly #running = new Map<string, Running>();
  #snapshot: RunSnapshot;
  #isRetired = false;

  /** The time of its last event. */
  #latestMs = -Infinity;

  constructor(
    options: ActiveRunOptions,
    program: BatchProgram,
    snapshot: RunSnapshot,
    given: RunParametersRecord,
    log: RunLog,
  ) {
    this.#options = options;
    this.program = program;
    this.given = given;
    this.log = log;
    this.#snapshot = snapshot;
  }

  get run(): RunRecord {
    return this.#snapshot.run;
  }

  get snapshot(): RunSnapshot {
    return this.#snapshot;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  record(task: number, index: number | null): TaskRecord {
    const record = this.#snapshot.tasks[task]?.[slotOf(index)];
    assert(record !== undefined, `run ${this.run.id} has no task ${task}, ${index}`);
    return record;
  }

  /** Whether this attempt is still what the run waits for. */
  isCurrent(task: number, index: number | null, attempt: number): boolean {
    const record = this.#snapshot.tasks[task]?.[slotOf(index)];
    return !this.#isRetired && record?.state === 'running' && record.attempt === attempt;
  }

  /**
   * Takes an event; resolves when it is on disk. `write` adds to its commit, after the machine has
   * said what became of it. Throws what `transition` throws, and `run_write_failed` when what goes
   * into the commit could not be made: then nothing has changed.
   */
  async dispatch(event: RunEvent, write?: (tx: BatchTx) => void): Promise<void> {
    const step = this.step(event);
    const committed = this.#options.store.commit((tx) => step.gather(tx, write));
    if (!step.isGathered()) await this.#notGathered(committed);
    step.gathered();
    await committed;
    step.committed();
  }

  /** The same in parts, for several runs in one commit. Throws what `transition` throws. */
  step(event: RunEvent): RunStepParts {
    if (this.#isRetired) throw new RunnelError('run_reloaded', `run ${this.run.id} was reloaded`);
    const now = this.#eventTime();
    const before = this.#snapshot;
    const result = transition(this.program, before, event, now, this.#options.agent);
    const ended = result.effects.some(({ kind }) => kind === 'ended');
    let isGathered = false;
    return {
      gather: (tx, write) => {
        tx.undo(() => {
          this.#snapshot = before;
          isGathered = false;
        });
        this.#gather(tx, before, result, write);
        isGathered = true;
      },
      isGathered: () => isGathered,
      gathered: () => {
        this.#tell(before, result.state, result.changed);
        if (ended) this.log.close();
        for (const effect of result.effects) {
          if (effect.kind !== 'abort') continue;
          const key = instanceKey(effect.task, effect.index);
          this.#running.get(key)?.attempt.abort(stopReason(result.state.run));
        }
      },
      committed: () => this.#options.committed(result.state.run, result.changed),
    };
  }

  /**
   * A clock that is set back by less than what counts as a step must not make a task begin before
   * the one that it waited for has ended.
   */
  #eventTime(): number {
    this.#latestMs = Math.max(this.#latestMs, this.#options.now());
    return this.#latestMs;
  }

  #gather(tx: BatchTx, before: RunSnapshot, result: RunStep, write?: (tx: BatchTx) => void): void {
    const now = this.#options.now();
    const { run } = result.state;
    this.#snapshot = result.state;
    for (const { task, index } of result.removed) tx.remove(keys.task(run.id, task, index));
    for (const record of result.changed) {
      tx.put(keys.task(run.id, record.task, record.index), record);
      if (isReported(record)) tx.row(run, taskRow(run, record, now));
    }
    write?.(tx);
    if (result.runChanged) tx.put(keys.run(run.id), run);
    if (result.effects.some(({ kind }) => kind === 'ended')) this.#options.ended(this, tx);
    else if (isNews(before.run, run)) tx.row(run, runRow(run, this.given, NOBODY, now));
  }

  /** Its times are by another clock than that of now (dag/redate.ts). */
  async redate(deltaMs: number): Promise<void> {
    const { now, store } = this.#options;
    const before = this.#snapshot;
    this.#latestMs += deltaMs;
    await store.commit((tx) => {
      tx.undo(() => (this.#snapshot = before));
      this.#snapshot = redated(before, deltaMs);
      const { run, tasks } = this.#snapshot;
      tx.put(keys.run(run.id), run);
      const stale = new Set(before.tasks.flat());
      for (const record of tasks.flat()) {
        if (!stale.has(record)) tx.put(keys.task(run.id, record.task, record.index), record);
      }
      tx.row(run, runRow(run, this.given, NOBODY, now()));
    });
  }

  /** What is in memory is no longer what counts: nothing more comes of it. */
  retire(reason: TaskError): void {
    this.#isRetired = true;
    this.abortAll(reason);
    this.log.close();
  }

  async #notGathered(committed: Promise<void>): Promise<never> {
    try {
      await committed;
    } catch (error) {
      if ((error as { code?: unknown }).code === 'agent_closing') throw error;
      const message = `a change of run ${this.run.id} could not be written: ${messageOf(error)}`;
      throw new RunnelError('run_write_failed', message, { cause: error });
    }
    throw new RunnelError('invariant_broken', 'a write was committed before it was made');
  }

  /** Makes the attempt and registers it, so that it can be aborted before it runs. */
  attempt(
    deps: AttemptDeps,
    plan: Omit<
      AttemptPlan,
      'attempt' | 'effectKey' | 'program' | 'scope' | 'table' | 'task' | 'tries' | 'log'
    > & { readonly task: number; readonly index: number | null },
    mirror: AttemptPlan['log'],
  ): Attempt {
    const { task, index, ...given } = plan;
    const compiled = this.program.tasks[task];
    assert(compiled !== undefined, `no task ${task}`);
    const record = this.record(task, index);
    const { id } = compiled.definition;
    const place = { task: id, index, attempt: record.attempt };
    const attempt = new Attempt(deps, {
      ...given,
      program: this.program,
      task: compiled,
      attempt: record.attempt,
      tries: this.run.tries,
      effectKey: effectKey(this.run, id, index),
      scope: scopeOf(this.#snapshot, this.#options.agent, record),
      table: (of) => this.#tableOf(of),
      log: this.log.of(place, mirror),
    });
    const key = instanceKey(task, index);
    this.#running.set(key, { attempt, startedMs: deps.clock.monotonicMs() });
    return attempt;
  }

  attemptEnded(task: number, index: number | null): void {
    this.#running.delete(instanceKey(task, index));
  }

  abortAll(reason: TaskError): void {
    for (const { attempt } of this.#running.values()) attempt.abort(reason);
  }

  affectedTasks(): string[] {
    return affectedTasks(this.#snapshot);
  }

  /** Of a task with `forEach` the rows of all its instances, in the order of its list. */
  #tableOf(task: string): TableRef | undefined {
    const group = this.#snapshot.tasks.find((each) => each[0]?.task === task) ?? [];
    return joinTables(group.flatMap(({ table }) => table ?? []));
  }

  #tell(before: RunSnapshot, after: RunSnapshot, changed: readonly TaskRecord[]): void {
    const { run } = after;
    if (run.state !== before.run.state && !hasEnded(run.state)) this.#tellRun(run);
    for (const { task, index, attempt, state, error } of changed) {
      const at = { task, index, attempt };
      if (state === 'running' && index === null) continue;
      if (state === 'ready' && error !== null) {
        this.log.write('warn', at, `attempt ${attempt} failed, it is made again: ${error.message}`);
      } else if (isDone(state)) {
        const why = error === null ? '' : `: ${error.message}`;
        this.log.write(state === 'failed' ? 'error' : 'info', at, `${state}${why}`);
      }
    }
    // What ended it comes before its end.
    if (run.state !== before.run.state && hasEnded(run.state)) this.#tellRun(run);
  }

  #tellRun(run: RunRecord): void {
    const why = run.error === null ? '' : `: ${run.error.message}`;
    const level = run.state === 'failed' ? 'error' : 'info';
    const place = { task: null, index: null, attempt: 0 };
    this.log.write(level, place, `run ${runKey(run)} ${BECAME[run.state]}${why}`);
  }
}

const BECAME: Readonly<Record<RunState, string>> = {
  queued: 'is queued',
  running: 'is running',
  success: 'succeeded',
  failed: 'failed',
  cancelled: 'was cancelled',
};
const NOBODY: RunReport['affected'] = { tasks: [], jobs: [] };

/** What the control plane is told of at once. */
function isNews(before: RunRecord, run: RunRecord): boolean {
  if (run.state !== before.state || run.tries !== before.tries) return true;
  return (run.cancelling === null) !== (before.cancelling === null);
}

/** Final states and retries: the control plane need not hear of every wait. */
function isReported({ state, nextAttemptAt, attempt }: TaskRecord): boolean {
  return isDone(state) || (state === 'ready' && attempt > 0 && nextAttemptAt !== null);
}

export function instanceKey(task: number, index: number | null): string {
  return `${task}/${index ?? ''}`;
}

/** The same for every attempt and rerun of the partition. */
export function effectKey(run: RunRecord, task: string, index: number | null): string {
  const text = JSON.stringify([run.job, run.partition.id, task, index]);
  return createHash('sha256').update(text).digest('hex');
}

/** What an attempt that must end is told. */
function stopReason({ cancelling }: RunRecord): TaskError {
  const reason = cancelling?.reason ?? 'the run was cancelled';
  return reason === 'timeout'
    ? new TaskError('timeout', 'run_timeout', 'the run took longer than its timeout')
    : new TaskError('other', 'run_cancelled', reason);
}
