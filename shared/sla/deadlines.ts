/**
 * By when a run must have succeeded. The times of a schedule ask for a run each, and a successful
 * run stands for its own time and all before it: what was missed and caught up by one run is done.
 * So one instant tells all that is pending: the time of the newest successful run.
 *
 * A job whose schedule has no clock (datasets, by hand) is asked for a run per day by `at`, which
 * is the schedule then; `after` says nothing of times that nobody set, and counts from when a run
 * was asked for.
 */
import type { ScheduleTrigger } from '../definitions/batch-job.ts';
import type { SlaOf } from '../definitions/sla.ts';
import { cronFireTimes } from '../schedule/cron.ts';
import { type FireTimes, fireTimesOf, isTimeTrigger } from '../schedule/fire-times.ts';

export interface DeadlineTimes {
  /** The first time after the instant that asks for a run; undefined when there is none. */
  next(afterMs: number): { readonly at: number; readonly dueAt: number } | undefined;
}

/** Null: no calendar sets deadlines. */
export function deadlineTimes(
  { bound }: SlaOf<'deadline'>,
  triggers: readonly ScheduleTrigger[],
): DeadlineTimes | null {
  const times = triggers.filter(isTimeTrigger).map(fireTimesOf);
  if (bound.kind === 'after') {
    if (times.length === 0) return null;
    return { next: (afterMs) => due(first(times, afterMs), (at) => at + bound.ms) };
  }
  const daily = cronFireTimes(`${bound.minute} ${bound.hour} * * *`, bound.timezone);
  const asked = times.length === 0 ? [daily] : times;
  return { next: (afterMs) => due(first(asked, afterMs), (at) => daily.next(at)) };
}

function due(at: number | undefined, dueOf: (at: number) => number | undefined) {
  const dueAt = at === undefined ? undefined : dueOf(at);
  return at === undefined || dueAt === undefined ? undefined : { at, dueAt };
}

function first(times: readonly FireTimes[], afterMs: number): number | undefined {
  const all = times.map((each) => each.next(afterMs)).filter((each) => each !== undefined);
  return all.length === 0 ? undefined : Math.min(...all);
}
