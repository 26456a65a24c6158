/**
 * Totals of a job over all its instances. What an instance counted since the last commit is lost
 * with it, as its state is, and counted again when the same records are processed again; what a
 * replay counts is not counted twice.
 */
import type { JobCounters } from '@runnel/shared/engine/stream-job.ts';
import type { JobTotals } from './job-record.ts';

const ZERO: JobCounters = { recordsIn: 0, recordsOut: 0, late: 0, deadLetters: 0, dropped: {} };

export class JobTotalsMeter {
  /** Totals before the instance that is attached. */
  #carried: JobTotals;
  /** Totals in the last commit that was prepared. */
  #staged: JobTotals;
  #instance: JobCounters = ZERO;
  #from: JobCounters = ZERO;
  /** Counted by the host beside the instance, since it was attached. */
  #deadLetters = 0;
  #skipped = 0;

  constructor(stored: JobTotals) {
    this.#carried = stored;
    this.#staged = stored;
  }

  /** Counts `counters` from what they are now. */
  attach(counters: JobCounters): void {
    this.#carried = this.#staged;
    this.#instance = counters;
    this.#deadLetters = 0;
    this.#skipped = 0;
    this.restartCounting();
  }

  /** Forgets what the instance has counted so far: it was a replay. */
  restartCounting(): void {
    this.#from = { ...this.#instance, dropped: { ...this.#instance.dropped } };
    this.#deadLetters = 0;
  }

  deadLetter(): void {
    this.#deadLetters++;
  }

  skipped(records: number): void {
    this.#skipped += records;
  }

  total(): JobTotals {
    const { recordsIn, recordsOut, late, deadLetters, dropped, skipped } = this.#carried;
    const instance = this.#instance;
    const from = this.#from;
    const byReason: Record<string, number> = { ...dropped };
    for (const [reason, count] of Object.entries(instance.dropped)) {
      byReason[reason] = (byReason[reason] ?? 0) + count - (from.dropped[reason] ?? 0);
    }
    return {
      recordsIn: recordsIn + instance.recordsIn - from.recordsIn,
      recordsOut: recordsOut + instance.recordsOut - from.recordsOut,
      late: late + instance.late - from.late,
      deadLetters: deadLetters + instance.deadLetters - from.deadLetters + this.#deadLetters,
      dropped: byReason,
      skipped: skipped + this.#skipped,
    };
  }

  /** The totals for this commit, or undefined when they are those of the last one. */
  stage(): JobTotals | undefined {
    const staged = this.#staged;
    const { recordsIn, recordsOut, late, deadLetters, dropped } = this.#instance;
    const from = this.#from;
    // The common case of a job that saw nothing costs a few comparisons.
    if (
      this.#carried === staged &&
      recordsIn === from.recordsIn &&
      recordsOut === from.recordsOut &&
      late === from.late &&
      deadLetters === from.deadLetters &&
      this.#deadLetters + this.#skipped === 0 &&
      sameCounts(dropped, from.dropped)
    ) {
      return undefined;
    }
    this.#staged = this.total();
    this.#carried = this.#staged;
    this.#skipped = 0;
    this.restartCounting();
    return this.#staged;
  }

  /** The instance is gone, and with it what it counted since the last commit. */
  detach(): void {
    this.#carried = this.#staged;
    this.#instance = ZERO;
    this.#from = ZERO;
    this.#deadLetters = 0;
    this.#skipped = 0;
  }
}

/** Reasons never go, so one that is new or has grown is a difference. */
function sameCounts(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): boolean {
  for (const reason in now) if (now[reason] !== before[reason]) return false;
  return true;
}
