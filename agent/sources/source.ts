/**
 * What a source is to the commit cycle.
 *
 * A source offers raw records; the cycle appends them to the journal in the order offered. When
 * the commit that holds a source's records is flushed to disk, the cycle calls `committed(count)`:
 * only then may the source acknowledge the oldest `count` records that it offered and that were
 * not acknowledged yet (I1). When a commit fails the cycle calls `discarded()`: everything offered
 * and not acknowledged is forgotten, and the source must get it again from its origin (reconnect
 * to the broker, read on from the committed offset).
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';

export interface RawRecord {
  readonly topic: string;
  /** Undecoded bytes as they came; the journal stores them, the codec decodes them once. */
  readonly payload: Uint8Array;
  /** Facts that the journal keeps beside the record; absent for most. */
  readonly meta?: Readonly<Record<string, unknown>>;
}

export interface SourceContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /**
   * Hands over one record; cheap, synchronous. Returns false when the gather bound is reached:
   * the record was taken, and the source stops reading until `resume()` is called on it.
   */
  offer(record: RawRecord): boolean;
  /** Reads from the checkpoint what this source stored in its last commits. */
  readonly checkpoint: SourceCheckpoint;
  /** Connection state changed; journaled as a control entry. `error` is for people. */
  connected(connected: boolean, error?: string): void;
  /**
   * Asks for a commit although this source offered nothing new: the cycle answers soon with
   * `prepareCommit(0)` and, once that is on disk, `committed(0)`. A source that must clear its
   * ring before it opens a new session (a stale ring would recognise messages that were never
   * processed), or whose offset moved past bytes that held no record, needs it.
   */
  requestCommit(): void;
  /** Counts a dropped record by reason (`payload_too_large`, …). */
  dropped(reason: string, count?: number): void;
}

export interface SourceCheckpoint {
  /** The offset stored with the last commit that held records of this source. */
  readonly offset: unknown;
  /** The redelivery ring's chunks, oldest first (sources/redelivery-ring.ts). */
  readonly ring: readonly Uint8Array[];
}

/** What a source adds to the commit of its own records, all in the same transaction. */
export interface SourceCommit {
  /** New offset (plain JSON), replaces the stored one; absent: unchanged. */
  readonly offset?: unknown;
  /** One chunk for the redelivery ring: the ids that this commit will acknowledge. */
  readonly ringChunk?: Uint8Array;
  /**
   * Chunks to keep, newest first counted, this commit's own chunk included; older ones are deleted.
   * 0 (only ever without `ringChunk`) clears the ring; absent: nothing is deleted.
   */
  readonly ringChunksKept?: number;
}

export interface Source {
  /** Stable id: kind and fingerprint of its connector settings; shared by all jobs that use it. */
  readonly id: string;
  readonly kind: string;
  /** Connects in the background and keeps reconnecting; throws only on a wrong configuration. */
  start(context: SourceContext): Promise<void>;
  /**
   * What goes into the commit of the oldest `count` offered, not yet committed records. One commit
   * at a time: the next `prepareCommit` comes after `committed` or `discarded`.
   */
  prepareCommit(count: number): SourceCommit;
  /** That commit is on disk: acknowledge its records. */
  committed(count: number): void;
  /** The commit failed; see the header. There is room again: no `resume` follows. */
  discarded(): void;
  /** There is room again after `offer` returned false. */
  resume(): void;
  report(): SourceReport;
  /**
   * Stops reading and closes; unacknowledged records stay with the origin. One commit may follow,
   * with what was offered before: its ids and offset are still wanted (`prepareCommit`), for the
   * origin gives these records again. Where none follows, `discarded()` does.
   */
  stop(): Promise<void>;
  /** How many unacknowledged records the origin will give us; at half of it the cycle commits. */
  readonly receiveWindow: number;
}
