/**
 * One file that is being read from its front: which file it is, and how far it was read.
 *
 * Identity is device and inode, and a CRC of the file's first bytes, because a file system hands
 * out the inode of a deleted file again.
 */
import { type FileHandle, open, opendir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';

/** Kept in the checkpoint; version 1. */
export interface FileOffset {
  readonly v: 1;
  readonly device: string;
  readonly inode: string;
  /** Everything before is committed. */
  readonly bytes: number;
  /** CRC-32 of the first `headBytes` bytes. */
  readonly headBytes: number;
  readonly headCrc: number;
}

const HEAD_BYTES_MAX = 256;
const READ_BYTES = 64 * 1024;
/** Entries of a directory that are searched for a renamed file. */
const SEARCH_MAX = 1000;

export class TailFile {
  readonly device: string;
  readonly inode: string;
  position = 0;
  readonly #handle: FileHandle;
  #head = { bytes: 0, crc: 0 };

  private constructor(handle: FileHandle, device: string, inode: string) {
    this.#handle = handle;
    this.device = device;
    this.inode = inode;
  }

  /** Null when there is no such file. */
  static async open(path: string): Promise<TailFile | null> {
    const handle = await open(path, 'r').catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
    if (handle === null) return null;
    const { dev, ino } = await handle.stat({ bigint: true });
    return new TailFile(handle, String(dev), String(ino));
  }

  /** The file of this offset, though it has another name now (rotated while nobody looked). */
  static async openRenamed(path: string, offset: FileOffset): Promise<TailFile | null> {
    const folder = dirname(path);
    let looked = 0;
    for await (const entry of await opendir(folder)) {
      looked += 1;
      if (looked > SEARCH_MAX) break;
      if (!entry.isFile()) continue;
      const other = join(folder, entry.name);
      // Gone since it was listed, or not ours to look at: it is another file then.
      const found = await stat(other, { bigint: true }).catch(() => null);
      if (found === null || String(found.ino) !== offset.inode) continue;
      const file = await TailFile.open(other);
      if (file !== null && (await file.is(offset))) return file;
      await file?.close();
    }
    return null;
  }

  /** Whether this is the very file of the offset, and still as long. */
  async is(offset: FileOffset): Promise<boolean> {
    if (offset.device !== this.device || offset.inode !== this.inode) return false;
    if ((await this.size()) < offset.bytes) return false;
    return (await this.#headCrc(offset.headBytes)) === offset.headCrc;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  /** The next bytes, or null at the end. */
  async read(): Promise<Buffer | null> {
    const left = (await this.size()) - this.position;
    if (left <= 0) return null;
    const buffer = Buffer.allocUnsafe(Math.min(left, READ_BYTES));
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.position);
    if (bytesRead === 0) return null;
    if (this.#head.bytes < HEAD_BYTES_MAX) await this.prepare();
    this.position += bytesRead;
    return buffer.subarray(0, bytesRead);
  }

  /** Whether the byte before `position` ends a line. */
  async atLineStart(): Promise<boolean> {
    if (this.position === 0) return true;
    const { buffer } = await this.#handle.read(Buffer.alloc(1), 0, 1, this.position - 1);
    return buffer[0] === 10;
  }

  offsetAt(bytes: number): FileOffset {
    const { device, inode } = this;
    return { v: 1, device, inode, bytes, headBytes: this.#head.bytes, headCrc: this.#head.crc };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Takes the file's first bytes as its mark; again after it was cut short. */
  async prepare(): Promise<void> {
    const bytes = Math.min(HEAD_BYTES_MAX, await this.size());
    this.#head = { bytes, crc: await this.#headCrc(bytes) };
  }

  async #headCrc(bytes: number): Promise<number> {
    const head = Buffer.alloc(bytes);
    const { bytesRead } = await this.#handle.read(head, 0, bytes, 0);
    return crc32(head.subarray(0, bytesRead));
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
