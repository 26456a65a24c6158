/**
 * What is stored of a job, format 1, in the database `meta`:
 *
 * - `['job', name]`: which version runs with which parameters, where its state lies, and its offset
 *   when it is not at the journal's head. Written when one of these changes, not per commit: jobs
 *   that have caught up share the head.
 * - `['counters', name]`: totals since the job came to this device, in every commit that changed
 *   them.
 * - `['garbage', slot]`: state of no version any more, deleted bit by bit.
 * - `['slots']`: the number that the next slot of state gets.
 *
 * Crash outcomes: a version switch writes the record in the commit of its journal entry, so after a
 * crash either the old version goes on from before it or the new one from behind it.
 */
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import type { Offset } from '../journal/block-format.ts';

const RECORD_FORMAT = 1;

/** A position in the journal; `records` counts the records of all time before it. */
export interface Position extends Offset {
  readonly records: number;
}

/** Where the state of a step lies and what shaped it. */
export interface StepRecord {
  readonly id: string;
  readonly index: number;
  readonly version: number;
  readonly fingerprint: string;
}

/** A version of the job as it was desired, with its state. */
export interface VersionRecord {
  readonly version: number;
  readonly hash: string;
  readonly document: unknown;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Generation of state: first part of the key in the database `state`. */
  readonly slot: number;
  readonly steps: readonly StepRecord[];
}

export interface Attempt {
  readonly version: number;
  readonly phase: 'refused' | 'failed' | 'backoff';
  readonly reason: string;
  readonly at: number;
  /** So that the same attempt is not made again. */
  readonly hash: string;
}

export interface JobRecord {
  readonly name: string;
  readonly current: VersionRecord;
  readonly paused: boolean;
  /** Null: at the head of the journal. */
  readonly offset: Position | null;
  /** Outputs are off before this offset: it is being replayed. */
  readonly muteUntil: Position | null;
  /** The record that failed, how often, and whether it is to be passed over. */
  readonly failure: { readonly at: Offset; readonly count: number } | null;
  /** The version before, frozen with its state until this one is confirmed. */
  readonly previous: {
    readonly version: VersionRecord;
    /** Where the current one took over. */
    readonly offset: Position;
    /** Running time of the agent at the switch. */
    readonly runMs: number;
  } | null;
  readonly attempted: Attempt | null;
  /** Processes that died while the current version was unconfirmed. */
  readonly deaths: number;
}

export interface JobTotals {
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly late: number;
  readonly deadLetters: number;
  /** By `<step>: <reason>`. Those of before it was counted are in `deadLetters` alone. */
  readonly deadLettersBy: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
  /** Records of the journal that were dropped before the job had read them. */
  readonly skipped: number;
}

export const NO_TOTALS: JobTotals = {
  recordsIn: 0,
  recordsOut: 0,
  late: 0,
  deadLetters: 0,
  deadLettersBy: {},
  dropped: {},
  skipped: 0,
};

/** Records written before deaths were counted have no such field. */
const NO_DEATHS = { deaths: 0 };

export function readJobs(store: CheckpointStore): JobRecord[] {
  const range = { start: ['job', ''], end: ['job', '\uffff'] };
  return [...store.range('meta', range)].map(({ value }) => ({
    ...NO_DEATHS,
    ...decodeVersioned<JobRecord>('a job record', RECORD_FORMAT, value),
  }));
}

export function readTotals(store: CheckpointStore, name: string): JobTotals {
  const bytes = store.get('meta', ['counters', name]);
  if (bytes === undefined) return NO_TOTALS;
  // Totals written before dead letters were counted by step and reason have no such field.
  return { ...NO_TOTALS, ...decodeVersioned<JobTotals>('counters', RECORD_FORMAT, bytes) };
}

export function putJob(tx: StoreTx, record: JobRecord): void {
  tx.put('meta', ['job', record.name], encodeVersioned(RECORD_FORMAT, record));
}

export function putTotals(tx: StoreTx, name: string, totals: JobTotals): void {
  tx.put('meta', ['counters', name], encodeVersioned(RECORD_FORMAT, totals));
}

export function removeJob(tx: StoreTx, name: string): void {
  tx.remove('meta', ['job', name]);
  tx.remove('meta', ['counters', name]);
}

export function readNextSlot(store: CheckpointStore): number {
  const bytes = store.get('meta', ['slots']);
  return bytes === undefined ? 1 : decodeVersioned<number>('slots', RECORD_FORMAT, bytes);
}

export function putNextSlot(tx: StoreTx, slot: number): void {
  tx.put('meta', ['slots'], encodeVersioned(RECORD_FORMAT, slot));
}

export function putGarbage(tx: StoreTx, slot: number): void {
  tx.put('meta', ['garbage', slot], encodeVersioned(RECORD_FORMAT, {}));
}

export function removeGarbage(tx: StoreTx, slot: number): void {
  tx.remove('meta', ['garbage', slot]);
}

export function readGarbage(store: CheckpointStore): number[] {
  const range = { start: ['garbage', 0], end: ['garbage', Number.MAX_SAFE_INTEGER] };
  return [...store.keys('meta', range)].map((key) => (key as (string | number)[])[1] as number);
}
