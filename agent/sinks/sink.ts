/**
 * What a local sink is to the outbox's delivery loop (DESIGN.md §6.4).
 *
 * Rows come in order, each at least once. After `deliver` resolves, the loop commits
 * `{ mark: last seq, state }` for the sink's lane; a crash in between delivers the rows again,
 * unless the sink can undo what it did beyond that (the file sink knows an uncommitted delivery by
 * its rows, cuts it off, and so is exactly-once).
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import type { Output } from '@runnel/shared/engine/record.ts';

export interface DeliveryRow {
  /** `<agent>-<epoch>-<lane>-<seq>`: stable over redelivery, for receivers that deduplicate. */
  readonly id: string;
  readonly seq: number;
  readonly job: string;
  readonly version: number;
  readonly output: Output;
}

/**
 * These rows can never be delivered (their topic has no value, the broker refuses it, …). The loop
 * sends them to the dead letters and delivers the others, also those of the batch that arrived.
 */
export class RejectedRows extends RunnelError {
  readonly seqs: ReadonlySet<number>;

  constructor(rows: readonly DeliveryRow[], cause: unknown) {
    const fields = { ids: rows.map(({ id }) => id) };
    super('row_rejected', messageOf(cause), { retry: 'never', cause, fields });
    this.seqs = new Set(rows.map(({ seq }) => seq));
  }
}

export interface SinkContext {
  readonly clock: Clock;
  readonly log: Logger;
  /** Directory that relative paths are under; policy has been checked before. */
  readonly dataDir: string;
  /** Names this sink of this job for as long as it is there or rows wait for it. */
  readonly lane: string;
  /** Whether there is such a lane. */
  readonly isLane: (lane: string) => boolean;
  /** What the last `deliver` returned and was committed, or null. */
  readonly state: unknown;
}

export interface Sink {
  readonly kind: string;
  /**
   * It has no state: the loop goes on with the next rows while the mark of the last is on its way
   * to the disk, so that an alert does not wait for a flush.
   */
  readonly isStateless?: boolean;
  /** Opens and brings the target back to the committed state. Errors: retried with backoff. */
  open(context: SinkContext): Promise<void>;
  /**
   * Delivers all rows or throws a `RunnelError`: a `RejectedRows` names those to be given up,
   * another `retry: 'never'` sends all of them to the dead letters, anything else is tried again
   * with backoff behind the circuit breaker.
   * Returns the state to commit with the mark.
   */
  deliver(rows: readonly DeliveryRow[]): Promise<unknown>;
  close(): Promise<void>;
}
