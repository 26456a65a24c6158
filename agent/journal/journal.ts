/**
 * The durable ordered log of what came in: blocks numbered from 1, appended by the commit cycle,
 * read by jobs that lag, by backfill and by batch jobs, dropped from the front by bytes and age.
 *
 * All that must be known at start is in the header of the last block (`now`, running time, records
 * and bytes so far), so a commit writes no row of its own for it and opening reads two blocks.
 *
 * Age counts the agent's running time, so that a clock that jumps from 1970 wipes nothing. The last
 * block is never dropped. Retention policy: drop oldest, but never a block at or after `keepFrom`
 * (jobs that said `onLag: block`).
 */
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { HEADER_BYTES, readBlockHeader, type BlockHeader, type Offset } from './block-format.ts';
import { BlockReader } from './block-reader.ts';
import type { BlockWriter } from './block-writer.ts';
import { readCut, writeCut } from './journal-cut.ts';

export interface JournalBudget {
  readonly bytesMax: number;
  readonly ageMsMax: number;
}

/** Blocks dropped in one commit at most: what is over goes with the next ones. */
const DROPPED_PER_COMMIT_MAX = 64;
const DROPPED_IN_RELIEF_MAX = 2048;
const RELIEF_SHARE = 0.75;
const RELIEF_MS = 3_600_000;

interface Kept {
  readonly first: number;
  readonly firstHeader: BlockHeader;
}

export class Journal {
  readonly #store: CheckpointStore;
  readonly #budget: JournalBudget;
  #historyMs = 0;
  #purge = { timeMs: -Infinity, beforeBlock: 0 };
  #reliefBytes = Infinity;
  #reliefEndsRunMs = 0;
  /** The oldest block kept; undefined while the journal is empty. */
  #kept: Kept | undefined;
  /** When the newest record that was dropped had come; see journal-cut.ts. */
  #droppedToMs: number | undefined;
  #next = 1;
  #now = 0;
  #runMs = 0;
  #records = 0;
  #bytes = 0;
  /** Sealed and handed to a commit that has not settled. */
  #staged = new Map<number, Buffer>();

  constructor(store: CheckpointStore, budget: JournalBudget) {
    this.#store = store;
    this.#budget = budget;
    this.reload();
  }

  /** Forgets what was staged and reads the ends of the log from disk. */
  reload(): void {
    this.#staged.clear();
    this.#droppedToMs = readCut(this.#store);
    const [last] = this.#store.range('journal', { reverse: true, limit: 1 });
    if (last === undefined) {
      this.#kept = undefined;
      this.#next = 1;
      this.#records = 0;
      this.#bytes = 0;
      return;
    }
    const header = readBlockHeader(last.value);
    this.#next = (last.key as number) + 1;
    this.#now = Math.max(this.#now, header.nowLast);
    this.#runMs = header.runMs;
    this.#records = header.recordsBefore + header.records;
    this.#bytes = header.bytesBefore + header.length;
    const [first] = this.#store.range('journal', { limit: 1 });
    if (first === undefined) return;
    this.#kept = { first: first.key as number, firstHeader: readBlockHeader(first.value) };
  }

  /** Number that the next block gets; the offset `(nextBlock, 0)` is the head. */
  get nextBlock(): number {
    return this.#next;
  }

  get head(): Offset {
    return { block: this.#next, index: 0 };
  }

  get firstOffset(): Offset {
    return { block: this.#kept?.first ?? this.#next, index: 0 };
  }

  /**
   * Every record that arrived at this time or later is there; -Infinity when none was ever dropped.
   */
  get completeFromMs(): number {
    const kept = this.#kept;
    if (kept === undefined) return this.#records === 0 ? -Infinity : this.#now + 1;
    if (kept.firstHeader.recordsBefore === 0) return -Infinity;
    // Without a note of it, what was dropped may have come just before what was kept.
    return (this.#droppedToMs ?? kept.firstHeader.nowFirst) + 1;
  }

  /**
   * Keeps at least this much running time, as far as the bytes allow: the `history` of batch jobs.
   * Wall-clock time passes at least as fast, so what arrived in the last `ms` is kept with it.
   */
  keepMs(ms: number): void {
    this.#historyMs = ms;
  }

  /** What arrived at this time or later is in that history; Infinity when nobody has asked. */
  get historyFromMs(): number {
    return this.#historyMs === 0 ? Infinity : this.#now - this.#historyMs;
  }

  /**
   * The next commits drop blocks before this one whose records all arrived before this time, and
   * before the history that is kept for batch jobs.
   */
  purge(timeMs: number, beforeBlock: number): void {
    this.#purge = { timeMs, beforeBlock };
  }

  /** Records of all time before the oldest block kept. */
  get recordsDropped(): number {
    return this.#kept?.firstHeader.recordsBefore ?? this.#records;
  }

  /** `now` of the last item that was staged or committed. */
  get now(): number {
    return this.#now;
  }

  get runMs(): number {
    return this.#runMs;
  }

  get bytes(): number {
    return this.#bytes - (this.#kept?.firstHeader.bytesBefore ?? this.#bytes);
  }

  /** Records ever appended. */
  get recordsTotal(): number {
    return this.#records;
  }

  /**
   * The disk is full: for the next hour of running time the journal keeps a quarter less than it
   * has now, since what it may keep was set for a disk that has the room.
   */
  relieve(): void {
    this.#reliefBytes = Math.floor(this.bytes * RELIEF_SHARE);
    this.#reliefEndsRunMs = this.#runMs + RELIEF_MS;
  }

  /** Seals blocks into the transaction; they can be read at once through `read`. */
  append(tx: StoreTx, writers: readonly BlockWriter[], runMs: number): void {
    for (const writer of writers) {
      const sealed = writer.seal(runMs, this.#records, this.#bytes);
      tx.put('journal', writer.block, sealed);
      this.#staged.set(writer.block, sealed);
      this.#kept ??= { first: writer.block, firstHeader: readBlockHeader(sealed) };
      this.#next = writer.block + 1;
      this.#records += writer.records;
      this.#bytes += sealed.length;
      this.#now = writer.nowLast;
      this.#runMs = runMs;
    }
  }

  /** Drops what is over the budget, oldest first, and nothing at or after `keepFrom`. */
  trim(tx: StoreTx, keepFrom: number): void {
    let dropped = 0;
    let kept = this.#kept;
    const relieved = this.#runMs < this.#reliefEndsRunMs;
    const bytesMax = relieved
      ? Math.min(this.#budget.bytesMax, this.#reliefBytes)
      : this.#budget.bytesMax;
    const ageMsMax = Math.max(this.#budget.ageMsMax, this.#historyMs);
    const purgedToMs = Math.min(this.#purge.timeMs, this.historyFromMs);
    const droppedMax = relieved ? DROPPED_IN_RELIEF_MAX : DROPPED_PER_COMMIT_MAX;
    while (kept !== undefined && dropped < droppedMax) {
      const { first, firstHeader } = kept;
      const tooBig = this.#bytes - firstHeader.bytesBefore > bytesMax;
      const tooOld = this.#runMs - firstHeader.runMs > ageMsMax;
      const isPurged = first < this.#purge.beforeBlock && firstHeader.nowLast < purgedToMs;
      if (!tooBig && !tooOld && !isPurged) break;
      if (first >= keepFrom || first + 1 >= this.#next || this.#staged.has(first)) break;
      tx.remove('journal', first);
      this.#droppedToMs = firstHeader.nowLast;
      dropped++;
      kept = this.#keptFrom(first + 1);
    }
    this.#kept = kept;
    if (dropped > 0) writeCut(tx, this.#droppedToMs ?? this.#now);
  }

  /** Whether the log is over its bytes and `keepFrom` forbids dropping more. */
  isBlocked(keepFrom: number): boolean {
    const kept = this.#kept;
    return kept !== undefined && kept.first >= keepFrom && this.bytes > this.#budget.bytesMax;
  }

  /** The commit that held the staged blocks is on disk. */
  committed(): void {
    this.#staged.clear();
  }

  /** Undefined for a block that was dropped or not yet written. */
  read(block: number): BlockReader | undefined {
    const bytes = this.#staged.get(block) ?? this.#store.get('journal', block);
    return bytes === undefined ? undefined : new BlockReader(block, bytes);
  }

  #keptFrom(block: number): Kept | undefined {
    const bytes = this.#staged.get(block) ?? this.#store.get('journal', block);
    if (bytes === undefined || bytes.length < HEADER_BYTES) return this.#kept;
    return { first: block, firstHeader: readBlockHeader(bytes) };
  }
}
