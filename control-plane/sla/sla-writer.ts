/**
 * Changes of verdicts into the store, by natural batching: a change of ten thousand promises at
 * once is a few commits. What could not be written waits and is tried again, so that no interval
 * is lost with a store that was away; the newest beyond `slaChangesWaitingMax` are dropped,
 * counted, and the next change of that promise closes the gap.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Schema } from '../store/schema.ts';
import { putSlaChanges, type SlaChangeRecord } from '../store/slas.ts';

const CHANGES_PER_COMMIT = 500;
const RETRY_MS = 1000;

export interface SlaWriterParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SlaWriter {
  readonly counters = { written: 0, dropped: 0, failures: 0 };
  readonly #parts: SlaWriterParts;
  readonly #stopping = new AbortController();
  #waiting: SlaChangeRecord[] = [];
  #running: Promise<void> | undefined;

  constructor(parts: SlaWriterParts) {
    this.#parts = parts;
  }

  append(change: SlaChangeRecord): void {
    if (this.#waiting.length >= limits.slaChangesWaitingMax) {
      this.counters.dropped += 1;
      return;
    }
    this.#waiting.push(change);
    this.#running ??= this.#run();
  }

  /** Resolves when everything that was appended is in the store. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Writes what waits, and gives up on a store that fails. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { db, clock, log } = this.#parts;
    const { signal } = this.#stopping;
    while (this.#waiting.length > 0) {
      const changes = this.#waiting.slice(0, CHANGES_PER_COMMIT);
      try {
        await db.transaction().execute((transaction) => putSlaChanges(transaction, changes));
        this.#waiting.splice(0, changes.length);
        this.counters.written += changes.length;
        await clock.sleep(0);
      } catch (error) {
        this.counters.failures += 1;
        const waiting = this.#waiting.length;
        log.error({ error: messageOf(error), waiting }, 'verdicts were not written');
        if (signal.aborted) break;
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
    this.#running = undefined;
  }
}
