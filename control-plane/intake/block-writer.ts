/**
 * Writes blocks by natural batching: while one transaction is flushed to disk the next blocks
 * gather, and go together into the one after it. Ten thousand agents then share fsyncs instead of
 * waiting for ten thousand of them.
 *
 * A block that cannot be stored fails alone: when a shared transaction fails, each of its blocks
 * is tried by itself. Beyond `waitingBytesMax` blocks are refused (the agents keep them and try
 * again), never dropped silently.
 */
import type { Kysely } from 'kysely';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { ResultBlock } from '@runnel/shared/protocol/results.ts';
import type { Schema } from '../store/schema.ts';
import type { Applied, ApplyBlock } from './apply-block.ts';

/** One transaction: about 100 ms of the database at most, so that reads get their turn. */
const ROWS_PER_COMMIT = 4000;
const BLOCKS_PER_COMMIT = 200;
/** Policy when it is met: refuse, counted as `refused_busy`; the agents are the buffer. */
const WAITING_BYTES_MAX = 128 * 1024 * 1024;

export interface BlockWriterOptions {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly apply: ApplyBlock;
  readonly waitingBytesMax?: number;
}

interface Waiting {
  readonly block: ResultBlock;
  readonly bytes: number;
  readonly resolve: (applied: Applied) => void;
  readonly reject: (error: unknown) => void;
}

export class BlockWriter {
  readonly counters = { commits: 0, commitMs: 0 };
  readonly #options: BlockWriterOptions;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;

  constructor(options: BlockWriterOptions) {
    this.#options = options;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Resolves after the commit that decided on it is on disk. Error: `intake_busy`. */
  write(block: ResultBlock, bytes: number): Promise<Applied> {
    const most = this.#options.waitingBytesMax ?? WAITING_BYTES_MAX;
    if (this.#waitingBytes + bytes > most) {
      return Promise.reject(
        new RunnelError('intake_busy', 'too many results wait to be stored', { retry: 'backoff' }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ block, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits and nothing is being written. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#take();
      const began = this.#options.clock.monotonicMs();
      await this.#writeGroup(group);
      this.counters.commits += 1;
      this.counters.commitMs += this.#options.clock.monotonicMs() - began;
      for (const { bytes } of group) this.#waitingBytes -= bytes;
      // The database is synchronous: requests that came meanwhile are heard before the next turn.
      await this.#options.clock.sleep(0);
    }
    this.#running = undefined;
  }

  #take(): Waiting[] {
    let rows = 0;
    let count = 0;
    for (const { block } of this.#waiting) {
      if (count > 0 && (count >= BLOCKS_PER_COMMIT || rows + block.rows.length > ROWS_PER_COMMIT)) {
        break;
      }
      count += 1;
      rows += block.rows.length;
    }
    return this.#waiting.splice(0, count);
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const applied = await this.#commit(group.map(({ block }) => block));
      for (const [index, waiting] of group.entries()) waiting.resolve(applied[index]!);
    } catch (error) {
      if (group.length === 1) {
        group[0]!.reject(error);
        return;
      }
      for (const waiting of group) await this.#writeGroup([waiting]);
    }
  }

  async #commit(blocks: readonly ResultBlock[]): Promise<Applied[]> {
    const { db, clock, apply } = this.#options;
    return await db.transaction().execute(async (transaction) => {
      const done: Applied[] = [];
      for (const block of blocks) done.push(await apply(transaction, block, clock.now()));
      return done;
    });
  }
}
