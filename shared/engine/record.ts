/**
 * What flows between steps. A step may hand on the record it got or make a new one; records are
 * never changed after they were emitted.
 */
import type { EpochMs } from '../ids.ts';

/** JSON as it comes out of `JSON.parse`. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

export interface EngineRecord {
  /** Event time: the source's `time:` expression, else the arrival. */
  readonly time: EpochMs;
  /** The record's payload; after an aggregation, its columns. */
  readonly payload: unknown;
  /** MQTT topic or the like; empty where the source has none. */
  readonly topic: string;
  /** Facts of the source (`{ path, line }` of a file, MQTT user properties, …). */
  readonly meta: Readonly<Record<string, unknown>>;
  /** Set by a window's `by:`; null before and without. */
  readonly key: Json;
  /** `[windowStart, windowEnd)` in event time; null where there is no window. */
  readonly windowStart: EpochMs | null;
  readonly windowEnd: EpochMs | null;
  /** From 1; raised when a late record changes a window that has fired. */
  readonly revision: number;
}

/** A window's result that is taken back: nothing is left of it but which window it was. */
export function isRetraction(record: EngineRecord): boolean {
  return record.payload === null && record.windowEnd !== null;
}

/** One record that reached a sink, or the last step when the job has none. */
export interface Output {
  /** Step id, or `late` for late records. */
  readonly step: string;
  readonly key: Json;
  readonly windowStart: EpochMs | null;
  readonly windowEnd: EpochMs | null;
  readonly time: EpochMs;
  readonly revision: number;
  /** Null is a retraction. */
  readonly value: unknown;
  /** The `now` of the journal entry that made it. */
  readonly at: EpochMs;
}

/** The line `dry-run` prints for an output; bytes are part of the contract (DESIGN.md §9). */
export function outputLine(output: Output): string {
  return JSON.stringify({
    output: output.step,
    key: output.key,
    windowStart: output.windowStart,
    windowEnd: output.windowEnd,
    time: output.time,
    revision: output.revision,
    value: output.value,
  });
}
