/**
 * Builds one journal block in place. The payload of a record is copied once, from the source's
 * buffer into the block; decoding reads it here, and LMDB's thread writes it from here.
 *
 * The buffer starts small and doubles: an idle agent holds next to nothing, and slow traffic does
 * not pay for 64 KiB per commit.
 */
import type { ControlEntry } from './control-entry.ts';
import {
  BLOCK_BYTES_MAX,
  ENTRY_CONTROL,
  ENTRY_RECORDS,
  HEADER_BYTES,
  writeBlockHeader,
} from './block-format.ts';

const INITIAL_BYTES = 2048;
/** More than any entry's own bytes beside names, meta and payload. */
const ENTRY_BYTES_MAX = 64;
/** A segment's count is a u16. */
const SEGMENT_RECORDS_MAX = 65_535;

interface SourceStats {
  records: number;
  nowMin: number;
  nowMax: number;
}

export class BlockWriter {
  readonly block: number;
  items = 0;
  records = 0;
  nowFirst = 0;
  nowLast = 0;
  /** Entries are in `[HEADER_BYTES, at)`; also where payloads can be read while it is built. */
  bytes: Buffer;
  #at = HEADER_BYTES;
  #sources = new Map<string, number>();
  #topics = new Map<string, number>();
  #stats = new Map<string, SourceStats>();
  #footerBytes = 8;
  #segmentSource = '';
  #segmentNow = -1;
  #segmentCountAt = 0;
  #segmentCount = 0;
  #segmentStats: SourceStats = { records: 0, nowMin: 0, nowMax: 0 };

  constructor(block: number) {
    this.block = block;
    this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  /** Bytes it would take now. */
  get length(): number {
    return this.#at + this.#footerBytes;
  }

  /** Whether an entry with `content` bytes of names and payload still fits; one always does. */
  fits(content: number): boolean {
    return this.items === 0 || this.length + content + ENTRY_BYTES_MAX <= BLOCK_BYTES_MAX;
  }

  /** Appends a record; returns where its payload starts in `bytes`. `fits` was asked before. */
  record(
    source: string,
    topic: string,
    payload: Uint8Array,
    meta: string | undefined,
    now: number,
  ): number {
    this.#reserve(payload.length + (topic.length + (meta?.length ?? 0)) * 3 + source.length * 3);
    if (
      now !== this.#segmentNow ||
      source !== this.#segmentSource ||
      this.#segmentCount === SEGMENT_RECORDS_MAX
    ) {
      this.#openSegment(source, now);
    }
    this.#varint(payload.length * 2 + (meta === undefined ? 0 : 1));
    this.#ref(this.#topics, topic);
    if (meta !== undefined) this.#text(meta);
    const start = this.#at;
    this.bytes.set(payload, start);
    this.#at += payload.length;
    this.items++;
    this.records++;
    this.#segmentCount++;
    this.#segmentStats.records++;
    this.bytes.writeUInt16LE(this.#segmentCount, this.#segmentCountAt);
    return start;
  }

  control(text: string, now: number): void {
    this.#reserve(text.length * 3);
    this.#begin(ENTRY_CONTROL, now);
    this.#segmentNow = -1;
    this.#text(text);
    this.items++;
  }

  /** Finishes the block; the result is a view of `bytes` and must not be written to again. */
  seal(runMs: number, recordsBefore: number, bytesBefore: number): Buffer {
    const footerStart = this.#at;
    this.#reserve(this.#footerBytes);
    this.#varint(this.#stats.size);
    for (const [name, stats] of this.#stats) {
      this.#text(name);
      this.#varint(stats.records);
      this.bytes.writeDoubleLE(stats.nowMin, this.#at);
      this.bytes.writeDoubleLE(stats.nowMax, this.#at + 8);
      this.#at += 16;
    }
    const sealed = this.bytes.subarray(0, this.#at);
    writeBlockHeader(sealed, {
      length: this.#at,
      footerStart,
      items: this.items,
      records: this.records,
      nowFirst: this.nowFirst,
      nowLast: this.nowLast,
      runMs,
      recordsBefore,
      bytesBefore,
    });
    return sealed;
  }

  #openSegment(source: string, now: number): void {
    this.#begin(ENTRY_RECORDS, now);
    this.#ref(this.#sources, source);
    this.#segmentCountAt = this.#at;
    this.#at += 2;
    this.#segmentCount = 0;
    this.#segmentNow = now;
    this.#segmentSource = source;
    let stats = this.#stats.get(source);
    if (stats === undefined) {
      stats = { records: 0, nowMin: now, nowMax: now };
      this.#stats.set(source, stats);
      this.#footerBytes += Buffer.byteLength(source) + 32;
    }
    stats.nowMax = now;
    this.#segmentStats = stats;
  }

  #begin(kind: number, now: number): void {
    if (this.items === 0) {
      this.nowFirst = now;
      this.nowLast = now;
    }
    this.bytes[this.#at++] = kind;
    this.#varint(now - this.nowLast);
    this.nowLast = now;
  }

  #reserve(content: number): void {
    const need = this.#at + content + ENTRY_BYTES_MAX;
    if (need <= this.bytes.length) return;
    let size = this.bytes.length;
    while (size < need) size *= 2;
    // The estimate is generous; the last step of a full block need not double once more.
    if (size > BLOCK_BYTES_MAX * 1.5 && need < BLOCK_BYTES_MAX + 8192)
      size = BLOCK_BYTES_MAX + 8192;
    const grown = Buffer.allocUnsafeSlow(size);
    this.bytes.copy(grown, 0, 0, this.#at);
    this.bytes = grown;
  }

  #ref(names: Map<string, number>, name: string): void {
    const known = names.get(name);
    if (known !== undefined) {
      this.#varint(known);
      return;
    }
    names.set(name, names.size + 1);
    this.bytes[this.#at++] = 0;
    this.#text(name);
  }

  #text(text: string): void {
    // One byte per character is the common case; the length before the text must be exact.
    const length = Buffer.byteLength(text);
    this.#varint(length);
    this.bytes.write(text, this.#at, length, 'utf8');
    this.#at += length;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.#at++] = rest;
  }
}

export function controlText(entry: ControlEntry): string {
  return JSON.stringify(entry);
}
