/** Which instances of a run may start, and when to look again without an event. */
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import type { TaskRecord } from '../records.ts';
import { longestPauseMs } from './retry-policy.ts';
import { taskAt } from './run-plan.ts';
import { countsOf, instancesOf, type RunSnapshot, type TaskGroup } from './run-snapshot.ts';

export interface ReadyInstance {
  /** Position of its task in the program. */
  readonly task: number;
  readonly index: number | null;
  readonly record: TaskRecord;
}

/**
 * Instances that are ready and whose pause is over, in the order of the document and of the lists;
 * of each task no more than `parallel` leaves room for. Nothing of a run that does not run.
 */
export function readyInstances(
  program: BatchProgram,
  { run, tasks }: RunSnapshot,
  now: number,
): ReadyInstance[] {
  const found: ReadyInstance[] = [];
  if (run.state !== 'running') return found;
  for (let task = 0; task < tasks.length; task += 1) {
    const group = tasks[task] as TaskGroup;
    if (!hasReady(group)) continue;
    const { parallel, retry } = taskAt(program, task).definition;
    let room = (parallel ?? Infinity) - countsOf(group).running;
    for (const record of instancesOf(group)) {
      if (room <= 0) break;
      if (record.state !== 'ready' || !pauseIsOver(record, now, longestPauseMs(retry))) continue;
      found.push({ task, index: record.index, record });
      room -= 1;
    }
  }
  return found;
}

/** The next instant at which something is due by itself: a pause or the run's time is over. */
export function nextWakeMs(
  program: BatchProgram,
  snapshot: RunSnapshot,
  now: number,
): number | null {
  if (snapshot.run.state !== 'running') return null;
  let next = runDeadlineMs(program, snapshot) ?? Infinity;
  for (const [task, group] of snapshot.tasks.entries()) {
    if (!hasReady(group)) continue;
    const { retry } = taskAt(program, task).definition;
    for (const record of instancesOf(group)) {
      if (record.state !== 'ready' || pauseIsOver(record, now, longestPauseMs(retry))) continue;
      next = Math.min(next, record.nextAttemptAt ?? Infinity);
    }
  }
  return next === Infinity ? null : next;
}

/** When the run times out, or null: for the event `timedOut`, which is sent once. */
export function runDeadlineMs(program: BatchProgram, { run }: RunSnapshot): number | null {
  const { timeoutMs } = program.job;
  if (run.state !== 'running' || run.cancelling !== null) return null;
  if (timeoutMs === null || run.startedAt === null) return null;
  return run.startedAt + timeoutMs;
}

/** Most tasks have no list: they need not be counted. */
function hasReady(group: TaskGroup): boolean {
  return group.length === 1 ? group[0]?.state === 'ready' : countsOf(group).ready > 0;
}

/** A pause that seems longer than any can be comes of a clock that went back: it is over. */
function pauseIsOver({ nextAttemptAt }: TaskRecord, now: number, pauseMsMax: number): boolean {
  if (nextAttemptAt === null) return true;
  return nextAttemptAt <= now || nextAttemptAt - now > pauseMsMax;
}
