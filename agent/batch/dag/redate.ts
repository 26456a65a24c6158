/**
 * The times of a run, moved: for when they were written down by a clock that was wrong. What counts
 * from them (timeouts, pauses, how long something waits) stays as long as it is. The time that the
 * run stands for and its partition are its name, and stay.
 */
import type { RunRecord, TaskRecord } from '../records.ts';
import { CLOCK_FLOOR_MS } from '../schedule/batch-clock.ts';
import type { RunSnapshot } from './run-snapshot.ts';

export function redatedRun(run: RunRecord, deltaMs: number): RunRecord {
  const { cancelling } = run;
  return {
    ...run,
    queuedAt: run.queuedAt + deltaMs,
    notBefore: run.notBefore + deltaMs,
    startedAt: moved(run.startedAt, deltaMs),
    endedAt: moved(run.endedAt, deltaMs),
    cancelling: cancelling === null ? null : { ...cancelling, at: cancelling.at + deltaMs },
  };
}

/** Records of tasks that hold no time stay the same objects. */
export function redated({ run, tasks }: RunSnapshot, deltaMs: number): RunSnapshot {
  const all = tasks.map((group) => group.map((task) => redatedTask(task, deltaMs)));
  return { run: redatedRun(run, deltaMs), tasks: all };
}

/**
 * By how much the times of a stored run are to be moved, 0 for most: they cannot be of this clock
 * when they are after `now`, or before any device ran while `now` is not. Then the last that is
 * known of the run becomes now, and the time that the device was off counts as none.
 */
export function clockErrorMs(run: RunRecord, tasks: Iterable<TaskRecord>, now: number): number {
  let last = Math.max(run.queuedAt, run.startedAt ?? 0, run.cancelling?.at ?? 0);
  for (const { startedAt, endedAt } of tasks) last = Math.max(last, startedAt ?? 0, endedAt ?? 0);
  const isUndated = last < CLOCK_FLOOR_MS && now >= CLOCK_FLOOR_MS;
  return last > now || isUndated ? now - last : 0;
}

function redatedTask(task: TaskRecord, deltaMs: number): TaskRecord {
  const { startedAt, endedAt, nextAttemptAt, readyAt } = task;
  if ((startedAt ?? endedAt ?? nextAttemptAt ?? readyAt) === null) return task;
  return {
    ...task,
    startedAt: moved(startedAt, deltaMs),
    endedAt: moved(endedAt, deltaMs),
    nextAttemptAt: moved(nextAttemptAt, deltaMs),
    readyAt: moved(readyAt, deltaMs),
  };
}

function moved(timeMs: number | null, deltaMs: number): number | null {
  return timeMs === null ? null : timeMs + deltaMs;
}
