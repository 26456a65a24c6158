/**
 * One attempt of one task instance: renders its config, gives it a context, waits for what it
 * makes.
 *
 * Guarantees: it ends, since a runner that does not listen to its signal is left to itself after
 * `limits.attemptGraceMs`; its scratch directory is gone when it has ended; whatever it threw comes
 * back as a `TaskError`. Nothing that it made counts before the caller has committed it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  BatchProgram,
  CompiledTask,
  TaskScope,
} from '@runnel/shared/definitions/batch-program.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { taskMemoryBytes } from '@runnel/shared/definitions/task-memory.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext, TaskLog, TaskRunner, TaskSuccess } from '../tasks/task.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import type { TaskServices } from '../tasks/task-services.ts';

export interface AttemptDeps {
  readonly clock: Clock;
  readonly services: TaskServices;
  readonly runners: ReadonlyMap<string, TaskRunner>;
  readonly scratchRoot: string;
}

export interface AttemptPlan extends Pick<
  TaskContext,
  'attempt' | 'cursor' | 'effectKey' | 'fullRefresh' | 'history' | 'sending' | 'sent' | 'tries'
> {
  /** Unique on this device: names its scratch directory. */
  readonly id: string;
  readonly program: BatchProgram;
  readonly task: CompiledTask;
  readonly scope: TaskScope;
  readonly log: TaskLog;
  readonly table: (task: string) => TableRef | undefined;
}

export class Attempt {
  readonly #deps: AttemptDeps;
  readonly #plan: AttemptPlan;
  readonly #abort = new AbortController();

  constructor(deps: AttemptDeps, plan: AttemptPlan) {
    this.#deps = deps;
    this.#plan = plan;
  }

  /** The reason reaches the runner through its signal, and the caller as what `run` throws. */
  abort(reason: TaskError): void {
    this.#abort.abort(reason);
  }

  /**
   * `finish` is what follows of the success within the attempt's time; it listens to the signal.
   * Throws a `TaskError`; once aborted always the reason of that.
   */
  async run<T>(finish: (success: TaskSuccess, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock } = this.#deps;
    const { definition } = this.#plan.task;
    const { signal } = this.#abort;
    const { timeoutMs } = definition;
    // It was told to end while the commit of its start was under way: nobody would tell it again.
    if (signal.aborted) throw taskErrorOf(signal.reason);
    const stopTimer =
      timeoutMs === null ? undefined : clock.after(timeoutMs, () => this.abort(timeout(timeoutMs)));
    try {
      const finished = await this.#orAborted(
        this.#run().then((success) => {
          signal.throwIfAborted();
          return finish(success, signal);
        }),
      );
      signal.throwIfAborted();
      return finished;
    } catch (error) {
      throw taskErrorOf(signal.aborted ? signal.reason : error);
    } finally {
      stopTimer?.();
    }
  }

  async #run(): Promise<TaskSuccess> {
    const { runners, scratchRoot, clock, services } = this.#deps;
    const { id, task, table, ...given } = this.#plan;
    const { kind, id: name } = task.definition;
    if (task.spec === undefined) return { output: null };
    const runner = runners.get(kind);
    if (runner === undefined) {
      throw new TaskError('definition', 'task_unknown', `this agent has no tasks of kind ${kind}`);
    }
    const config = task.config(given.scope);
    const memoryBytes = taskMemoryBytes(task.spec, config);
    const { cost } = task.definition;
    if (memoryBytes > cost.memoryBytes) throw overCost(memoryBytes, cost.memoryBytes);
    const scratchDir = join(scratchRoot, id);
    const context: TaskContext = {
      ...given,
      task: name,
      table: (of) => {
        const upstream = given.program.tasks.find(({ definition }) => definition.id === of);
        return upstream === undefined ? undefined : table(of);
      },
      scratchDir,
      signal: this.#abort.signal,
      clock,
      services,
    };
    if (!SCRATCHLESS.has(kind)) await mkdir(scratchDir, { recursive: true });
    try {
      this.#abort.signal.throwIfAborted();
      return await runner.run(config, context);
    } finally {
      if (!SCRATCHLESS.has(kind)) await rm(scratchDir, { recursive: true, force: true });
    }
  }

  /** Rejects when the runner has not ended long after it was told to. */
  #orAborted<T>(running: Promise<T>): Promise<T> {
    const { clock } = this.#deps;
    const { signal } = this.#abort;
    return new Promise((resolve, reject) => {
      let stopGrace: (() => void) | undefined;
      const told = (): void => {
        stopGrace = clock.after(limits.attemptGraceMs, () => {
          this.#plan.log.error('the attempt did not end when it was told to; it is left to itself');
          reject(taskErrorOf(signal.reason));
        });
      };
      signal.addEventListener('abort', told, { once: true });
      running.then(resolve, reject).finally(() => {
        stopGrace?.();
        signal.removeEventListener('abort', told);
      });
    });
  }
}

/** Kinds that only compute: no directory is made for them. */
const SCRATCHLESS: ReadonlySet<string> = new Set(['value']);

/** A template made the bound larger than what was admitted. */
function overCost(bytes: number, admitted: number): TaskError {
  const told = `memory came out as ${bytes} bytes, and the task was admitted with ${admitted}`;
  return new TaskError('resources', 'cost_exceeds_budget', told, {
    hint: 'State the most that it may be as cost.memory.',
  });
}

function timeout(timeoutMs: number): TaskError {
  const message = `the attempt took longer than ${timeoutMs} ms`;
  return new TaskError('timeout', 'task_timeout', message);
}
