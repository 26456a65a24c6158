/** Schedules as the tests write them: what a parsed document would give, with its defaults. */
import { type SchedulePlan, schedulePlan } from '@runnel/agent/batch/schedule/schedule-plan.ts';
import {
  newScheduleRecord,
  type ScheduleRecord,
} from '@runnel/agent/batch/schedule/schedule-record.ts';
import { type Advance, advance } from '@runnel/agent/batch/schedule/schedule-state.ts';
import type { BatchTime } from '@runnel/agent/batch/schedule/batch-clock.ts';
import type {
  PartitionDefinition,
  Schedule,
  ScheduleTrigger,
} from '@runnel/shared/definitions/batch-job.ts';
import { durationMs, epochMs } from '@runnel/shared/ids.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

export const at = (text: string): number => Date.parse(text);
export const utc = (ms: number): string => new Date(ms).toISOString().replace(/(:00)?\.000Z/, 'Z');
export const known = (ms: number): BatchTime => ({ nowMs: epochMs(ms), known: true });
export const unknown = (ms: number): BatchTime => ({ nowMs: epochMs(ms), known: false });

export const daily: PartitionDefinition = { kind: 'period', every: '1d', timezone: 'UTC' };
export const cron = (text: string): ScheduleTrigger => ({
  kind: 'cron',
  cron: text,
  timezone: 'UTC',
});
export const every = (text: string): ScheduleTrigger => ({
  kind: 'every',
  every: text,
  timezone: 'UTC',
});
export const atTimes = (...times: readonly number[]): ScheduleTrigger => ({
  kind: 'at',
  at: times.map(epochMs),
});

export interface PlanOptions extends Partial<Omit<Schedule, 'triggers'>> {
  readonly partition?: PartitionDefinition;
  readonly agent?: string;
}

export function plan(
  triggers: readonly ScheduleTrigger[],
  options: PlanOptions = {},
): SchedulePlan {
  const { partition = null, agent = 'agent-1', ...schedule } = options;
  return schedulePlan({
    agent,
    job: 'job',
    partition,
    schedule: {
      triggers,
      misfire: 'runOnce',
      catchUpWindowMs: durationMs(7 * DAY),
      overlap: 'skip',
      jitterMs: durationMs(0),
      ...schedule,
    },
  });
}

/** The record of a job that has been running, with everything up to `ms` accounted for. */
export function running(of: SchedulePlan, ms: number): ScheduleRecord {
  return advance(of, newScheduleRecord(epochMs(ms)), { kind: 'tick' }, known(ms)).record;
}

export function paused(of: SchedulePlan, ms: number): ScheduleRecord {
  return advance(of, running(of, ms), { kind: 'pause' }, known(ms)).record;
}

/** What came of it, short: `schedule 2026-11-22T00:15Z`. */
export function dueOf({ due }: Advance): string[] {
  return due.map((run) => `${run.trigger} ${utc(run.at)}`);
}
