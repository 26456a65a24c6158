/**
 * What could not be processed or delivered, kept for a person to look at.
 *
 * Database `deadletters`: a number from 1 → versioned MessagePack of `StoredLetter`, format 1.
 * Bound: `limits.deadLettersMax` rows. Policy: oldest go first, counted as `dropped`. Payloads are
 * cut at 4 KiB of JSON. Crash outcomes: written by the commit that made them.
 */
import type { DeadLetter } from '@runnel/shared/engine/stream-job.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import type { Participant } from '../streams/participant.ts';

const LETTER_FORMAT = 1;
const PAYLOAD_CHARS_MAX = 4096;

export interface StoredLetter {
  readonly id: number;
  readonly job: string;
  readonly version: number;
  readonly step: string;
  readonly reason: string;
  readonly message: string;
  readonly topic: string;
  /** JSON text, cut at 4 KiB. */
  readonly payload: string;
  readonly time: number;
  readonly at: number;
}

export class DeadLetters implements Participant {
  readonly #store: CheckpointStore;
  readonly #max: number;
  #gathered: Omit<StoredLetter, 'id'>[] = [];
  #first = 1;
  #next = 1;
  /** Dropped by the bound since the process started. */
  dropped = 0;

  constructor(store: CheckpointStore, max: number) {
    this.#store = store;
    this.#max = max;
    this.reload();
  }

  get isDirty(): boolean {
    return this.#gathered.length > 0;
  }

  get rows(): number {
    return this.#next - this.#first;
  }

  add(job: string, version: number, letter: DeadLetter): void {
    const { step, reason, message, record, at } = letter;
    const payload = (JSON.stringify(record.payload) ?? 'null').slice(0, PAYLOAD_CHARS_MAX);
    const { topic, time } = record;
    this.#gathered.push({ job, version, step, reason, message, topic, payload, time, at });
  }

  /** A row for the control plane that is larger than `limits.outboxRowBytesMax`. */
  addUnsendable(row: Omit<Row, 'seq'>, bytes: number): void {
    const { at, dataset, job, kind, step, time, value, version } = row;
    const told = `a row of kind ${kind} takes ${bytes} bytes, and no message holds it`;
    this.add(job, version, {
      step,
      reason: 'row_too_large',
      message: `${told}: send fewer columns, or aggregate more`,
      record: { topic: dataset, payload: value, time },
      at: epochMs(at),
    });
  }

  /** Letters that were never handed over, because a commit had too many. */
  countDropped(count: number): void {
    this.dropped += count;
  }

  /** Oldest first, from `after` (exclusive), of one job or of all. */
  list(options: { after?: number; limit: number; job?: string }): StoredLetter[] {
    const found: StoredLetter[] = [];
    const range = { start: (options.after ?? 0) + 1, end: Number.MAX_SAFE_INTEGER };
    for (const { key, value } of this.#store.range('deadletters', range)) {
      const letter = decodeVersioned<Omit<StoredLetter, 'id'>>('a letter', LETTER_FORMAT, value);
      if (options.job !== undefined && letter.job !== options.job) continue;
      found.push({ id: key as number, ...letter });
      if (found.length >= options.limit) break;
    }
    return found;
  }

  stage(tx: StoreTx): void {
    const kept = this.#gathered.slice(-this.#max);
    this.dropped += this.#gathered.length - kept.length;
    for (const letter of kept) {
      tx.put('deadletters', this.#next++, encodeVersioned(LETTER_FORMAT, letter));
    }
    while (this.rows > this.#max) {
      tx.remove('deadletters', this.#first++);
      this.dropped++;
    }
    this.#gathered = [];
  }

  committed(): void {
    // Nothing waits for it.
  }

  reload(): void {
    this.#gathered = [];
    const [first] = this.#store.keys('deadletters', { limit: 1 });
    const [last] = this.#store.keys('deadletters', { limit: 1, reverse: true });
    this.#first = first === undefined ? 1 : (first as number);
    this.#next = last === undefined ? this.#first : (last as number) + 1;
  }
}
