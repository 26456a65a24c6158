/**
 * What came in since the last commit was prepared: journal blocks under construction, and the items
 * in them that no job has seen yet.
 *
 * Bounds: records and bytes (limits.ts); beyond them `isFull`, and sources stop reading.
 */
import { limits } from '@runnel/shared/limits.ts';
import { BlockWriter, controlText } from '../journal/block-writer.ts';
import type { ControlEntry } from '../journal/control-entry.ts';
import type { RawRecord } from '../sources/source.ts';
import { ControlItem, RecordItem, type StreamItem } from './stream-item.ts';

export interface GatherBounds {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

export const GATHER_BOUNDS: GatherBounds = {
  recordsMax: limits.gatherRecordsMax,
  bytesMax: limits.gatherBytesMax,
};

export class Gather {
  readonly firstBlock: number;
  readonly writers: BlockWriter[] = [];
  records = 0;
  bytes = 0;
  readonly #bounds: GatherBounds;
  #writer: BlockWriter | undefined;
  #pending: StreamItem[] = [];

  constructor(firstBlock: number, bounds: GatherBounds) {
    this.firstBlock = firstBlock;
    this.#bounds = bounds;
  }

  get isEmpty(): boolean {
    return this.writers.length === 0;
  }

  get isFull(): boolean {
    return this.records >= this.#bounds.recordsMax || this.bytes >= this.#bounds.bytesMax;
  }

  /** Half of the bounds: a commit should begin. */
  get isHalfFull(): boolean {
    return this.records * 2 >= this.#bounds.recordsMax || this.bytes * 2 >= this.#bounds.bytesMax;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  record(source: string, raw: RawRecord, now: number): void {
    const meta = raw.meta === undefined ? undefined : JSON.stringify(raw.meta);
    const { topic, payload } = raw;
    const size = payload.length;
    const writer = this.#open(size + (topic.length + (meta?.length ?? 0)) * 3);
    const index = writer.items;
    const start = writer.record(source, topic, payload, meta, now);
    this.records++;
    this.bytes += size + topic.length;
    const end = start + size;
    this.#pending.push(
      new RecordItem(writer, writer.block, index, now, source, topic, meta, start, end),
    );
  }

  control(entry: ControlEntry, now: number): void {
    const text = controlText(entry);
    const writer = this.#open(text.length * 3);
    const item = new ControlItem(writer.block, writer.items, now, entry);
    writer.control(text, now);
    this.bytes += text.length;
    this.#pending.push(item);
  }

  /** The items that no job has seen yet. */
  takePending(): StreamItem[] {
    const items = this.#pending;
    this.#pending = [];
    return items;
  }

  #open(content: number): BlockWriter {
    if (this.#writer === undefined || !this.#writer.fits(content)) {
      this.#writer = new BlockWriter(this.firstBlock + this.writers.length);
      this.writers.push(this.#writer);
    }
    return this.#writer;
  }
}
