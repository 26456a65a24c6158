/**
 * A job's schedule, ready to be asked: fire times compiled, and the runs that a fire makes. It
 * holds nothing that changes, and little memory: 200 jobs at rest must cost almost nothing.
 */
import { createHash } from 'node:crypto';
import type {
  Misfire,
  PartitionDefinition,
  Schedule,
  ScheduleTrigger,
} from '@runnel/shared/definitions/batch-job.ts';
import type { RunTrigger } from '@runnel/shared/protocol/runs.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { type FireTimes, fireTimesOf, isTimeTrigger } from '@runnel/shared/schedule/fire-times.ts';
import { partitionsAt } from '@runnel/shared/schedule/partitions.ts';

type Of<K extends ScheduleTrigger['kind']> = Extract<ScheduleTrigger, { readonly kind: K }>;

export interface TimedTrigger {
  readonly kind: 'cron' | 'every' | 'at';
  readonly times: FireTimes;
}

export interface SchedulePlan {
  readonly timed: readonly TimedTrigger[];
  readonly datasets: readonly { readonly key: string; readonly names: readonly string[] }[];
  readonly startup: Of<'startup'> | null;
  readonly disk: readonly Of<'disk'>[];
  readonly misfire: Misfire;
  readonly catchUpWindowMs: number;
  readonly partition: PartitionDefinition | null;
  /** Its runs cover periods of the calendar, which need the time to be known. */
  readonly needsTime: boolean;
  /** At most the job's `jitter`, the same for the same device, job and time. */
  readonly jitterMs: (atMs: number) => number;
}

/** A run that is to be made. */
export interface DueRun {
  /** The time that it stands for. */
  readonly at: number;
  readonly trigger: RunTrigger;
  readonly partition: Partition;
  /** It does not start before. */
  readonly notBefore: number;
}

export interface SchedulePlanOptions {
  readonly schedule: Schedule;
  readonly partition: PartitionDefinition | null;
  readonly agent: string;
  readonly job: string;
}

/** @throws {RunnelError} `cron_invalid` for a trigger that the parser should have refused. */
export function schedulePlan(options: SchedulePlanOptions): SchedulePlan {
  const { schedule, partition, agent, job } = options;
  const { triggers } = schedule;
  const startups = triggers.filter((each) => each.kind === 'startup');
  return {
    timed: triggers
      .filter(isTimeTrigger)
      .map((each) => ({ kind: each.kind, times: fireTimesOf(each) })),
    datasets: triggers
      .filter((each) => each.kind === 'dataset')
      .map(({ datasets }) => {
        const names = [...new Set(datasets)].sort();
        return { key: names.join(' '), names };
      }),
    // Once per process is once, however often it is written.
    startup: startups.sort((a, b) => a.delayMs - b.delayMs)[0] ?? null,
    disk: triggers.filter((each) => each.kind === 'disk'),
    misfire: schedule.misfire,
    catchUpWindowMs: schedule.catchUpWindowMs,
    partition,
    needsTime: partition !== null && partition.every !== null,
    jitterMs: (atMs) => jitterOf(schedule.jitterMs, `${agent}\n${job}\n${atMs}`),
  };
}

/** How many runs one fire makes. */
export function runsPerFire(plan: SchedulePlan): number {
  return plan.partition?.kind === 'keys' ? plan.partition.keys.length : 1;
}

/** Runs for one fire; `coversMs` is the instant whose partition they cover. */
export function dueRuns(
  plan: SchedulePlan,
  trigger: RunTrigger,
  at: number,
  earliestMs = at,
  coversMs = at,
): readonly DueRun[] {
  const notBefore = earliestMs + plan.jitterMs(at);
  return partitionsAt(plan.partition, coversMs).map((partition) => ({
    at,
    trigger,
    partition,
    notBefore,
  }));
}

function jitterOf(jitterMs: number, text: string): number {
  if (jitterMs === 0) return 0;
  const share = createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
  return Math.floor(share * (jitterMs + 1));
}
