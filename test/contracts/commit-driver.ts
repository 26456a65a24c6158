/**
 * Plays the commit cycle over the Source seam: gathers what is offered, "flushes" a commit when
 * the test says so, keeps the checkpoint as the store would, and can die at any point.
 *
 * What it keeps is the truth of a test: `committed` are the records that survive a crash.
 */
import { pino } from 'pino';
import { systemClock } from '@runnel/shared/clock.ts';
import { seededRandom } from '@runnel/shared/random.ts';
import type {
  RawRecord,
  Source,
  SourceCheckpoint,
  SourceContext,
} from '@runnel/agent/sources/source.ts';

export interface TakenRecord {
  readonly topic: string;
  readonly text: string;
  readonly bytes: number;
  readonly meta: Readonly<Record<string, unknown>> | undefined;
}

/** What a crash leaves: the checkpoint and the committed records. */
export class Durable {
  offset: unknown = null;
  ring: Uint8Array[] = [];
  readonly records: TakenRecord[] = [];

  get texts(): string[] {
    return this.records.map((record) => record.text);
  }
}

export interface DriverOptions {
  /** Commit by itself as soon as something is there; otherwise `commit` is called by the test. */
  readonly auto?: boolean;
  readonly gatherMax?: number;
}

export class CommitDriver {
  readonly source: Source;
  readonly durable: Durable;
  readonly connections: { readonly connected: boolean; readonly error: string | undefined }[] = [];
  readonly dropped: Record<string, number> = {};
  gathered: TakenRecord[] = [];
  /** The largest number of records that were gathered at once. */
  gatheredPeak = 0;
  /** Records offered after `offer` had said stop and before `resume`: must stay 0. */
  offeredWhileFull = 0;
  #auto: boolean;
  readonly #gatherMax: number;
  #scheduled = false;
  #requested = false;
  #full = false;
  #dead = false;

  constructor(source: Source, durable = new Durable(), options: DriverOptions = {}) {
    this.source = source;
    this.durable = durable;
    this.#auto = options.auto ?? true;
    this.#gatherMax = options.gatherMax ?? 8192;
  }

  get connected(): boolean {
    return this.connections.at(-1)?.connected ?? false;
  }

  get error(): string | undefined {
    return this.connections.at(-1)?.error;
  }

  async start(): Promise<this> {
    const checkpoint: SourceCheckpoint = {
      offset: structuredClone(this.durable.offset),
      ring: this.durable.ring.map((chunk) => Uint8Array.from(chunk)),
    };
    const context: SourceContext = {
      clock: systemClock,
      random: seededRandom(7),
      log: pino({ level: 'silent' }),
      checkpoint,
      offer: (record) => this.#offer(record),
      connected: (connected, error) => void this.connections.push({ connected, error }),
      requestCommit: () => {
        this.#requested = true;
        this.#schedule();
      },
      dropped: (reason, count = 1) => {
        this.dropped[reason] = (this.dropped[reason] ?? 0) + count;
      },
    };
    await this.source.start(context);
    return this;
  }

  /** From now on commits come by themselves, or no longer do. */
  automatic(on: boolean): void {
    this.#auto = on;
    if (on && (this.gathered.length > 0 || this.#requested)) this.#schedule();
  }

  /** One commit of everything gathered, or of its oldest `count`. */
  commit(count = this.gathered.length): void {
    this.flush(count);
    this.source.committed(count);
    if (this.#full) {
      this.#full = false;
      this.source.resume();
    }
  }

  /** The commit reaches the disk and the source is not told: what a kill at that moment leaves. */
  flush(count = this.gathered.length): void {
    const commit = this.source.prepareCommit(count);
    this.#requested = false;
    if (commit.offset !== undefined) this.durable.offset = structuredClone(commit.offset);
    if (commit.ringChunk !== undefined) this.durable.ring.push(Uint8Array.from(commit.ringChunk));
    if (commit.ringChunksKept !== undefined) {
      const from = this.durable.ring.length - commit.ringChunksKept;
      this.durable.ring = this.durable.ring.slice(Math.max(0, from));
    }
    this.durable.records.push(...this.gathered.splice(0, count));
  }

  /** The commit failed: what was gathered is forgotten. */
  discard(): void {
    this.source.prepareCommit(this.gathered.length);
    this.gathered = [];
    this.#requested = false;
    this.#full = false;
    this.source.discarded();
  }

  /** As SIGKILL: what is not on disk is gone, the socket closes and nothing more is sent. */
  async crash(): Promise<Durable> {
    this.#dead = true;
    this.source.discarded();
    await this.source.stop();
    return this.durable;
  }

  #offer(record: RawRecord): boolean {
    if (this.#dead) return false;
    if (this.#full) this.offeredWhileFull += 1;
    this.gathered.push({
      topic: record.topic,
      text: Buffer.from(record.payload).toString('utf8'),
      bytes: record.payload.length,
      meta: record.meta,
    });
    this.gatheredPeak = Math.max(this.gatheredPeak, this.gathered.length);
    this.#schedule();
    this.#full = this.gathered.length >= this.#gatherMax;
    return !this.#full;
  }

  #schedule(): void {
    if (!this.#auto || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#auto && !this.#dead) this.commit();
    });
  }
}
