/**
 * One running source: counts what it offered, stores its offset and redelivery ring with the
 * commit that holds its records, and tells it when they are on disk (I1).
 *
 * Database `meta`: `['source', id]` → offset, format 1. Database `ring`: `[id, n]` → the source's
 * chunk, n counting up. Both stay when the source stops, while a job could use it again
 * (source-garbage.ts).
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import type { RawRecord, Source, SourceCheckpoint } from '../sources/source.ts';

const OFFSET_FORMAT = 1;

/** What a source needs of the commit cycle. */
export interface Intake {
  offer(host: SourceHost, record: RawRecord): boolean;
  connected(host: SourceHost, connected: boolean): void;
  /** A commit without records is wanted. */
  requestCommit(host: SourceHost): void;
}

export interface SourceHostOptions {
  readonly store: CheckpointStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly intake: Intake;
  /** What the source reads, for people. */
  readonly label: string;
}

export class SourceHost {
  readonly source: Source;
  readonly #options: SourceHostOptions;
  /** Offered since the last commit was prepared. */
  offered = 0;
  /** In the commit that is being written; undefined when it has no part in it. */
  #inCommit: number | undefined;
  #wantsCommit = false;
  /** `offer` returned false and `resume` was not called yet. */
  paused = false;
  /** Its records are not taken, because a job with `onLag: block` needs the journal's oldest. */
  blocked = false;
  /** Undefined until it has said something. */
  isConnected: boolean | undefined;
  /** It has not been read since a commit that failed, or over a commit at least. */
  isHeld = false;
  /** What the journal says of it. */
  journaled: boolean | undefined;
  #error: string | null = null;
  readonly #dropped: Record<string, number> = {};
  #ringFirst = 1;
  #ringNext = 1;

  constructor(source: Source, options: SourceHostOptions) {
    this.source = source;
    this.#options = options;
    this.#readRing();
  }

  get id(): string {
    return this.source.id;
  }

  get isDirty(): boolean {
    return this.#wantsCommit || this.offered > 0;
  }

  /** Half of what the origin gives unacknowledged has come: it would soon stop. */
  get isUrgent(): boolean {
    return this.#wantsCommit || this.offered * 2 >= this.source.receiveWindow;
  }

  async start(): Promise<void> {
    const { clock, random, log, intake } = this.#options;
    await this.source.start({
      clock,
      random,
      log: log.child({ source: this.id }),
      checkpoint: this.#checkpoint(),
      offer: (record) => intake.offer(this, record),
      connected: (connected, error) => {
        this.#error = error ?? null;
        if (this.isConnected === connected) return;
        this.isConnected = connected;
        intake.connected(this, connected);
      },
      requestCommit: () => {
        this.#wantsCommit = true;
        intake.requestCommit(this);
      },
      dropped: (reason, count = 1) => {
        this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
      },
    });
  }

  stage(tx: StoreTx): void {
    if (!this.isDirty) return;
    this.#inCommit = this.offered;
    this.offered = 0;
    this.#wantsCommit = false;
    const { offset, ringChunk, ringChunksKept } = this.source.prepareCommit(this.#inCommit);
    if (offset !== undefined) {
      tx.put('meta', ['source', this.id], encodeVersioned(OFFSET_FORMAT, { offset }));
    }
    if (ringChunk !== undefined) tx.put('ring', [this.id, this.#ringNext++], ringChunk);
    if (ringChunksKept === undefined) return;
    while (this.#ringNext - this.#ringFirst > ringChunksKept) {
      tx.remove('ring', [this.id, this.#ringFirst++]);
    }
  }

  /** The commit is on disk: its records may be acknowledged. */
  committed(): void {
    if (this.#inCommit === undefined) return;
    const count = this.#inCommit;
    this.#inCommit = undefined;
    this.source.committed(count);
  }

  /** The commit failed: what was offered comes again from the origin. */
  discarded(): void {
    this.offered = 0;
    this.#inCommit = undefined;
    this.#wantsCommit = false;
    this.paused = false;
    this.isHeld = true;
    // What was said since the last commit is gone with it.
    this.journaled = undefined;
    this.#readRing();
    this.source.discarded();
  }

  resume(): void {
    this.isHeld = this.paused && this.blocked;
    if (!this.paused || this.blocked) return;
    this.paused = false;
    this.source.resume();
  }

  report(): SourceReport {
    const report = this.source.report();
    const dropped: Record<string, number> = { ...report.dropped };
    for (const [reason, count] of Object.entries(this.#dropped)) {
      dropped[reason] = Math.max(dropped[reason] ?? 0, count);
    }
    const { label } = this.#options;
    return { ...report, label, dropped, error: report.error ?? this.#error };
  }

  async stop(): Promise<void> {
    try {
      await this.source.stop();
    } catch (error) {
      this.#options.log.warn({ source: this.id, error: messageOf(error) }, 'source did not stop');
    }
  }

  #checkpoint(): SourceCheckpoint {
    const { store } = this.#options;
    const bytes = store.get('meta', ['source', this.id]);
    const stored =
      bytes === undefined
        ? undefined
        : decodeVersioned<{ offset: unknown }>('a source offset', OFFSET_FORMAT, bytes);
    const ring = [...store.range('ring', this.#ringRange())].map(({ value }) => value);
    return { offset: stored?.offset, ring };
  }

  #readRing(): void {
    const keys = [...this.#options.store.keys('ring', this.#ringRange())] as [string, number][];
    this.#ringFirst = keys[0]?.[1] ?? 1;
    this.#ringNext = (keys.at(-1)?.[1] ?? this.#ringFirst - 1) + 1;
  }

  #ringRange(): { start: [string, number]; end: [string, number] } {
    return { start: [this.id, 0], end: [this.id, Number.MAX_SAFE_INTEGER] };
  }
}
