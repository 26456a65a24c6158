/**
 * Runs of batch jobs as REST and the websocket carry them. Types only, like live-messages.ts: the
 * server and the page both import this file. Times are epoch milliseconds.
 */
import type { RunError, RunState, RunTrigger, TaskState } from '@runnel/shared/protocol/runs.ts';

/** A task of a run as the grid shows it: one cell. */
export interface RunTaskItem {
  readonly id: string;
  /** `none` for a task that only joins or branches. */
  readonly kind: string;
  /** Null while nothing was reported of it. */
  readonly state: TaskState | null;
  /** Of a `forEach`: instances that succeeded, of those that were reported. Null: no instances. */
  readonly instances: { readonly succeeded: number; readonly reported: number } | null;
}

/** An item of `GET /api/v1/runs` and of the view `runs`. */
export interface RunItem {
  /** Id of the run; a unique beginning of it will do in a path. */
  readonly run: string;
  /** Id of the agent, and its name (its id again once it is deleted). */
  readonly agent: string;
  readonly agentName: string;
  readonly job: string;
  readonly version: number;
  /** `<job>/<partition>`: completion is judged by it. */
  readonly key: string;
  readonly partition: string;
  /** `[start, end)`. */
  readonly partitionStart: number;
  readonly partitionEnd: number;
  readonly trigger: RunTrigger;
  readonly state: RunState;
  /** It was told to end and has not ended yet. */
  readonly cancelling: boolean;
  /** The time that the run stands for. */
  readonly at: number;
  readonly queuedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** From 1; one more with every rerun. */
  readonly tries: number;
  readonly error: RunError | null;
  /** Tasks that did not run because of a failure before them; jobs that wait for its datasets. */
  readonly affected: { readonly tasks: readonly string[]; readonly jobs: readonly string[] };
  /** In the order of the document. */
  readonly tasks: readonly RunTaskItem[];
  /** When the control plane stored the newest report of it. */
  readonly receivedAt: number;
}

/** One instance of a task: a task without `forEach` has one, whose `index` is null. */
export interface TaskInstanceItem {
  readonly task: string;
  readonly index: number | null;
  readonly state: TaskState;
  readonly attempt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** When a failed attempt is made again. */
  readonly nextAttemptAt: number | null;
  readonly output: unknown;
  readonly error: RunError | null;
}

/** `GET /api/v1/runs/{run}` and the view `run`. */
export interface RunDetail extends Omit<RunItem, 'tasks'> {
  readonly tasks: readonly (RunTaskItem & { readonly needs: readonly string[] })[];
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Parameter → the layer that its value came from. */
  readonly origins: Readonly<Record<string, string>>;
  /** By the order of the document, then index. */
  readonly instances: readonly TaskInstanceItem[];
  /** There are more instances than are listed. */
  readonly truncated: boolean;
}

/** What a batch job last said of itself on one agent. */
export interface BatchItem {
  readonly nextAt: number | null;
  readonly activeRuns: number;
  readonly queuedRuns: number;
  /** Why the first of those waits: its partition and the reason. */
  readonly waits?: string | undefined;
  readonly lastRun: {
    readonly run: string;
    readonly partition: string;
    readonly state: RunState;
    readonly endedAt: number;
  } | null;
  readonly lastSuccessAt: number | null;
  /** Times that started no run, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Runs that ended, by state. */
  readonly ended: Readonly<Record<string, number>>;
}
