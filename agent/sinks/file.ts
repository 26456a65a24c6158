/**
 * The `file` sink: one JSON line per output, exactly once.
 *
 * Guarantees: `deliver` returns after fdatasync, with the file's length as the state to commit;
 * `open` cuts the file back to the committed length, so that lines of a delivery whose commit did
 * not reach the disk are gone before they come again. The first delivery has no committed length:
 * a small file beside it (`<path>.runnel-base`) holds the length from before, made durable first.
 *
 * A file that was rotated (renamed, removed) is made anew, and its lines stay where they went. One
 * that was cut short by hand is continued at its end. Two sinks on one file would cut each other's
 * lines off: the second is refused.
 */
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import type { DeliveryRow, Sink, SinkContext } from './sink.ts';

/** Kept with the sink's mark. */
interface FileSinkState {
  readonly v: 1;
  readonly device: string;
  readonly inode: string;
  readonly bytes: number;
}

/** Paths that a sink of this process has open. */
export type PathClaims = Set<string>;

interface Open {
  readonly handle: FileHandle;
  readonly device: string;
  readonly inode: string;
}

export class FileSink implements Sink {
  readonly kind = 'file';
  readonly #path: string;
  readonly #claims: PathClaims;
  #claimed: string | null = null;
  #file: Open | null = null;
  /** Of the file that `#bytes` is about. */
  #inode = '';
  /** Length that is ours, before and after the delivery that was returned last. */
  #before = 0;
  #bytes = 0;
  #lastIds: ReadonlySet<string> = new Set();
  #hasBase = false;

  constructor(path: string, claims: PathClaims) {
    this.#path = path;
    this.#claims = claims;
  }

  async open(context: SinkContext): Promise<void> {
    const path = isAbsolute(this.#path) ? this.#path : join(context.dataDir, this.#path);
    this.#claim(path);
    try {
      await mkdir(dirname(path), { recursive: true });
      await this.#recover(path, context.state as FileSinkState | null);
    } catch (error) {
      await this.close();
      throw failure(path, error);
    }
  }

  async deliver(rows: readonly DeliveryRow[]): Promise<unknown> {
    const path = this.#claimed;
    if (path === null) {
      throw new RunnelError('sink_closed', 'the file sink is not open', { retry: 'reconnect' });
    }
    try {
      const again = rows.some((row) => this.#lastIds.has(row.id));
      if (again) this.#bytes = this.#before;
      else if (this.#lastIds.size > 0) await this.#dropBase(path);
      const { handle, device, inode } = await this.#current(path);
      const lines = Buffer.from(rows.map((row) => `${outputLine(row.output)}\n`).join(''));
      await this.#cut(handle);
      await writeAll(handle, lines, this.#bytes);
      await handle.datasync();
      this.#before = this.#bytes;
      this.#bytes += lines.length;
      this.#lastIds = new Set(rows.map((row) => row.id));
      const state: FileSinkState = { v: 1, device, inode, bytes: this.#bytes };
      return state;
    } catch (error) {
      throw failure(path, error);
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (this.#claimed !== null) this.#claims.delete(this.#claimed);
    this.#claimed = null;
    this.#lastIds = new Set();
    await file?.handle.close();
  }

  #claim(path: string): void {
    if (this.#claimed === path) return;
    if (this.#claims.has(path)) {
      throw new RunnelError('sink_path_taken', `another sink writes to ${path}`, {
        retry: 'backoff',
        hint: 'give each file sink a path of its own',
      });
    }
    this.#claims.add(path);
    this.#claimed = path;
  }

  async #recover(path: string, state: FileSinkState | null): Promise<void> {
    const file = await openFile(path);
    this.#file = file;
    this.#inode = file.inode;
    const { size } = await file.handle.stat();
    const mine = state !== null && file.device === state.device && file.inode === state.inode;
    if (state === null) {
      this.#bytes = await this.#base(path, size);
    } else {
      // Another file than the committed one: whatever it holds, the committed lines are not in it.
      this.#bytes = mine ? Math.min(state.bytes, size) : 0;
      this.#hasBase = true;
      await this.#dropBase(path);
      if (!mine && size > 0) this.#bytes = size;
    }
    this.#before = this.#bytes;
    this.#lastIds = new Set();
    await this.#cut(file.handle);
    await file.handle.datasync();
  }

  /** The length from before the first delivery: stored once, found again after a crash. */
  async #base(path: string, size: number): Promise<number> {
    this.#hasBase = true;
    const stored = await readFile(basePath(path), 'utf8').catch(() => null);
    const known = stored === null ? Number.NaN : Number.parseInt(stored, 10);
    if (Number.isSafeInteger(known) && known >= 0 && known <= size) return known;
    const temporary = `${basePath(path)}.new`;
    const handle = await open(temporary, 'w');
    await handle.writeFile(`${size}\n`);
    await handle.datasync();
    await handle.close();
    await rename(temporary, basePath(path));
    await syncDirectory(dirname(path));
    return size;
  }

  async #dropBase(path: string): Promise<void> {
    if (!this.#hasBase) return;
    this.#hasBase = false;
    await rm(basePath(path), { force: true });
  }

  /** The open file, or a new one when its name now belongs to another or to none. */
  async #current(path: string): Promise<Open> {
    const file = this.#file;
    const named = await stat(path, { bigint: true }).catch(() => null);
    if (file !== null && named !== null) {
      if (String(named.dev) === file.device && String(named.ino) === file.inode) return file;
    }
    this.#file = null;
    await file?.handle.close();
    await mkdir(dirname(path), { recursive: true });
    const next = await openFile(path);
    this.#file = next;
    // One that was away and is back has the length that we know; another has the length it has.
    if (next.inode !== this.#inode) this.#bytes = (await next.handle.stat()).size;
    this.#inode = next.inode;
    return next;
  }

  /** Takes back what a failed or uncommitted delivery left behind. */
  async #cut(handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    if (size > this.#bytes) await handle.truncate(this.#bytes);
    else if (size < this.#bytes) this.#bytes = size;
  }
}

async function openFile(path: string): Promise<Open> {
  const existed = await stat(path).catch(() => null);
  // Not 'a': on Linux an append handle ignores the position, and the length is ours to choose.
  const handle = await open(path, existed === null ? 'wx+' : 'r+', 0o640);
  if (existed === null) await syncDirectory(dirname(path));
  const { dev, ino } = await handle.stat({ bigint: true });
  return { handle, device: String(dev), inode: String(ino) };
}

/** A new name is durable when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

const basePath = (path: string): string => `${path}.runnel-base`;

function failure(path: string, error: unknown): RunnelError {
  if (error instanceof RunnelError) return error;
  return new RunnelError('sink_file', `cannot write ${path}: ${messageOf(error)}`, {
    retry: 'backoff',
    cause: error,
  });
}
