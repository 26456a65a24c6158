/**
 * Starts what there is room for: queued runs (run-starter.ts), ready tasks within the device's
 * budget (dag/admission.ts), and brings what becomes of an attempt back to its run.
 *
 * Guarantees: an attempt that may have an effect begins after the commit that says so; one that
 * only computes does not wait for the disk, since making it again costs nothing. What an attempt
 * made counts in the commit of its success, or not at all. An attempt that was ended because the
 * agent stops leaves its task `running` in the store: it is made again.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { BatchJob } from '@runnel/shared/definitions/batch-job.ts';
import { amountOf } from '@runnel/shared/definitions/job-share.ts';
import { assert, messageOf } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { BatchBudget } from '../batch-budget.ts';
import { admitTasks, type JobLoad, type TaskCandidate, type TaskLoad } from '../dag/admission.ts';
import { readyInstances } from '../dag/ready-instances.ts';
import type { TableFiles } from '../tables/table-files.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import type { TaskLog, TaskSuccess } from '../tasks/task.ts';
import type { ActiveRun } from './active-run.ts';
import type { AttemptDeps } from './attempt.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import type { DatasetUpdate } from './datasets.ts';
import { type CursorPlace, cursorPlace } from './cursor-place.ts';
import { QuotaUsage } from './quota-usage.ts';
import type { RunSet } from './run-set.ts';
import { RunStarter, type RunStarterOptions } from './run-starter.ts';
import type { CursorRecord, HistoryRecord, SuccessEffects } from './success-effects.ts';
import { TaskBreakers } from './task-breakers.ts';

export interface TaskStarterOptions extends Omit<RunStarterOptions, 'usage'> {
  readonly store: BatchStore;
  readonly effects: SuccessEffects;
  readonly files: TableFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly budget: BatchBudget;
  readonly attempts: AttemptDeps;
  /** In the commit that holds the updates. */
  readonly updated: (tx: BatchTx, updates: readonly DatasetUpdate[]) => void;
}

interface Candidate extends TaskCandidate {
  readonly active: ActiveRun;
  readonly task: number;
  readonly index: number | null;
}

/** What attempts of the job may be and take at a time on this device. */
function jobMaxOf({ maxActiveTasks, share }: BatchJob, budget: BatchBudget): JobLoad {
  return {
    tasks: maxActiveTasks ?? Infinity,
    memoryBytes: share?.memory == null ? Infinity : amountOf(share.memory, budget.memoryBytes),
    cpu: share?.cpu == null ? Infinity : amountOf(share.cpu, budget.cpu),
  };
}

/** Kinds that only compute. */
const EFFECTLESS: ReadonlySet<string> = new Set(['none', 'value']);

export class TaskStarter {
  readonly #options: TaskStarterOptions;
  readonly #usage: QuotaUsage;
  /** Starts the runs whose tasks are started here. */
  readonly runs: RunStarter;
  readonly #breakers: TaskBreakers;
  readonly #loads = new Map<string, TaskLoad>();
  /** Attempts at work; those that only wait for a commit are not among them. */
  readonly #working = new Set<Promise<unknown>>();
  #stopping: TaskError | undefined;
  attemptsTotal = 0;
  failedAttemptsTotal = 0;
  /** Attempts that an open circuit breaker did not let begin. */
  breakerRefusals = 0;

  constructor(options: TaskStarterOptions) {
    this.#options = options;
    this.#usage = new QuotaUsage(options.store);
    this.runs = new RunStarter({ ...options, usage: this.#usage });
    this.#breakers = new TaskBreakers(options.store);
  }

  get cursorsForgotten(): number {
    return this.#options.effects.cursorsForgotten;
  }

  get running(): number {
    return this.#loads.size;
  }

  admit(runs: RunSet, now: number): void {
    if (this.#stopping !== undefined) return;
    this.runs.admit(runs);
    this.#admitTasks(runs, now);
  }

  /** The time was another one all along. */
  redate(deltaMs: number): void {
    this.#usage.redate(deltaMs);
  }

  /** Aborts every attempt and waits until they have ended; nothing of them is committed. */
  async stop(runs: RunSet): Promise<void> {
    this.#stopping = new TaskError('interrupted', 'agent_closing', 'the agent stops');
    for (const { active } of runs.open()) active?.abortAll(this.#stopping);
    await Promise.allSettled(this.#working);
  }

  #admitTasks(runs: RunSet, now: number): void {
    const { budget } = this.#options;
    // Runs of long lists are not gone through for nothing.
    if (this.#loads.size >= budget.tasksMax) return;
    const candidates: Candidate[] = [];
    for (const { active, host } of runs.open()) {
      if (active === undefined) continue;
      const { program, snapshot, run } = active;
      for (const { task, index, record } of readyInstances(
        program,
        snapshot,
        now,
        budget.tasksMax,
      )) {
        const compiled = program.tasks[task];
        assert(compiled !== undefined, `no task ${task}`);
        const { cost, pool, priority, slots } = compiled.definition;
        candidates.push({
          active,
          task,
          index,
          job: host.name,
          pool,
          slots,
          cost,
          priority: run.priority + priority,
          since: record.readyAt ?? now,
          jobMax: jobMaxOf(program.job, budget),
        });
      }
    }
    if (candidates.length === 0) return;
    const admitted = admitTasks(budget, [...this.#loads.values()], candidates, now);
    for (const { candidate, error } of admitted.impossible) {
      const { active, task, index } = candidate;
      runs.send(active, { kind: 'attemptRefused', task, index, error });
    }
    for (const candidate of admitted.start) this.#begin(runs, candidate);
  }

  #begin(runs: RunSet, candidate: Candidate): void {
    const { active, task, index, job } = candidate;
    const id = randomId(this.#options.random);
    const { definition } = active.program.tasks[task]!;
    const refusal = this.#breakers.call(job, definition, this.#options.time.now());
    const started = active.dispatch({ kind: 'attemptStarted', task, index }, refusal.write);
    started.catch((error: unknown) => runs.failed(active, error));
    if (refusal.refusedForMs !== null) {
      this.breakerRefusals++;
      started.catch((error: unknown) => this.#complain(active, error));
      const message = `the circuit breaker of "${definition.id}" is open`;
      const error = { code: 'circuit_open', class: 'circuit_open', message };
      const { refusedForMs: retryAfterMs } = refusal;
      runs.send(active, { kind: 'attemptFailed', task, index, error, retryAfterMs });
      return;
    }
    this.#loads.set(id, candidate);
    this.attemptsTotal++;
    this.#attempt(runs, candidate, id, started)
      .catch((error: unknown) => this.#complain(active, error))
      .finally(() => {
        this.#loads.delete(id);
        runs.pump();
      });
  }

  async #attempt(
    runs: RunSet,
    { active, task, index, job }: Candidate,
    id: string,
    started: Promise<void>,
  ): Promise<void> {
    const { attempts, clock, effects, store } = this.#options;
    const { definition } = active.program.tasks[task]!;
    const { attempt: number, item } = active.record(task, index);
    const { fullRefresh } = active.run;
    const stored = cursorPlace(active.run, definition.id, { index, item });
    const cursor = stored.cursor === null ? undefined : store.get<CursorRecord>(stored.cursor);
    const history = store.get<HistoryRecord>(stored.history)?.values ?? [];
    let sent: string | undefined;
    const plan = {
      id,
      task,
      index,
      fullRefresh,
      cursor: fullRefresh ? null : (cursor?.value ?? null),
      history,
      sent: effects.sentBy(active.run, definition.id, index),
      sending: (hash: string) => void (sent = hash),
    };
    const attempt = active.attempt(attempts, plan, this.#mirror(active, definition.id, number));
    const startedMs = clock.monotonicMs();
    try {
      // It rejects when the agent stops, and then nothing of the attempt is committed.
      if (EFFECTLESS.has(definition.kind)) started.catch(() => undefined);
      else await started;
      if (this.#stopping !== undefined) return;
      const work = this.#work(id, () =>
        attempt.run(async (made, signal) => ({
          success: made,
          prepared: await effects.prepare(made, active.run, signal),
        })),
      );
      // Also what fails has taken its time.
      const { success, prepared } = await work.finally(() =>
        this.#usage.used(job, active.run.id, clock.monotonicMs() - startedMs),
      );
      const tookMs = clock.monotonicMs() - startedMs;
      if (!active.isCurrent(task, index, number) || this.#stopping !== undefined) {
        await effects.discard(prepared);
        return;
      }
      try {
        success.requireCurrent?.();
      } catch (thrown) {
        await effects.discard(prepared);
        throw thrown;
      }
      const made = { task, index, success, prepared, tookMs, stored, sent };
      await this.#succeeded(runs, active, made);
    } catch (thrown) {
      this.#failed(runs, active, {
        task,
        index,
        number,
        error: taskErrorOf(thrown),
        tookMs: clock.monotonicMs() - startedMs,
        sent,
      });
    } finally {
      active.attemptEnded(task, index);
    }
  }

  /** What an attempt takes is free when its work ends: nothing waits for its commit. */
  async #work<T>(id: string, work: () => Promise<T>): Promise<T> {
    const working = work();
    this.#working.add(working);
    try {
      return await working;
    } finally {
      this.#working.delete(working);
      this.#loads.delete(id);
    }
  }

  async #succeeded(
    runs: RunSet,
    active: ActiveRun,
    made: {
      readonly task: number;
      readonly index: number | null;
      readonly success: TaskSuccess;
      readonly prepared: Awaited<ReturnType<SuccessEffects['prepare']>>;
      readonly tookMs: number;
      readonly stored: CursorPlace;
      readonly sent: string | undefined;
    },
  ): Promise<void> {
    const { effects, files, jobs, time, updated } = this.#options;
    const { task, index, success, prepared, tookMs, stored, sent } = made;
    const { definition } = active.program.tasks[task]!;
    const { output, table = null } = success;
    const garbage: Parameters<TableFiles['remove']>[0][] = [];
    let counts = true;
    const event = { kind: 'attemptSucceeded', task, index, output: output ?? null, table } as const;
    const committed = active.dispatch(event, (tx) => {
      const now = time.now();
      const isSuccess = active.record(task, index).state === 'success';
      const kind = isSuccess ? 'succeeded' : 'failed';
      this.#breakers.ended(tx, active.run.job, definition, { kind, tookMs }, now);
      counts = isSuccess;
      const place = { run: active.run, task: definition.id, index, now, stored };
      if (sent !== undefined) effects.rememberSent(tx, place, sent);
      if (!isSuccess) return;
      const done = effects.commit(tx, prepared, place);
      garbage.push(...done.garbage);
      if (Object.keys(done.letters).length > 0) {
        jobs.hosts.get(active.run.job)?.letters(tx, done.letters);
      }
      updated(tx, done.updates);
    });
    runs.pump();
    await committed;
    if (!counts) await effects.discard(prepared);
    for (const table of garbage) await files.remove(table);
  }

  #failed(
    runs: RunSet,
    active: ActiveRun,
    failed: {
      readonly task: number;
      readonly index: number | null;
      readonly number: number;
      readonly error: TaskError;
      readonly tookMs: number;
      readonly sent: string | undefined;
    },
  ): void {
    const { task, index, number, error, tookMs, sent } = failed;
    const { effects, log, time } = this.#options;
    // What the agent's stop has ended is made again after the next start.
    if (this.#stopping !== undefined || error.code === 'agent_closing') return;
    if (!active.isCurrent(task, index, number)) {
      if (error.code === 'invariant_broken') this.#complain(active, error);
      return;
    }
    this.failedAttemptsTotal++;
    const { definition } = active.program.tasks[task]!;
    const { id: run, job, cancelling } = active.run;
    const { class: errorClass, code, hint, message, retryAfterMs } = error;
    const at = { job, run, task: definition.id, index, attempt: number };
    log.warn({ ...at, class: errorClass, code, error: message }, 'attempt failed');
    const text = hint === undefined ? message : `${message} (${hint})`;
    const told = { code, class: errorClass, message: text.slice(0, 4000) };
    runs.send(active, { kind: 'attemptFailed', task, index, error: told, retryAfterMs }, (tx) => {
      const kind = cancelling === null ? 'failed' : 'abandoned';
      this.#breakers.ended(tx, job, definition, { kind, tookMs }, time.now());
      if (sent === undefined) return;
      effects.rememberSent(tx, { run: active.run, task: definition.id, index }, sent);
    });
  }

  #mirror(active: ActiveRun, task: string, attempt: number): TaskLog {
    const { id: run, job } = active.run;
    const log = this.#options.log.child({ job, run, task, attempt });
    return {
      info: (text) => log.debug(text),
      warn: (text) => log.warn(text),
      error: (text) => log.error(text),
    };
  }

  #complain(active: ActiveRun, error: unknown): void {
    if (this.#stopping !== undefined) return;
    const { id: run, job } = active.run;
    this.#options.log.error({ job, run, error: messageOf(error) }, 'an attempt was lost');
  }
}
