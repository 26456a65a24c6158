/**
 * One lane of rows waiting for delivery: numbered by `seq` from 1, appended by commits, read and
 * acknowledged in order, dropped from the front when the outbox is over its bound.
 *
 * In the database `outbox`: `[...prefix, seq]` are chunks (row-chunk.ts), `['lane', ...prefix]` is
 * the lane's record, format 1: what was acknowledged, the next seq, rows and bytes kept, and rows
 * dropped beyond the mark. The record is written with every change, so that opening reads one row.
 *
 * What `read` gives is always flushed (I1): changes staged into a commit count from `committed` on.
 * A row goes only when it is acknowledged (I3) or dropped by `dropOldest`, which never touches rows
 * in flight (given by `read` and not acknowledged) and is declared as `lost` by the next block, as
 * is a row that was too large to be appended.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import { CHUNK_CHARS_MAX, chunkHeader, chunkTexts, encodeChunk } from './row-chunk.ts';

const LANE_FORMAT = 1;

export interface LaneRecord {
  /** Highest seq that was acknowledged. */
  readonly mark: number;
  /** Seq that the next row gets. */
  readonly next: number;
  /** Rows kept and not acknowledged. */
  readonly rows: number;
  readonly bytes: number;
  /** Rows beyond the mark that were dropped and not yet declared. */
  readonly lost: number;
  /** Rows ever dropped. */
  readonly lostTotal: number;
  /** What the lane's owner keeps with it: a local sink's state. */
  readonly extra: unknown;
}

export interface LaneBlock {
  readonly after: number;
  readonly last: number;
  readonly lost: number;
  readonly rows: readonly { readonly seq: number; readonly text: string }[];
}

/** What a row takes in a block beside its text: `"seq":…,` and a comma. */
const ROW_BYTES = 24;

interface Chunk {
  readonly first: number;
  readonly rows: number;
  readonly bytes: number;
}

const EMPTY: LaneRecord = {
  mark: 0,
  next: 1,
  rows: 0,
  bytes: 0,
  lost: 0,
  lostTotal: 0,
  extra: null,
};

export class RowLane {
  readonly #store: CheckpointStore;
  readonly prefix: readonly (string | number)[];
  readonly #empty: LaneRecord;
  #flushed: LaneRecord = EMPTY;
  #staged: LaneRecord = EMPTY;
  #changed = false;
  /** Highest seq given by `read` and not acknowledged. */
  #inFlight = 0;
  #acknowledged = 0;

  /** `first` is the seq of the first row of a lane that is not stored. */
  constructor(store: CheckpointStore, prefix: readonly (string | number)[], first = 1) {
    this.#store = store;
    this.prefix = prefix;
    this.#empty = { ...EMPTY, mark: first - 1, next: first };
    this.reload();
  }

  /** Forgets what was staged. */
  reload(): void {
    const bytes = this.#store.get('outbox', ['lane', ...this.prefix]);
    this.#flushed =
      bytes === undefined ? this.#empty : decodeVersioned<LaneRecord>('a lane', LANE_FORMAT, bytes);
    this.#staged = this.#flushed;
    this.#changed = false;
    this.#acknowledged = 0;
  }

  /** What is on disk. */
  get record(): LaneRecord {
    return this.#flushed;
  }

  /** Bytes with what is staged. */
  get bytes(): number {
    return this.#staged.bytes;
  }

  /** Seq of the newest row with what is staged; 0 when there never was one. */
  get last(): number {
    return this.#staged.next - 1;
  }

  /** Nothing to deliver and nothing to declare. */
  get drained(): boolean {
    return this.#flushed.rows === 0 && this.#flushed.lost === 0;
  }

  /** `at` of the oldest row kept. */
  get oldestAt(): number | null {
    for (const { value } of this.#store.range('outbox', { ...this.#chunks(0), limit: 1 })) {
      return chunkHeader(value).at;
    }
    return null;
  }

  /** Null is a row that cannot be sent: it has its seq and is lost at once. */
  append(tx: StoreTx, texts: readonly (string | null)[], at: number): void {
    let from = 0;
    while (from < texts.length) {
      const chunk = textsFrom(texts, from);
      if (chunk.length === 0) {
        const { next, lost, lostTotal } = this.#staged;
        this.#change({ next: next + 1, lost: lost + 1, lostTotal: lostTotal + 1 });
        from += 1;
        continue;
      }
      const to = from + chunk.length;
      const bytes = encodeChunk(chunk, at);
      tx.put('outbox', [...this.prefix, this.#staged.next], bytes);
      this.#change({
        next: this.#staged.next + to - from,
        rows: this.#staged.rows + to - from,
        bytes: this.#staged.bytes + bytes.length,
      });
      from = to;
    }
  }

  setExtra(extra: unknown): void {
    this.#change({ extra });
  }

  /**
   * The oldest rows that are not acknowledged, at least one however large, and what was dropped
   * among them; undefined when there is neither. Asking again gives them again. Rows up to `beyond`
   * are left out: they were delivered, and the mark that says so is not on disk yet.
   */
  read(rowsMax: number, bytesMax: number, beyond = 0): LaneBlock | undefined {
    if (this.drained || beyond >= this.#flushed.next - 1) return undefined;
    const { next } = this.#flushed;
    const mark = Math.max(this.#flushed.mark, beyond);
    const rows: { seq: number; text: string }[] = [];
    let bytes = 0;
    let complete = true;
    for (const { key, value } of this.#store.range('outbox', this.#chunks(0))) {
      const first = firstSeq(key);
      if (first >= next) break;
      let seq = first - 1;
      for (const text of chunkTexts(value)) {
        if (++seq <= mark) continue;
        const size = Buffer.byteLength(text) + ROW_BYTES;
        complete = rows.length === 0 || (rows.length < rowsMax && bytes + size <= bytesMax);
        if (!complete) break;
        rows.push({ seq, text });
        bytes += size;
      }
      if (!complete) break;
    }
    const last = complete ? next - 1 : (rows.at(-1)?.seq ?? next - 1);
    this.#inFlight = Math.max(this.#inFlight, last);
    return { after: mark, last, lost: last - mark - rows.length, rows };
  }

  /**
   * Rows up to `mark` may go; they are deleted by the next `stageAcknowledged`. A mark beyond what
   * was given is refused, unless `sentBefore`: another process of this agent gave them.
   */
  acknowledge(mark: number, sentBefore = false): void {
    if (sentBefore) this.#inFlight = Math.max(this.#inFlight, mark);
    if (mark > this.#inFlight && mark > this.#flushed.mark) {
      throw new RunnelError(
        'outbox_mark_beyond',
        `mark ${mark} is beyond ${this.#inFlight}, sent`,
        { fields: { mark, sent: this.#inFlight } },
      );
    }
    this.#acknowledged = Math.max(this.#acknowledged, mark);
  }

  get hasAcknowledged(): boolean {
    return this.#acknowledged > this.#staged.mark;
  }

  stageAcknowledged(tx: StoreTx): void {
    const mark = this.#acknowledged;
    if (mark <= this.#staged.mark) return;
    let { rows, bytes } = this.#staged;
    let passed = 0;
    for (const chunk of this.#read(mark + 1)) {
      const last = chunk.first + chunk.rows - 1;
      const from = Math.max(chunk.first, this.#staged.mark + 1);
      passed += Math.min(last, mark) - from + 1;
      if (last > mark) continue;
      tx.remove('outbox', [...this.prefix, chunk.first]);
      bytes -= chunk.bytes;
    }
    rows -= passed;
    const lost = this.#staged.lost - (mark - this.#staged.mark - passed);
    this.#change({ mark, rows, bytes, lost });
  }

  /** Drops about `bytes` of the oldest rows that are not in flight; returns how many rows. */
  dropOldest(tx: StoreTx, bytes: number): number {
    let freed = 0;
    let dropped = 0;
    for (const chunk of this.#read(this.#staged.next)) {
      if (freed >= bytes) break;
      if (chunk.first <= this.#inFlight) continue;
      tx.remove('outbox', [...this.prefix, chunk.first]);
      freed += chunk.bytes;
      dropped += Math.min(chunk.rows, chunk.first + chunk.rows - 1 - this.#staged.mark);
    }
    if (dropped > 0) {
      const { rows, bytes: kept, lost, lostTotal } = this.#staged;
      this.#change({
        rows: rows - dropped,
        bytes: kept - freed,
        lost: lost + dropped,
        lostTotal: lostTotal + dropped,
      });
    }
    return dropped;
  }

  /**
   * Counts anew what lies here; true when the record says something else, which `mend` corrects.
   * Call before anything is staged: a row that is put is not seen until it is on disk.
   */
  recount(mend: boolean): boolean {
    const { mark } = this.#staged;
    let { next } = this.#staged;
    let rows = 0;
    let bytes = 0;
    for (const chunk of this.#read(Number.MAX_SAFE_INTEGER)) {
      const end = chunk.first + chunk.rows;
      rows += Math.max(0, end - Math.max(chunk.first, mark + 1));
      bytes += chunk.bytes;
      next = Math.max(next, end);
    }
    const counted = { next, rows, bytes, lost: next - 1 - mark - rows };
    const fields = ['next', 'rows', 'bytes', 'lost'] as const;
    if (fields.every((field) => counted[field] === this.#staged[field])) return false;
    if (mend) this.#change(counted);
    return true;
  }

  /** Writes the record when it changed; call last, once per commit. */
  stage(tx: StoreTx): void {
    if (!this.#changed) return;
    tx.put('outbox', ['lane', ...this.prefix], encodeVersioned(LANE_FORMAT, this.#staged));
    this.#changed = false;
  }

  /** The lane is gone: its record and every row of it. */
  stageRemoved(tx: StoreTx): void {
    for (const chunk of this.#read(this.#staged.next)) {
      tx.remove('outbox', [...this.prefix, chunk.first]);
    }
    tx.remove('outbox', ['lane', ...this.prefix]);
    this.#staged = EMPTY;
    this.#changed = false;
  }

  committed(): void {
    this.#flushed = this.#staged;
    if (this.#flushed.mark >= this.#inFlight) this.#inFlight = 0;
  }

  #change(fields: Partial<LaneRecord>): void {
    this.#staged = { ...this.#staged, ...fields };
    this.#changed = true;
  }

  *#read(before: number): Iterable<Chunk> {
    const end = [...this.prefix, before];
    for (const { key, value } of this.#store.range('outbox', { ...this.#chunks(0), end })) {
      yield { first: firstSeq(key), rows: chunkHeader(value).rows, bytes: value.length };
    }
  }

  #chunks(from: number): { start: (string | number)[]; end: (string | number)[] } {
    return {
      start: [...this.prefix, from],
      end: [...this.prefix, Number.MAX_SAFE_INTEGER],
    };
  }
}

/** As many as one chunk holds; none where there is a null. */
function textsFrom(texts: readonly (string | null)[], from: number): string[] {
  const chunk: string[] = [];
  let chars = 0;
  for (let at = from; at < texts.length && chars < CHUNK_CHARS_MAX; at++) {
    const text = texts[at] ?? null;
    if (text === null) break;
    chunk.push(text);
    chars += text.length;
  }
  return chunk;
}

function firstSeq(key: unknown): number {
  return (key as (string | number)[]).at(-1) as number;
}
