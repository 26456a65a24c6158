/**
 * What one run of a batch job covers (DESIGN.md §3): a period, a key, both, or, for a job without
 * `partition`, the instant that the run was asked for. Completion is per (job, partition).
 */
import type { EpochMs } from '../ids.ts';

export interface Partition {
  /**
   * Unique among the partitions of a job and sortable by time: `2026-11-22` for days,
   * `2026-11-22T13` for hours (of UTC), `2026-11` for months, `2026-W47` for weeks, an ISO
   * instant for anything else; with a key `line-1` or `line-1/2026-11-22`. At most 200 characters
   * of `[A-Za-z0-9._:+/-]`.
   */
  readonly id: string;
  readonly key: string | null;
  /** `[start, end)`; both are the instant of the run for a job without periods. */
  readonly start: EpochMs;
  readonly end: EpochMs;
  /** The zone in which `date` and the names above are meant. */
  readonly timezone: string;
  /** Local date of `start`: `2026-11-22`. */
  readonly date: string;
}
