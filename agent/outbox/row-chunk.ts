/**
 * Rows of one lane and one commit as one LMDB value, format 1:
 *
 *     0 u8 format   1 u8 reserved, 0   2 u16 reserved, 0   4 u32 rows
 *     8 f64 `at` of the first row      16 rows: JSON without line breaks, each ended by \n
 *
 * The key holds the first row's `seq`; the others count on without gaps. A commit's rows are cut
 * into chunks of about 64 KiB, so that dropping and acknowledging go in small steps. Crash
 * outcomes: a chunk is written by the commit's transaction, so it is there wholly or not at all.
 */
import { RunnelError } from '@runnel/shared/errors.ts';

const CHUNK_FORMAT = 1;
const HEADER_BYTES = 16;
export const CHUNK_CHARS_MAX = 65_000;

export interface ChunkHeader {
  readonly rows: number;
  readonly at: number;
}

export function encodeChunk(texts: readonly string[], at: number): Buffer {
  const body = `${texts.join('\n')}\n`;
  const length = Buffer.byteLength(body);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + length);
  bytes.writeUInt32LE(CHUNK_FORMAT, 0);
  bytes.writeUInt32LE(texts.length, 4);
  bytes.writeDoubleLE(at, 8);
  bytes.write(body, HEADER_BYTES, length, 'utf8');
  return bytes;
}

export function chunkHeader(bytes: Buffer): ChunkHeader {
  const format = bytes[0] ?? 0;
  if (format !== CHUNK_FORMAT) {
    throw new RunnelError('outbox_format_newer', `a chunk of rows has format ${format}`, {
      hint: 'This data was written by a newer agent; run that version, or a new data directory.',
    });
  }
  return { rows: bytes.readUInt32LE(4), at: bytes.readDoubleLE(8) };
}

export function chunkTexts(bytes: Buffer): string[] {
  return bytes.toString('utf8', HEADER_BYTES, bytes.length - 1).split('\n');
}
