/**
 * A source whose origin is a list in memory: like a broker with a persistent session it keeps what
 * is not acknowledged and gives it again after `discarded`, in order. Its offset is the number of
 * records acknowledged, stored with the commit, so that a restart goes on from there.
 */
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type {
  RawRecord,
  Source,
  SourceCommit,
  SourceContext,
} from '@runnel/agent/sources/source.ts';

export class ScriptedSource implements Source {
  readonly kind = 'mqtt';
  readonly id: string;
  receiveWindow = 1000;
  /** Everything that the origin has or will have. */
  readonly origin: RawRecord[] = [];
  /** Acknowledged to the origin: it will never be given again. */
  acknowledged = 0;
  discards = 0;
  stopped = false;
  paused = false;
  #context: SourceContext | undefined;
  #offered = 0;
  #committedOffset = 0;

  constructor(id: string) {
    this.id = id;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    this.#committedOffset = (context.checkpoint.offset as number | undefined) ?? 0;
    this.#offered = this.#committedOffset;
    this.acknowledged = this.#committedOffset;
    context.connected(true);
    this.pump();
  }

  /** Adds records to the origin and offers what may be offered. */
  give(
    ...records: readonly { topic?: string; payload: unknown; meta?: Record<string, unknown> }[]
  ) {
    for (const { topic = 't', payload, meta } of records) {
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
      const raw = { topic, payload: Buffer.from(text) };
      this.origin.push(meta === undefined ? raw : { ...raw, meta });
    }
    this.pump();
  }

  pump(): void {
    while (!this.paused && !this.stopped && this.#offered < this.origin.length) {
      const record = this.origin[this.#offered++];
      if (record === undefined || this.#context === undefined) return;
      if (!this.#context.offer(record)) this.paused = true;
    }
  }

  connected(connected: boolean): void {
    this.#context?.connected(connected);
  }

  prepareCommit(count: number): SourceCommit {
    this.#committedOffset += count;
    // One chunk per commit, as a broker's source has.
    return { offset: this.#committedOffset, ringChunk: Buffer.from([1]), ringChunksKept: 3 };
  }

  committed(count: number): void {
    this.acknowledged += count;
  }

  discarded(): void {
    this.discards++;
    this.paused = false;
    this.#offered = this.acknowledged;
    this.#committedOffset = this.acknowledged;
    setImmediate(() => this.pump());
  }

  resume(): void {
    this.paused = false;
    setImmediate(() => this.pump());
  }

  report(): SourceReport {
    const { id, kind } = this;
    return {
      id,
      kind,
      connected: true,
      records: this.#offered,
      bytes: 0,
      redelivered: 0,
      dropped: {},
      error: null,
    };
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }
}
