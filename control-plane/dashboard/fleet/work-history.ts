/**
 * How a device works while its page is open: records per second, lag and errors of each job, from
 * counters that only grow. Pure: each detail that comes in is one reading.
 *
 * A counter that fell belongs to a process that began anew: that reading gives no rate.
 */
import type { AgentDetail, AgentJobDetail } from '../../http/live-messages.ts';

export interface JobWork {
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly lag: number;
  /** Late, dead letters and dropped records. */
  readonly errors: number;
}

export interface WorkReading {
  /** When the device was heard; readings of one heartbeat are one. */
  readonly at: number;
  readonly jobs: Readonly<Record<string, JobWork>>;
}

export interface JobRates {
  /** Records a second; null before there are two readings. */
  readonly in: number | null;
  readonly out: number | null;
  readonly errors: number | null;
}

/** At a heartbeat every ten seconds, half an hour. */
const READINGS_MAX = 180;

export function addReading(
  readings: readonly WorkReading[],
  agent: Pick<AgentDetail, 'jobs' | 'lastSeenAt'>,
): readonly WorkReading[] {
  const at = agent.lastSeenAt;
  const last = readings.at(-1);
  if (at === null || (last !== undefined && last.at >= at)) return readings;
  const streams = agent.jobs.filter(({ batch }) => batch === null);
  const jobs = Object.fromEntries(streams.map((job) => [job.name, workOf(job)]));
  return [...readings, { at, jobs }].slice(-READINGS_MAX);
}

function workOf(job: AgentJobDetail): JobWork {
  const dropped = Object.values(job.dropped).reduce((sum, count) => sum + count, 0);
  return {
    recordsIn: job.recordsIn,
    recordsOut: job.recordsOut,
    lag: job.lagRecords,
    errors: job.late + job.deadLetters + dropped,
  };
}

/** Between the last two readings. */
export function ratesOf(readings: readonly WorkReading[], job: string): JobRates {
  const [before, after] = readings.slice(-2);
  if (before === undefined || after === undefined) return { in: null, out: null, errors: null };
  return {
    in: rate(before, after, job, 'recordsIn'),
    out: rate(before, after, job, 'recordsOut'),
    errors: rate(before, after, job, 'errors'),
  };
}

function rate(
  before: WorkReading,
  after: WorkReading,
  job: string,
  of: Exclude<keyof JobWork, 'lag'>,
): number | null {
  const [from, to] = [before.jobs[job]?.[of], after.jobs[job]?.[of]];
  if (from === undefined || to === undefined || to < from) return null;
  return ((to - from) / (after.at - before.at)) * 1000;
}

export interface WorkLines {
  readonly times: readonly number[];
  readonly in: readonly { readonly label: string; readonly values: (number | null)[] }[];
  readonly lag: readonly { readonly label: string; readonly values: (number | null)[] }[];
}

/** A line per job, for the charts; as many as can be told apart. */
export function workLines(readings: readonly WorkReading[], linesMax = 8): WorkLines {
  const names = [...new Set(readings.flatMap(({ jobs }) => Object.keys(jobs)))].sort();
  const shown = names.slice(0, linesMax);
  const later = readings.slice(1);
  return {
    times: later.map(({ at }) => at),
    in: shown.map((label) => ({
      label,
      values: later.map((after, index) => {
        const before = readings[index];
        return before === undefined ? null : rate(before, after, label, 'recordsIn');
      }),
    })),
    lag: shown.map((label) => ({
      label,
      values: later.map(({ jobs }) => jobs[label]?.lag ?? null),
    })),
  };
}
