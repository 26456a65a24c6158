/**
 * Reads the items of one journal block in order. Payloads come as ranges of the block, undecoded,
 * so that a record nobody reads costs a few varints.
 */
import type { ControlEntry } from './control-entry.ts';
import {
  ENTRY_CONTROL,
  ENTRY_RECORDS,
  HEADER_BYTES,
  damaged,
  readBlockHeader,
  type BlockHeader,
} from './block-format.ts';

export type JournalItem =
  | {
      readonly kind: 'record';
      readonly index: number;
      readonly now: number;
      readonly source: string;
      readonly topic: string;
      readonly meta: string | undefined;
      /** The payload is `bytes[start, end)` of the block. */
      readonly start: number;
      readonly end: number;
    }
  | {
      readonly kind: 'control';
      readonly index: number;
      readonly now: number;
      readonly entry: ControlEntry;
    };

export interface BlockSource {
  readonly source: string;
  readonly records: number;
  readonly nowMin: number;
  readonly nowMax: number;
}

export class BlockReader {
  readonly block: number;
  readonly bytes: Buffer;
  readonly header: BlockHeader;
  #at = HEADER_BYTES;
  #index = 0;
  #now: number;
  #sources: string[] = [];
  #topics: string[] = [];
  #source = '';
  #left = 0;

  constructor(block: number, bytes: Buffer) {
    this.block = block;
    this.bytes = bytes;
    this.header = readBlockHeader(bytes);
    this.#now = this.header.nowFirst;
  }

  /** Index of the item that `next` gives. */
  get index(): number {
    return this.#index;
  }

  /** Undefined at the end of the block. */
  next(): JournalItem | undefined {
    if (this.#left === 0) {
      if (this.#at >= this.header.footerStart) return undefined;
      const control = this.#entry();
      if (control !== undefined) return control;
    }
    this.#left--;
    const head = this.#varint();
    const topic = this.#name(this.#topics);
    const meta = head % 2 === 1 ? this.#text() : undefined;
    const start = this.#at;
    const end = start + Math.floor(head / 2);
    if (end > this.header.footerStart) throw damaged('a record ends beyond the block');
    this.#at = end;
    const index = this.#index++;
    return { kind: 'record', index, now: this.#now, source: this.#source, topic, meta, start, end };
  }

  /** Moves on so that `next` gives the item at `index`. */
  seek(index: number): void {
    while (this.#index < index) if (this.next() === undefined) return;
  }

  sources(): BlockSource[] {
    this.#at = this.header.footerStart;
    const found: BlockSource[] = [];
    for (let count = this.#varint(); count > 0; count--) {
      const source = this.#text();
      const records = this.#varint();
      const nowMin = this.bytes.readDoubleLE(this.#at);
      const nowMax = this.bytes.readDoubleLE(this.#at + 8);
      this.#at += 16;
      found.push({ source, records, nowMin, nowMax });
    }
    return found;
  }

  /** Opens a segment, or returns a control entry. */
  #entry(): JournalItem | undefined {
    const kind = this.bytes[this.#at++];
    this.#now += this.#varint();
    if (kind === ENTRY_RECORDS) {
      this.#source = this.#name(this.#sources);
      this.#left = this.bytes.readUInt16LE(this.#at);
      this.#at += 2;
      if (this.#left === 0) throw damaged('an empty segment');
      return undefined;
    }
    if (kind !== ENTRY_CONTROL) throw damaged(`an entry of kind ${kind}`);
    const entry = JSON.parse(this.#text()) as ControlEntry;
    return { kind: 'control', index: this.#index++, now: this.#now, entry };
  }

  #name(names: string[]): string {
    const ref = this.#varint();
    if (ref > 0) {
      const known = names[ref - 1];
      if (known === undefined) throw damaged('a name that was not introduced');
      return known;
    }
    const name = this.#text();
    names.push(name);
    return name;
  }

  #text(): string {
    const length = this.#varint();
    const text = this.bytes.toString('utf8', this.#at, this.#at + length);
    this.#at += length;
    return text;
  }

  #varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw damaged('it ends within an entry');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
  }
}
