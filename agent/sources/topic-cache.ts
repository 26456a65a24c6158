/**
 * Topics as they repeat: bytes → one shared string and its CRC-32.
 *
 * A device publishes to few topics, again and again. Decoding and hashing the same bytes for each
 * message costs two native calls; finding them here costs a loop over some 30 bytes. The cache is
 * direct-mapped: a fixed number of slots, the newer topic takes the slot, so it is bounded however
 * many topics there are.
 */
import { crc32 } from 'node:zlib';

export interface Topic {
  readonly text: string;
  /** CRC-32 of the topic's bytes: where the hash of topic and payload begins. */
  readonly crc: number;
  readonly bytes: Buffer;
}

const SLOTS = 1024;

export class TopicCache {
  readonly #slots: (Topic | undefined)[] = Array.from({ length: SLOTS });

  /** The topic in `buffer[start, end)`. */
  get(buffer: Buffer, start: number, end: number): Topic {
    let hash = end - start;
    for (let at = start; at < end; at += 1) {
      hash = (Math.imul(hash, 31) + (buffer[at] as number)) | 0;
    }
    const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
    const known = this.#slots[slot];
    if (known !== undefined && sameBytes(known.bytes, buffer, start, end)) return known;
    const bytes = Buffer.from(buffer.subarray(start, end));
    const topic = { text: bytes.toString('utf8'), crc: crc32(bytes), bytes };
    this.#slots[slot] = topic;
    return topic;
  }
}

function sameBytes(known: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (known.length !== length) return false;
  for (let at = 0; at < length; at += 1) if (known[at] !== buffer[start + at]) return false;
  return true;
}
