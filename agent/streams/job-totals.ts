/**
 * Totals of a job over all its instances. What an instance counted since the last commit is lost
 * with it, as its state is, and counted again when the same records are processed again; what a
 * replay counts is not counted twice.
 */
import type { DeadLetter, JobCounters } from '@runnel/shared/engine/stream-job.ts';
import {
  DEAD_LETTER_KEYS_MAX,
  deadLetterKey,
  OTHER_DEAD_LETTERS,
} from '@runnel/shared/protocol/dead-letter-key.ts';
import type { JobTotals } from './job-record.ts';

const ZERO: JobCounters = { recordsIn: 0, recordsOut: 0, late: 0, deadLetters: 0, dropped: {} };

export class JobTotalsMeter {
  /** Totals before the instance that is attached. */
  #carried: JobTotals;
  /** Totals in the last commit that was prepared. */
  #staged: JobTotals;
  #instance: JobCounters = ZERO;
  #from: JobCounters = ZERO;
  /** Letters since the last commit, of the instance and of the host, which has some of its own. */
  #deadLetters = 0;
  #deadLettersBy: Record<string, number> = {};
  /** Counted by the host beside the instance, since it was attached. */
  #skipped = 0;

  constructor(stored: JobTotals) {
    this.#carried = stored;
    this.#staged = stored;
  }

  /** Counts `counters` from what they are now. */
  attach(counters: JobCounters): void {
    this.#carried = this.#staged;
    this.#instance = counters;
    this.#skipped = 0;
    this.restartCounting();
  }

  /** Forgets what the instance has counted so far: it was a replay. */
  restartCounting(): void {
    this.#from = { ...this.#instance, dropped: { ...this.#instance.dropped } };
    this.#forgetLetters();
  }

  deadLetter({ step, reason }: DeadLetter): void {
    this.#deadLetters++;
    addLetters(this.#deadLettersBy, deadLetterKey(step, reason), 1);
  }

  skipped(records: number): void {
    this.#skipped += records;
  }

  total(): JobTotals {
    const { recordsIn, recordsOut, late, deadLetters, dropped, skipped } = this.#carried;
    const deadLettersBy: Record<string, number> = { ...this.#carried.deadLettersBy };
    for (const [key, count] of Object.entries(this.#deadLettersBy)) {
      addLetters(deadLettersBy, key, count);
    }
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
      deadLetters: deadLetters + this.#deadLetters,
      deadLettersBy,
      dropped: byReason,
      skipped: skipped + this.#skipped,
    };
  }

  /** The totals for this commit, or undefined when they are those of the last one. */
  stage(): JobTotals | undefined {
    const staged = this.#staged;
    const { recordsIn, recordsOut, late, dropped } = this.#instance;
    const from = this.#from;
    // The common case of a job that saw nothing costs a few comparisons.
    if (
      this.#carried === staged &&
      recordsIn === from.recordsIn &&
      recordsOut === from.recordsOut &&
      late === from.late &&
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
    this.#forgetLetters();
    this.#skipped = 0;
  }

  #forgetLetters(): void {
    if (this.#deadLetters === 0) return;
    this.#deadLetters = 0;
    this.#deadLettersBy = {};
  }
}

/** Bound: `DEAD_LETTER_KEYS_MAX` keys. Policy: letters of any further key count as `other`. */
export function addLetters(by: Record<string, number>, key: string, count: number): void {
  const known = by[key] !== undefined || Object.keys(by).length < DEAD_LETTER_KEYS_MAX;
  const counted = known ? key : OTHER_DEAD_LETTERS;
  by[counted] = (by[counted] ?? 0) + count;
}

/** Reasons never go, so one that is new or has grown is a difference. */
function sameCounts(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): boolean {
  for (const reason in now) if (now[reason] !== before[reason]) return false;
  return true;
}
