/**
 * An item of the journal on its way through the jobs: the same whether it has just come in (its
 * block is still being built) or is read back, so that live and catch-up cannot differ.
 */
import type { Codec } from '@runnel/shared/definitions/source-definition.ts';
import type { SourceRecord } from '@runnel/shared/engine/stream-job.ts';
import type { BlockReader, JournalItem } from '../journal/block-reader.ts';
import type { ControlEntry } from '../journal/control-entry.ts';
import { decodeRecord } from './decode.ts';

export class RecordItem {
  readonly kind = 'record';
  readonly block: number;
  readonly index: number;
  readonly now: number;
  readonly source: string;
  readonly topic: string;
  /** Holds the block's buffer, which may be replaced by a larger one while it is built. */
  readonly #holder: { readonly bytes: Buffer };
  readonly #meta: string | undefined;
  readonly start: number;
  readonly end: number;
  #json: SourceRecord | undefined | null = null;

  constructor(
    holder: { readonly bytes: Buffer },
    block: number,
    index: number,
    now: number,
    source: string,
    topic: string,
    meta: string | undefined,
    start: number,
    end: number,
  ) {
    this.#holder = holder;
    this.block = block;
    this.index = index;
    this.now = now;
    this.source = source;
    this.topic = topic;
    this.#meta = meta;
    this.start = start;
    this.end = end;
  }

  get bytes(): Buffer {
    return this.#holder.bytes;
  }

  /** Decoded once for all jobs that use the codec JSON; undefined when it is not valid. */
  decode(codec: Codec): SourceRecord | undefined {
    if (codec !== 'json') return this.#decode(codec);
    if (this.#json === null) this.#json = this.#decode('json');
    return this.#json;
  }

  #decode(codec: Codec): SourceRecord | undefined {
    const { bytes } = this.#holder;
    return decodeRecord(codec, bytes, this.start, this.end, this.topic, this.#meta);
  }
}

export class ControlItem {
  readonly kind = 'control';
  readonly block: number;
  readonly index: number;
  readonly now: number;
  readonly entry: ControlEntry;

  constructor(block: number, index: number, now: number, entry: ControlEntry) {
    this.block = block;
    this.index = index;
    this.now = now;
    this.entry = entry;
  }
}

export type StreamItem = RecordItem | ControlItem;

/** An item read back from the journal. */
export function streamItem(reader: BlockReader, item: JournalItem): StreamItem {
  if (item.kind === 'control') {
    return new ControlItem(reader.block, item.index, item.now, item.entry);
  }
  return new RecordItem(
    reader,
    reader.block,
    item.index,
    item.now,
    item.source,
    item.topic,
    item.meta,
    item.start,
    item.end,
  );
}
