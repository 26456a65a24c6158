/**
 * Where a job's schedule stands, format 1, under `['schedule', job]` in the database `batch`. It is
 * written in the commit that holds the runs it started, so after a crash every time is either still
 * ahead of it, or has its run or its place in a count.
 */
import { z } from 'zod';
import type { EpochMs } from '@runnel/shared/ids.ts';

export const scheduleRecord = z
  .object({
    v: z.literal(1),
    /**
     * Up to when (inclusive) every time was started or counted. `unanchored`: the device did not
     * know the time yet, and `toMs` belongs to a clock of which only the pace is right.
     */
    accounted: z.object({ kind: z.enum(['unanchored', 'anchored']), toMs: z.number() }).readonly(),
    /** Nothing starts; `accounted` stays, so that the times are counted once, at the end. */
    paused: z.boolean(),
    lastFireMs: z.number().nullable(),
    /** The start of the process was seen and its run waits for the time to be known. */
    startupWaiting: z.boolean(),
    /** Thresholds of disk triggers that fired and wait until the disk has room again. */
    diskFired: z.array(z.number()).readonly(),
    /** By trigger: datasets updated since the last run it started, and what they cover. */
    datasets: z
      .record(
        z.string(),
        z.record(z.string(), z.object({ endMs: z.number() }).readonly()).readonly(),
      )
      .readonly(),
  })
  .readonly();
export type ScheduleRecord = z.infer<typeof scheduleRecord>;

/** Of a job that has just come to the device: times before that were never its own. */
export function newScheduleRecord(nowMs: EpochMs): ScheduleRecord {
  return {
    v: 1,
    accounted: { kind: 'unanchored', toMs: nowMs },
    paused: false,
    lastFireMs: null,
    startupWaiting: false,
    diskFired: [],
    datasets: {},
  };
}
