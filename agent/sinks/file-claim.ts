/**
 * Whose a file is, and what its owner is about to write there: kept in the agent's data directory,
 * so that it holds over restarts.
 *
 * Layout, under `.file-sinks/`, named by a hash of the file's real path:
 * `<hash>.claim` is `{v, path, lane}`, replaced whole when the owner changes. A claim holds while
 * its lane is stored, also while the lane's sink is closed.
 * `<hash>.delivery` is `<crc32> {v, device, inode, first, last, from, to}`: the ids of the first
 * and last row of the newest delivery, and the bytes of the file it was given, `[from, to)`.
 * Overwritten in place and on disk before the first of these bytes is written. One that is torn or
 * damaged says nothing: none of its bytes was written, and the delivery before it was committed.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { RunnelError } from '@runnel/shared/errors.ts';
import { parseMessage, versionField } from '@runnel/shared/protocol/version.ts';
import { isMissing, syncDirectory, writeDurably } from '../config/durable-file.ts';
import type { SinkContext } from './sink.ts';

/** Real paths that a sink of this process has open. */
export type PathClaims = Set<string>;

const claimFile = z.object({ v: versionField, path: z.string(), lane: z.string() });
const intent = z.object({
  v: versionField,
  device: z.string(),
  inode: z.string(),
  first: z.string(),
  last: z.string(),
  from: z.int().min(0),
  to: z.int().min(0),
});
/** A delivery, written down before it begins. */
export type DeliveryIntent = Omit<z.infer<typeof intent>, 'v'>;

/** So that it seldom grows: overwriting needs no space, and a disk may be full. */
const BYTES_MIN = 1024;

export class FileClaim {
  readonly #path: string;
  readonly #claims: PathClaims;
  readonly #handle: FileHandle;
  #newest: DeliveryIntent | null;
  /** At least as long as ever: what is overwritten must not stick out. */
  #length: number;

  private constructor(path: string, claims: PathClaims, handle: FileHandle, text: string) {
    this.#path = path;
    this.#claims = claims;
    this.#handle = handle;
    this.#newest = decode(text);
    this.#length = Math.max(BYTES_MIN, Buffer.byteLength(text));
  }

  /** `path` is real: no other name leads to this file. Errors: `sink_path_taken`. */
  static async take(path: string, claims: PathClaims, context: SinkContext): Promise<FileClaim> {
    if (claims.has(path)) throw taken(path, 'another sink');
    claims.add(path);
    try {
      const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
      const base = join(context.dataDir, '.file-sinks', name);
      const { lane, isLane } = context;
      const owner = await ownerOf(`${base}.claim`);
      if (owner !== null && owner !== lane && isLane(owner)) throw taken(path, owner);
      if (owner !== lane) {
        await writeDurably(`${base}.claim`, `${JSON.stringify({ v: 1, path, lane })}\n`);
      }
      const handle = await openDurably(`${base}.delivery`);
      return new FileClaim(path, claims, handle, await handle.readFile('utf8'));
    } catch (error) {
      claims.delete(path);
      throw error;
    }
  }

  /** The newest delivery, committed or not; null before the first. */
  get newest(): DeliveryIntent | null {
    return this.#newest;
  }

  /** Resolves when it is on disk. */
  async intend(delivery: DeliveryIntent): Promise<void> {
    const json = JSON.stringify({ v: 1, ...delivery });
    const bytes = Buffer.from(`${crc32(json)} ${json}`.padEnd(this.#length));
    const { bytesWritten } = await this.#handle.write(bytes, 0, bytes.length, 0);
    if (bytesWritten < bytes.length) throw new Error('no space left for the delivery');
    await this.#handle.datasync();
    this.#length = bytes.length;
    this.#newest = delivery;
  }

  /** Lets others open the file in this process; whose it is stays as it is. */
  async release(): Promise<void> {
    await this.#handle.close();
    this.#claims.delete(this.#path);
  }
}

function taken(path: string, owner: string): RunnelError {
  return new RunnelError('sink_path_taken', `${path} belongs to ${owner}`, {
    retry: 'backoff',
    hint: 'give each file sink a path of its own',
  });
}

/** A claim that cannot be read is nobody's: the delivery beside it still protects the file. */
async function ownerOf(path: string): Promise<string | null> {
  try {
    return parseMessage(claimFile, JSON.parse(await readFile(path, 'utf8'))).lane;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return null;
    throw error;
  }
}

async function openDurably(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, 'wx+', 0o640);
  await syncDirectory(dirname(path));
  return handle;
}

function decode(text: string): DeliveryIntent | null {
  const cut = text.indexOf(' ');
  const json = text.slice(cut + 1).trimEnd();
  if (cut < 0 || text.slice(0, cut) !== String(crc32(json))) return null;
  return parseMessage(intent, JSON.parse(json));
}
