/**
 * Appends events by natural batching, so that a change of ten thousand devices at once is a few
 * commits. Bounded: beyond `EVENTS_MAX` waiting ones the newest are dropped and counted; a store
 * that fails loses events, never the caller.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { messageOf } from '@runnel/shared/errors.ts';
import { type EventInput, storableEvent } from '../store/events.ts';
import type { Schema } from '../store/schema.ts';

const EVENTS_MAX = 50_000;
const EVENTS_PER_COMMIT = 500;

export class EventWriter {
  readonly counters = { written: 0, dropped: 0 };
  readonly #db: Kysely<Schema>;
  readonly #log: Logger;
  #waiting: EventInput[] = [];
  #running: Promise<void> | undefined;

  constructor(db: Kysely<Schema>, log: Logger) {
    this.#db = db;
    this.#log = log;
  }

  append(event: EventInput): void {
    if (this.#waiting.length >= EVENTS_MAX) {
      this.counters.dropped += 1;
      return;
    }
    this.#waiting.push(event);
    this.#running ??= this.#run();
  }

  /** Resolves when everything that was appended is in the store. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const events = this.#waiting.splice(0, EVENTS_PER_COMMIT);
      const values = events.map((event) => storableEvent(event));
      try {
        await this.#db.insertInto('events').values(values).execute();
        this.counters.written += events.length;
      } catch (error) {
        this.counters.dropped += events.length;
        this.#log.error({ error: messageOf(error), events: events.length }, 'events were lost');
      }
    }
    this.#running = undefined;
  }
}
