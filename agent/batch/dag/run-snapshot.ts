/**
 * All that is known of one run, as a value: what the run machine goes from and gives back.
 *
 * The tasks are in the order of the program. A group is one task: first the record of the task
 * itself (index null); behind it, once a `forEach` was expanded, its instances in the order of the
 * list. A task without `forEach` is its own and only instance.
 */
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import { assert } from '@runnel/shared/errors.ts';
import type { TaskState } from '@runnel/shared/protocol/runs.ts';
import type { RunRecord, TaskRecord } from '../records.ts';
import type { StateCounts } from './trigger-rules.ts';

export type TaskGroup = readonly TaskRecord[];

export interface RunSnapshot {
  readonly run: RunRecord;
  readonly tasks: readonly TaskGroup[];
}

const DONE: Readonly<Record<TaskState, boolean>> = {
  waiting: false,
  ready: false,
  running: false,
  success: true,
  failed: true,
  skipped: true,
  upstream_failed: true,
  cancelled: true,
};

export function isDone(state: TaskState): boolean {
  return DONE[state];
}

/** A run that waits, with every task as `waiting`. */
export function newRun(program: BatchProgram, run: RunRecord): RunSnapshot {
  return { run, tasks: program.tasks.map((task) => [waitingTask(run, task.definition.id)]) };
}

/**
 * A run as it was stored. Records of tasks that never changed need not be there; the order of the
 * records does not matter. Throws `invariant_broken` for a record that does not belong.
 */
export function snapshotOf(
  program: BatchProgram,
  run: RunRecord,
  records: Iterable<TaskRecord>,
): RunSnapshot {
  const position = new Map(program.tasks.map(({ definition }, at) => [definition.id, at]));
  const groups = program.tasks.map((task) => [waitingTask(run, task.definition.id)]);
  for (const record of records) {
    const group = groups[position.get(record.task) ?? -1];
    assert(group !== undefined, `run ${run.id} has a record of ${record.task}, no task of the job`);
    group[record.index === null ? 0 : record.index + 1] = record;
  }
  for (const group of groups) {
    const instances = headOf(group).items ?? 0;
    const whole = group.length === instances + 1 && !group.includes(undefined as never);
    assert(whole, `run ${run.id}: ${headOf(group).task} has not the instances that it should`);
  }
  return { run, tasks: groups };
}

/** A task before anything happened to it. */
export function waitingTask(run: RunRecord, task: string): TaskRecord {
  return {
    run: run.id,
    task,
    index: null,
    state: 'waiting',
    attempt: 0,
    interrupted: 0,
    startedAt: null,
    endedAt: null,
    nextAttemptAt: null,
    readyAt: null,
    output: null,
    table: null,
    error: null,
    marked: false,
    chosen: null,
    item: null,
    items: null,
  };
}

/** The record of the task itself. */
export function headOf(group: TaskGroup | undefined): TaskRecord {
  const head = group?.[0];
  assert(head !== undefined, 'a task without a record');
  return head;
}

/** Where the record of an instance is in its group. */
export function slotOf(index: number | null): number {
  return index === null ? 0 : index + 1;
}

/** Where what stands for attempts begins: behind the task itself where it has a list. */
export function firstSlotOf(group: TaskGroup): number {
  return group.length > 1 ? 1 : 0;
}

export function noCounts(): Record<TaskState, number> {
  return {
    waiting: 0,
    ready: 0,
    running: 0,
    success: 0,
    failed: 0,
    skipped: 0,
    upstream_failed: 0,
    cancelled: 0,
  };
}

/** Groups never change, so what was counted once stays true. */
const counted = new WeakMap<TaskGroup, StateCounts>();

/** How many of the instances are in each state: what a dependent sees of the task. */
export function countsOf(group: TaskGroup): StateCounts {
  const known = counted.get(group);
  if (known !== undefined) return known;
  const counts = noCounts();
  for (let slot = firstSlotOf(group); slot < group.length; slot += 1) {
    counts[(group[slot] as TaskRecord).state] += 1;
  }
  counted.set(group, counts);
  return counts;
}

/** Tells the counts of a group that the caller has kept while making it. */
export function rememberCounts(group: TaskGroup, counts: StateCounts): void {
  counted.set(group, counts);
}

/** Ids of the tasks that did not run because something before them failed, in document order. */
export function affectedTasks(snapshot: RunSnapshot): string[] {
  const heads = snapshot.tasks.map(headOf);
  return heads.filter(({ state }) => state === 'upstream_failed').map(({ task }) => task);
}
