/**
 * The body of a message: JSON, gzipped when it starts with gzip's magic. Decompression is bounded,
 * so that a few kilobytes cannot become gigabytes.
 */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';

const inflate = promisify(gunzip);

/** Errors: `message_too_large`, `message_malformed`. */
export async function readBody(
  data: Uint8Array,
  bytesMax: number = limits.natsPayloadBytesMax,
): Promise<{ readonly value: unknown; readonly bytes: number }> {
  const plain = data[0] === 0x1f && data[1] === 0x8b ? await unpack(data, bytesMax) : data;
  if (plain.byteLength > bytesMax) throw tooLarge(bytesMax);
  try {
    const text = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength).toString('utf8');
    return { value: JSON.parse(text), bytes: plain.byteLength };
  } catch (cause) {
    throw new RunnelError('message_malformed', 'the message is not JSON', { cause });
  }
}

async function unpack(data: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  try {
    return await inflate(data, { maxOutputLength: bytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax);
    throw new RunnelError('message_malformed', 'the message is not whole gzip', { cause });
  }
}

function tooLarge(bytesMax: number): RunnelError {
  return new RunnelError('message_too_large', `the message holds more than ${bytesMax} bytes`);
}
