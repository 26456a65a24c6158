/**
 * What is stored of batch jobs, format 1, in the database `batch`; the keys are made in
 * runs/job-record.ts:
 *
 * | key                                              | value                                      |
 * |--------------------------------------------------|--------------------------------------------|
 * | `['job', name]`                                  | BatchJobRecord: what is desired, counters  |
 * | `['version', name, version]`                     | BatchVersionRecord: while a run needs it   |
 * | `['schedule', name]`                             | ScheduleRecord: times accounted for        |
 * | `['time']`                                       | newest time that was known, epoch ms       |
 * | `['run', id]`                                    | RunRecord                                  |
 * | `['runs', job, n]`                               | id of the run: `n` counts from 1 per job   |
 * | `['open', run]`                                  | `{}` while the run has not ended           |
 * | `['given', run]`                                 | RunParametersRecord                        |
 * | `['task', run, task, index]`                     | TaskRecord; -1 without `forEach`           |
 * | `['partition', job, id]`                         | PartitionRecord: its completion            |
 * | `['cursor', job, task, key, item]`               | CursorRecord: the incremental cursor       |
 * | `['breaker', job, task]`                         | BreakerRecord: the circuit breaker         |
 * | `['quality', job, task, key, item, of]`          | HistoryRecord: values, oldest first        |
 * | `['results', job, partition, task, index, name]` | SentRecord: rows that were delivered last  |
 * | `['dataset', name, id]`                          | DatasetRecord: a partition of a dataset    |
 * | `['upstream', job]`                              | UpstreamRecord: what it waits for failed   |
 * | `['backfill', id]`                               | BackfillRecord: how far it came            |
 * | `['command', id]`                                | AnswerRecord: for when it comes again      |
 *
 * In `results` the name `:http` stands for what a task sent over HTTP, with success or not.
 *
 * Runs go with what they hold (`runs`, `open`, `given`, `task`) as runs/retention.ts says; a job
 * that is taken away takes all that has its name, but for datasets, which others may read.
 *
 * Crash outcomes: a change of a run or task is written in the commit that holds its effect (outbox
 * rows, cursor, dataset record, completion). A task that is `running` in the store was interrupted:
 * its attempt counts, and it is made again.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import type { RunError, RunState, RunTrigger, TaskState } from '@runnel/shared/protocol/runs.ts';

export const BATCH_FORMAT = 1;

export interface BatchVersionRecord {
  readonly job: string;
  readonly version: number;
  readonly hash: string;
  readonly document: unknown;
  /** Effective for this device, without what a run adds. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface RunRecord {
  /** Random; sorts nothing. */
  readonly id: string;
  /** Counts up from 1 per job. */
  readonly n: number;
  readonly job: string;
  readonly version: number;
  readonly partition: Partition;
  readonly trigger: RunTrigger;
  /** The time that the run stands for: of the schedule, or when it was asked for. */
  readonly at: number;
  readonly queuedAt: number;
  /** Does not start before: jitter. */
  readonly notBefore: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly state: RunState;
  /** A cancel was asked for and its attempts have not all ended. */
  readonly cancelling: {
    readonly reason: string;
    readonly at: number;
    /** Asked for again: teardown tasks end too. */
    readonly force: boolean;
  } | null;
  readonly error: RunError | null;
  /** Given with the run, over the job's. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly priority: number;
  readonly fullRefresh: boolean;
  /** From 1; a rerun adds one. */
  readonly tries: number;
  /** Id of the backfill that it belongs to, or null. */
  readonly backfill: string | null;
  /** A person asked for it now: it waits for no cheap window. */
  readonly asked?: true;
}

export interface TaskRecord {
  readonly run: string;
  /** Id in the document. */
  readonly task: string;
  readonly index: number | null;
  readonly state: TaskState;
  /** Attempts begun in this try of the run. */
  readonly attempt: number;
  /** Those of them that ended because the agent stopped: they have a bound of their own. */
  readonly interrupted: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** `ready` and not before this: the pause of a retry. */
  readonly nextAttemptAt: number | null;
  /** Since when it is `ready`: what aging counts from. */
  readonly readyAt: number | null;
  readonly output: Json;
  readonly table: TableRef | null;
  readonly error: RunError | null;
  /** Set by hand. */
  readonly marked: boolean;
  /** What `branch` chose when the task succeeded; null where there is none. */
  readonly chosen: readonly string[] | null;
  /** Of a task with `forEach`: the item; of the task itself, once expanded, how many there are. */
  readonly item: Json;
  readonly items: number | null;
}

/** Rows in a file below `<data>/batch/`: one JSON object a line (tables/). */
export interface TableRef {
  /** Relative to `<data>/batch`. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** Names in the order they first came, with what their values are. */
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
  /**
   * Rows of several files one after the other, as a task with `forEach` makes them: all of them, in
   * order; `path` is the first. Absent: `path` is all.
   */
  readonly parts?: readonly string[];
}

export type ColumnType = 'number' | 'string' | 'boolean' | 'json';

export interface PartitionRecord {
  readonly job: string;
  readonly partition: Partition;
  /** Of the newest run that ended. */
  readonly state: Extract<RunState, 'success' | 'failed' | 'cancelled'>;
  readonly run: string;
  readonly version: number;
  readonly endedAt: number;
}

/** What was delivered of a partition last: the same again goes nowhere. */
export interface SentRecord {
  readonly hash: string;
  /** From 1: one more whenever it was something else. */
  readonly revision: number;
}

/** Where a state of a table stands among those before and after it (changes/state-chain.ts). */
export interface StateLink {
  readonly n: number;
  /** `n` of the state that it was compared with; null: nothing. */
  readonly after: number | null;
  /** All of its rows were told. */
  readonly isSnapshot: boolean;
}

export interface DatasetRecord {
  readonly name: string;
  /** Id of the partition, or of the window for what a stream job puts out. */
  readonly partition: string;
  readonly start: number;
  readonly end: number;
  readonly table: TableRef | null;
  /** SHA-256 of the rows: the same again is no update. */
  readonly hash: string;
  readonly revision: number;
  readonly job: string;
  readonly run: string | null;
  readonly updatedAt: number;
  /** Of the states of a table that change events come from; those of earlier versions have none. */
  readonly link?: StateLink;
}
