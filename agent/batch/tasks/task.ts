/**
 * What runs a kind of task. One file per kind beside this one, listed in registry.ts, its settings
 * declared in shared/definitions/tasks/<kind>.ts, held by taskContract (test/contracts).
 *
 * An attempt gets everything through its context and gives back what it made; nothing of that
 * counts before it is committed together with the state `success` of the task. An effect outside of
 * our store must be safe to do again: an attempt may be made again after it had its effect and
 * before that was committed. So files are written beside and renamed, databases record `effectKey`
 * in the transaction, HTTP sends it as Idempotency-Key (io/idempotency-key.ts).
 */
import type { BatchProgram, TaskScope } from '@runnel/shared/definitions/batch-program.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import type { DatasetRecord, SentRecord, StateLink, TableRef } from '../records.ts';
import type { TaskServices } from './task-services.ts';

/** One attempt of one instance. */
export interface TaskContext {
  readonly scope: TaskScope;
  readonly program: BatchProgram;
  /** Id of the task in the document. */
  readonly task: string;
  readonly attempt: number;
  /** The same for every attempt and rerun: SHA-256 hex of job, partition, task and index. */
  readonly effectKey: string;
  /**
   * What this instance sent last to where a key must tell it from what was before
   * (io/idempotency-key.ts), in an attempt that ended, with success or not; null: nothing yet.
   */
  readonly sent: SentRecord | null;
  /** Before it is sent: the hash of it, for attempts after this one. */
  sending(hash: string): void;
  /** From 1; a rerun by hand adds one. */
  readonly tries: number;
  readonly fullRefresh: boolean;
  /** What the last success of this task stored; null at first and with `fullRefresh`. */
  readonly cursor: Json;
  /** What this task measured in earlier runs, oldest first (`quality`). */
  readonly history: readonly Json[];
  /** The table of a task among `needs`, or undefined when it made none. */
  table(task: string): TableRef | undefined;
  /** An empty directory of this attempt, on the data directory's disk, removed when it ends. */
  readonly scratchDir: string;
  /** Aborts at the timeout, a cancel and when the agent stops; the reason is a `TaskError`. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: TaskLog;
  readonly services: TaskServices;
}

export interface TaskLog {
  /** Into the run's log; long texts are cut, secrets must not be in it. */
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export interface DatasetWrite {
  readonly dataset: string;
  /** Absent: the run's own. A task may write several partitions of one dataset (`rollup`). */
  readonly partition?: Pick<Partition, 'id' | 'start' | 'end'>;
  readonly table: TableRef;
  /** Also as rows to the control plane. */
  readonly deliver: boolean;
  /** Column whose value is the key of a delivered row; absent: they have none. */
  readonly key?: string;
  /** Columns that stay on the device when rows are delivered. */
  readonly withheld?: readonly string[];
  readonly link?: StateLink;
}

/** A row for the control plane. */
export interface ResultRow {
  readonly dataset: string;
  readonly key: Json;
  readonly time: number;
  readonly value: Json;
}

export interface DeadRow {
  readonly reason: string;
  readonly message: string;
  readonly value: Json;
}

export interface TaskSuccess {
  /** At most 64 KiB as JSON; more fails the task. */
  readonly output: Json;
  /** Asked right before the commit, with no other in between: what it throws fails the attempt. */
  readonly requireCurrent?: () => void;
  /** Rows for the tasks behind it; made with `services.tables`. */
  readonly table?: TableRef;
  /** The rest becomes part of the commit that makes the task succeed. */
  readonly cursor?: Json;
  readonly history?: readonly Json[];
  readonly datasets?: readonly DatasetWrite[];
  /** A partition whose rows are no longer those of `hash` stays: nobody judged them. */
  readonly removedDatasets?: readonly Pick<DatasetRecord, 'hash' | 'name' | 'partition'>[];
  readonly results?: readonly ResultRow[];
  /** At most `limits.taskDeadRowsMax` are kept, for a person to look at. */
  readonly deadRows?: readonly DeadRow[];
  /** How many there were, where that is more than are given; all are counted. */
  readonly deadRowCount?: number;
}

export interface TaskRunner<Config = unknown> {
  readonly kind: string;
  /** Throws a `TaskError`; anything else counts as its class `other`. */
  run(config: Config, context: TaskContext): Promise<TaskSuccess>;
}

/** Ties a runner to the settings of its kind. */
export function defineTaskRunner<Config>(runner: TaskRunner<Config>): TaskRunner {
  return runner;
}
