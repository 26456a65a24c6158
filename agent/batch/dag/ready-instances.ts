/** Which instances of a run may start, and when to look again without an event. */
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import type { TaskRecord } from '../records.ts';
import { longestPauseMs } from './retry-policy.ts';
import { taskAt } from './run-plan.ts';
import { countsOf, firstSlotOf, type RunSnapshot, type TaskGroup } from './run-snapshot.ts';

export interface ReadyInstance {
  /** Position of its task in the program. */
  readonly task: number;
  readonly index: number | null;
  readonly record: TaskRecord;
}

/**
 * Instances that are ready and whose pause is over, in the order of the document and of the lists;
 * of each task no more than `parallel` leaves room for. Nothing of a run that does not run.
 *
 * `startsMax` is how many attempts can start together on the device. Instances of one task take the
 * same and have the same priority, so of each only those that have waited longest are of interest:
 * with it a list of a thousand items is not gone through once for each of them.
 */
export function readyInstances(
  program: BatchProgram,
  { run, tasks }: RunSnapshot,
  now: number,
  startsMax = Infinity,
): ReadyInstance[] {
  const found: ReadyInstance[] = [];
  if (run.state !== 'running') return found;
  for (let task = 0; task < tasks.length; task += 1) {
    const group = tasks[task] as TaskGroup;
    if (!hasReady(group)) continue;
    const { parallel, retry } = taskAt(program, task).definition;
    let room = (parallel ?? Infinity) - countsOf(group).running;
    const pauseMsMax = longestPauseMs(retry);
    const first = found.length;
    for (let slot = firstSlotOf(group); slot < group.length && room > 0; slot += 1) {
      const record = group[slot] as TaskRecord;
      if (record.state !== 'ready' || !pauseIsOver(record, now, pauseMsMax)) continue;
      room -= 1;
      keepLongest(found, first, { task, index: record.index, record }, startsMax);
    }
  }
  return found;
}

/** Adds the instance to those from `first` on; of too many the one that has waited least goes. */
function keepLongest(
  found: ReadyInstance[],
  first: number,
  ready: ReadyInstance,
  countMax: number,
): void {
  if (found.length - first < countMax) {
    found.push(ready);
    return;
  }
  let newest = first;
  for (let at = first + 1; at < found.length; at += 1) {
    if (sinceOf(found[at]) >= sinceOf(found[newest])) newest = at;
  }
  if (sinceOf(ready) >= sinceOf(found[newest])) return;
  found.splice(newest, 1);
  found.push(ready);
}

/** What is ready and has no time is as new as can be. */
function sinceOf(ready: ReadyInstance | undefined): number {
  return ready?.record.readyAt ?? Infinity;
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
    const pauseMsMax = longestPauseMs(taskAt(program, task).definition.retry);
    for (let slot = firstSlotOf(group); slot < group.length; slot += 1) {
      const record = group[slot] as TaskRecord;
      if (record.state !== 'ready' || pauseIsOver(record, now, pauseMsMax)) continue;
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
