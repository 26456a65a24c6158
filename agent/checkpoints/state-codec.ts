/**
 * One state value as bytes, format 1: u8 format, u8 flags, content. Content is MessagePack; with
 * flag 2 it is V8's structured serialisation, for the rare values that MessagePack would change:
 * -0 (it comes back as 0), half a surrogate pair in a text (as U+FFFD) and an own field called
 * `__proto__` (it is renamed). A replay must give the same bytes (I6), so these are looked for
 * before encoding. With flag 1 the content is
 * `[key, value]`, because the key is too long for LMDB and stands there as a hash.
 */
import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { Packr } from 'msgpackr';
import { RunnelError } from '@runnel/shared/errors.ts';

const STATE_FORMAT = 1;
const FLAG_HASHED_KEY = 1;
const FLAG_V8 = 2;

/** Slot u32 and step u16, big endian, so that a step's keys lie together. */
export const PREFIX_BYTES = 6;
/** LMDB takes 1978 bytes; short keys keep its pages full. */
const KEY_BYTES_MAX = 480;
const KIND_PLAIN = 0;
const KIND_HASHED = 1;

const packr = new Packr({ useRecords: false });

export function stepPrefix(slot: number, step: number): Buffer {
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt32BE(slot, 0);
  prefix.writeUInt16BE(step, 4);
  return prefix;
}

/** The first key after every key of a step. */
export function afterStep(slot: number, step: number): Buffer {
  return stepPrefix(slot, step + 1);
}

export function stateKey(slot: number, step: number, key: string): Buffer {
  const length = Buffer.byteLength(key);
  const hashed = length > KEY_BYTES_MAX;
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + 1 + (hashed ? 32 : length));
  bytes.writeUInt32BE(slot, 0);
  bytes.writeUInt16BE(step, 4);
  bytes[PREFIX_BYTES] = hashed ? KIND_HASHED : KIND_PLAIN;
  if (hashed)
    createHash('sha256')
      .update(key)
      .digest()
      .copy(bytes, PREFIX_BYTES + 1);
  else bytes.write(key, PREFIX_BYTES + 1, length, 'utf8');
  return bytes;
}

export function encodeState(key: string, value: unknown): Buffer {
  const hashed = key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX;
  const content = hashed ? [key, value] : value;
  const v8 = changesInMessagePack(value);
  const packed = v8 ? serialize(content) : packr.pack(content);
  const bytes = Buffer.allocUnsafe(packed.length + 2);
  bytes[0] = STATE_FORMAT;
  bytes[1] = (hashed ? FLAG_HASHED_KEY : 0) | (v8 ? FLAG_V8 : 0);
  bytes.set(packed, 2);
  return bytes;
}

export function decodeState(bytes: Buffer): unknown {
  const content = decodeContent(bytes);
  return isHashed(bytes) ? (content as [string, unknown])[1] : content;
}

/** `storedKey` is the LMDB key, prefix included. */
export function decodeEntry(storedKey: Buffer, bytes: Buffer): [string, unknown] {
  const content = decodeContent(bytes);
  if (isHashed(bytes)) return content as [string, unknown];
  return [storedKey.toString('utf8', PREFIX_BYTES + 1), content];
}

function isHashed(bytes: Buffer): boolean {
  return ((bytes[1] ?? 0) & FLAG_HASHED_KEY) !== 0;
}

function decodeContent(bytes: Buffer): unknown {
  if (bytes[0] !== STATE_FORMAT) {
    throw new RunnelError('state_format_newer', `a state value has format ${bytes[0] ?? 'none'}`, {
      hint: 'This data was written by a newer agent; run that version, or a new data directory.',
    });
  }
  const content = bytes.subarray(2);
  return ((bytes[1] ?? 0) & FLAG_V8) === 0 ? packr.unpack(content) : deserialize(content);
}

function changesInMessagePack(value: unknown): boolean {
  if (typeof value === 'number') return Object.is(value, -0);
  if (typeof value === 'string') return !value.isWellFormed();
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (changesInMessagePack(item)) return true;
    return false;
  }
  for (const field in value) {
    if (field === '__proto__' || !field.isWellFormed()) return true;
    if (changesInMessagePack((value as Record<string, unknown>)[field])) return true;
  }
  return false;
}
