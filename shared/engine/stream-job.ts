/**
 * The engine's one entry point (DESIGN.md §2): a journal entry goes in, outputs and state changes
 * come out. `agent/streams`, dry-run, the trial run of the control plane and the tests all call
 * this; the engine itself has no clock, randomness or I/O (I6).
 */
import type { EpochMs } from '../ids.ts';
import type { Output } from './record.ts';

/** A decoded record of the journal, shared by every job that reads its source. */
export interface SourceRecord {
  readonly topic: string;
  readonly payload: unknown;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** Something the job could not process, with the step and the reason it is counted under. */
export interface DeadLetter {
  readonly step: string;
  /** `missing_key`, `null_value`, `wrong_type`, `not_finite`, `max_ahead`, …: stable words. */
  readonly reason: string;
  readonly message: string;
  readonly record: { readonly topic: string; readonly payload: unknown; readonly time: number };
  readonly at: EpochMs;
}

/** Where a job's outputs go while an entry is processed. */
export interface OutputCollector {
  /** Once per output, however many sinks take it; `sinks` are indexes into the job's sinks. */
  output(output: Output, sinks: readonly number[]): void;
  deadLetter(letter: DeadLetter): void;
}

/** Counters since the instance was made; the host adds them to persisted totals. */
export interface JobCounters {
  recordsIn: number;
  recordsOut: number;
  late: number;
  deadLetters: number;
  /** Dropped records by reason. */
  dropped: Record<string, number>;
}

/**
 * A running job. Not re-entrant. A throw leaves its in-memory state undefined: the host drops the
 * instance, discards dirty state and makes a new one from what is committed.
 */
export interface StreamJobInstance {
  /**
   * Processes one record of `source` (the job's own alias) that arrived at `nowMs`. Advances `now`
   * first, so that timers due before this record fire before it.
   */
  record(source: string, record: SourceRecord, nowMs: EpochMs): void;
  /** A tick or any other entry that only moves `now` (never back). */
  tick(nowMs: EpochMs): void;
  /** Connection state of a source: a disconnected one is not idle (DESIGN.md §7). */
  sourceConnected(source: string, connected: boolean, nowMs: EpochMs): void;
  /** While the device's clock is not synchronised, an arrival says nothing about `maxAhead`. */
  clockSynchronised(synchronised: boolean, nowMs: EpochMs): void;
  /** Raises the watermark of a source; never lowers it. For dry-run's `{"watermark": ms}`. */
  raiseWatermark(source: string, watermarkMs: EpochMs, nowMs: EpochMs): void;
  /** Event time moves to the end of every open window; processing time does not. Dry-run only. */
  flush(): void;
  /** The earliest `now` at which `tick` has something to do; undefined when nothing waits. */
  nextTickMs(): EpochMs | undefined;
  /** The job's event-time watermark; undefined before the first record. */
  watermarkMs(): EpochMs | undefined;
  readonly counters: JobCounters;
}
