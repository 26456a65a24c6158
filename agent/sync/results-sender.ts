/**
 * Sends outbox rows to the control plane, one block of each lane at a time (DESIGN.md §6.4).
 *
 * Guarantees: nothing is deleted but on the control plane's mark (I3); a lane has at most one block
 * in flight, so order holds; no answer within 30 s or an error means the block is sent again with
 * backoff, which the mark makes harmless (I2); a metered link is kept to its rate.
 *
 * Lanes get the link in the order of `LANES`: a lane begins a block only while no lane before it
 * has a block that waits for the link, or rows behind the one on its way. So a backlog of urgent
 * rows has the link to itself, and a trickle of them, each of whose blocks holds all there is, does
 * not keep the others from it. A lane whose block was refused pauses and holds up nobody. Alerts do
 * not wait for the rate of a metered link but run into debt; there a block is no larger than the
 * burst, so that what is urgent does not wait long behind one that was begun.
 *
 * Refused: an answer for another lane or epoch than was asked.
 */
import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { type Lane, LANES, markReply, type ResultBlock } from '@runnel/shared/protocol/results.ts';
import { parseMessage } from '@runnel/shared/protocol/version.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Link } from './link.ts';
import { backoff } from './sync-delays.ts';
import type { TokenBucket } from './token-bucket.ts';

const ANSWER_MS_MAX = 30_000;
/** Below this the header and the processor time cost more than gzip saves. */
const GZIP_BYTES_MIN = 1024;
const compress = promisify(gzip);

/** What the sender needs of the outbox. */
export interface OutboxLanes {
  /**
   * The next block of a lane, of about `bytesMax`, or undefined when it is empty. Asking again
   * gives it again.
   */
  next(lane: Lane, bytesMax?: number): Promise<ResultBlock | undefined> | ResultBlock | undefined;
  /** Whether its lane has rows behind it. */
  hasMore(block: ResultBlock): boolean;
  /** Deletes up to the mark, durably, and goes on from it. */
  acknowledge(epoch: string, lane: Lane, mark: number): Promise<void>;
  /** Tells of commits that added rows; the returned function stops it. */
  onCommitted(listener: () => void): () => void;
}

export interface SenderCounters {
  blocksSent: number;
  blocksResent: number;
  rowsSent: number;
  bytesSent: number;
  bytesBeforeCompression: number;
}

export interface ResultsSenderOptions {
  readonly outbox: OutboxLanes;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Null: the link is not metered. */
  readonly bucket: TokenBucket | null;
}

export class ResultsSender {
  readonly counters: SenderCounters = {
    blocksSent: 0,
    blocksResent: 0,
    rowsSent: 0,
    bytesSent: 0,
    bytesBeforeCompression: 0,
  };
  readonly #options: ResultsSenderOptions;
  readonly #waiting = new Set<() => void>();
  /** The block of each lane that waits for the link or was sent last; none while it pauses. */
  readonly #blocks = new Map<Lane, { readonly block: ResultBlock; isSent: boolean }>();
  /** Raised by every commit, so that one between `next` and waiting is not missed. */
  #commits = 0;
  #running: { readonly abort: AbortController; readonly lanes: Promise<unknown> } | null = null;
  readonly #stopListening: () => void;

  constructor(options: ResultsSenderOptions) {
    this.#options = options;
    this.#stopListening = options.outbox.onCommitted(() => {
      this.#commits += 1;
      this.#wake();
    });
  }

  /** Sends over `link` until `stop`. Call once per connection. */
  start(link: Link): void {
    const abort = new AbortController();
    const lanes = LANES.map((lane) => this.#runLane(link, lane, abort.signal));
    this.#running = { abort, lanes: Promise.all(lanes) };
  }

  /** Resolves when no lane touches the outbox any more. Close the link first. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.abort.abort();
    this.#wake();
    await running.lanes;
    this.#blocks.clear();
  }

  /** `stop`, and never again. */
  async close(): Promise<void> {
    this.#stopListening();
    await this.stop();
  }

  async #runLane(link: Link, lane: Lane, signal: AbortSignal): Promise<void> {
    let failures = 0;
    let sentLast = '';
    while (!signal.aborted) {
      const commits = this.#commits;
      try {
        const block = await this.#options.outbox.next(lane, this.#options.bucket?.burstBytes);
        if (block === undefined) {
          this.#release(lane);
          await this.#committedSince(commits, signal);
          continue;
        }
        const id = `${block.epoch}:${block.last}`;
        if (id === sentLast) this.counters.blocksResent += 1;
        sentLast = id;
        const mark = await this.#exchange(link, block, signal);
        await this.#options.outbox.acknowledge(block.epoch, lane, mark);
        if (mark >= block.last) {
          failures = 0;
          continue;
        }
        // The control plane is behind this block: go on from its mark, but not in a hot loop.
        this.#options.log.warn({ lane, mark, after: block.after }, 'results are behind the mark');
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn({ lane, error: messageOf(error) }, 'results were not taken');
      }
      this.#release(lane);
      await this.#pause(failures, signal);
      failures += 1;
    }
  }

  async #exchange(link: Link, block: ResultBlock, signal: AbortSignal): Promise<number> {
    const sending = { block, isSent: false };
    this.#blocks.set(block.lane, sending);
    const json = Buffer.from(JSON.stringify(block), 'utf8');
    const body = await smaller(json);
    await this.#turn(block.lane, body.byteLength, signal);
    sending.isSent = true;
    this.#wake();
    this.counters.blocksSent += 1;
    this.counters.rowsSent += block.rows.length;
    this.counters.bytesSent += body.byteLength;
    this.counters.bytesBeforeCompression += json.byteLength;
    const reply = parseMessage(markReply, await link.request('results', body, ANSWER_MS_MAX));
    if (reply.epoch === block.epoch && reply.lane === block.lane) return reply.mark;
    throw new RunnelError('protocol', 'the mark in the answer is of another epoch or lane', {
      retry: 'backoff',
      fields: { asked: [block.epoch, block.lane], got: [reply.epoch, reply.lane] },
    });
  }

  /** Waits until no lane before this one needs the link, and a metered one has room. */
  async #turn(lane: Lane, bytes: number, signal: AbortSignal): Promise<void> {
    const { bucket, clock } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      if (this.#isHeld(lane)) {
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
        continue;
      }
      const waitMs = lane === 'alerts' ? 0 : (bucket?.waitMs(bytes) ?? 0);
      if (waitMs <= 0) break;
      await clock.sleep(waitMs, signal);
    }
    bucket?.spend(bytes);
  }

  #release(lane: Lane): void {
    if (this.#blocks.delete(lane)) this.#wake();
  }

  #isHeld(lane: Lane): boolean {
    return LANES.slice(0, LANES.indexOf(lane)).some((before) => {
      const sending = this.#blocks.get(before);
      if (sending === undefined) return false;
      return !sending.isSent || this.#options.outbox.hasMore(sending.block);
    });
  }

  #committedSince(commits: number, signal: AbortSignal): Promise<void> {
    if (this.#commits !== commits || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }

  /** An abort ends the pause; the loop sees it by itself. */
  async #pause(failures: number, signal: AbortSignal): Promise<void> {
    const { minMs, maxMs } = backoff(failures);
    const delayMs = minMs + this.#options.random.next() * (maxMs - minMs);
    await this.#options.clock.sleep(delayMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

/** gzip when it pays, else the bytes as they are. */
async function smaller(json: Uint8Array): Promise<Uint8Array> {
  if (json.byteLength < GZIP_BYTES_MIN) return json;
  const packed = await compress(json, { level: 6 });
  return packed.byteLength < json.byteLength ? packed : json;
}
