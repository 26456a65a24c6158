/**
 * Layout of a journal block, format 1. A block is one LMDB value of at most 64 KiB, unless a single
 * record is larger; a commit appends one or more. Little endian, varints are LEB128.
 *
 * Header, 64 bytes:
 *
 *     0 u8  magic 0x4a          1 u8  format            2 u16 reserved, 0
 *     4 u32 crc32 of [8, length)                        8 u32 length
 *    12 u32 start of the footer                        16 u32 items    20 u32 records
 *    24 f64 `now` of the first item                    32 f64 `now` of the last item
 *    40 f64 running time of the agent in ms, at the end of the block
 *    48 f64 records in all blocks before               56 f64 bytes of all blocks before
 *
 * Entries follow, each with a kind byte and a varint: `now` as difference from the entry before.
 *
 *     1 records    source ref, u16 count, then per record:
 *                  varint payload length × 2 + hasMeta, topic ref, [meta length, JSON], payload
 *     2 control    varint length, JSON (control-entry.ts)
 *
 * A ref is a varint: 0 introduces a new name (varint length, UTF-8), which gets the next number
 * from 1; names live as long as the block, so that every block can be read by itself.
 *
 * Footer: varint number of sources, per source: name (length, UTF-8), varint records, f64 smallest
 * and f64 largest arrival. Batch jobs find by it which blocks matter to them.
 *
 * An offset is `(block, index)`: each record and each control entry counts one index. Blocks are
 * numbered from 1 without gaps. Crash outcomes: blocks are written by the commit's transaction, so
 * a block is there wholly or not at all; the checksum is for damaged disks. A newer format is
 * refused as `journal_format_newer`.
 */
import { crc32 } from 'node:zlib';
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';

export const BLOCK_MAGIC = 0x4a;
export const BLOCK_FORMAT = 1;
export const HEADER_BYTES = 64;
/** Just under 16 pages, so that LMDB's own page header does not cost a 17th. */
export const BLOCK_BYTES_MAX = limits.journalPartBytesMax - 64;

export const ENTRY_RECORDS = 1;
export const ENTRY_CONTROL = 2;

/** A position in the journal: the next item to process. */
export interface Offset {
  readonly block: number;
  readonly index: number;
}

export function isBefore(a: Offset, b: Offset): boolean {
  return a.block < b.block || (a.block === b.block && a.index < b.index);
}

export interface BlockHeader {
  readonly length: number;
  readonly footerStart: number;
  readonly items: number;
  readonly records: number;
  readonly nowFirst: number;
  readonly nowLast: number;
  readonly runMs: number;
  readonly recordsBefore: number;
  readonly bytesBefore: number;
}

/** With `verify` the checksum is computed too; costs about 20 µs for 64 KiB. */
export function readBlockHeader(bytes: Buffer, options: { verify?: boolean } = {}): BlockHeader {
  if (bytes.length < HEADER_BYTES || bytes[0] !== BLOCK_MAGIC) throw damaged('no block');
  const format = bytes[1] ?? 0;
  if (format > BLOCK_FORMAT) {
    throw new RunnelError('journal_format_newer', `journal block has format ${format}`, {
      hint: 'This data was written by a newer agent; run that version, or a new data directory.',
    });
  }
  if (format === 0) throw damaged('format 0');
  const length = bytes.readUInt32LE(8);
  if (length !== bytes.length) throw damaged(`length ${bytes.length} instead of ${length}`);
  if (options.verify === true && crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) {
    throw damaged('the checksum differs');
  }
  return {
    length,
    footerStart: bytes.readUInt32LE(12),
    items: bytes.readUInt32LE(16),
    records: bytes.readUInt32LE(20),
    nowFirst: bytes.readDoubleLE(24),
    nowLast: bytes.readDoubleLE(32),
    runMs: bytes.readDoubleLE(40),
    recordsBefore: bytes.readDoubleLE(48),
    bytesBefore: bytes.readDoubleLE(56),
  };
}

export function writeBlockHeader(bytes: Buffer, header: BlockHeader): void {
  bytes[0] = BLOCK_MAGIC;
  bytes[1] = BLOCK_FORMAT;
  bytes.writeUInt16LE(0, 2);
  bytes.writeUInt32LE(header.length, 8);
  bytes.writeUInt32LE(header.footerStart, 12);
  bytes.writeUInt32LE(header.items, 16);
  bytes.writeUInt32LE(header.records, 20);
  bytes.writeDoubleLE(header.nowFirst, 24);
  bytes.writeDoubleLE(header.nowLast, 32);
  bytes.writeDoubleLE(header.runMs, 40);
  bytes.writeDoubleLE(header.recordsBefore, 48);
  bytes.writeDoubleLE(header.bytesBefore, 56);
  bytes.writeUInt32LE(crc32(bytes.subarray(8, header.length)), 4);
}

export function damaged(what: string): RunnelError {
  return new RunnelError('journal_damaged', `journal block: ${what}`);
}
