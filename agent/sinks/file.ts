/**
 * The `file` sink: one JSON line per output, exactly once.
 *
 * Guarantees: `deliver` returns after fdatasync; what a delivery is about to write is on disk
 * before it (file-claim.ts). A delivery that was not committed comes again: its rows are known by
 * their ids and its bytes are cut off first. Nothing else is ever cut: where more than that is at
 * the end of the file (another program wrote there), the rows go behind it, and a warning says that
 * they may be there twice.
 *
 * A file that was rotated (renamed, removed) is made anew, and its lines stay where they went. One
 * that was cut short by hand is continued at its end. A file belongs to one sink for as long as its
 * job has that sink or rows wait for it, restarts included: a second one is refused.
 */
import { type FileHandle, mkdir, open, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Logger } from 'pino';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import { syncDirectory } from '../config/durable-file.ts';
import { type DeliveryIntent, FileClaim, type PathClaims } from './file-claim.ts';
import type { DeliveryRow, Sink, SinkContext } from './sink.ts';

interface Open {
  readonly handle: FileHandle;
  readonly device: string;
  readonly inode: string;
}

export class FileSink implements Sink {
  readonly kind = 'file';
  readonly #path: string;
  readonly #claims: PathClaims;
  #target = '';
  #log: Logger | null = null;
  #claim: FileClaim | null = null;
  #file: Open | null = null;

  constructor(path: string, claims: PathClaims) {
    this.#path = path;
    this.#claims = claims;
  }

  async open(context: SinkContext): Promise<void> {
    const path = resolve(context.dataDir, this.#path);
    this.#target = path;
    this.#log = context.log;
    try {
      await mkdir(dirname(path), { recursive: true });
      this.#file = await openFile(path);
      this.#claim = await FileClaim.take(await realpath(path), this.#claims, context);
    } catch (error) {
      await this.close();
      throw failure(path, error);
    }
  }

  async deliver(rows: readonly DeliveryRow[]): Promise<unknown> {
    const claim = this.#claim;
    if (claim === null) {
      throw new RunnelError('sink_closed', 'the file sink is not open', { retry: 'reconnect' });
    }
    try {
      const { handle, device, inode } = await this.#current();
      const lines = Buffer.from(rows.map((row) => `${outputLine(row.output)}\n`).join(''));
      const { size } = await handle.stat();
      const from = this.#start(claim.newest, { device, inode }, size, rows);
      const [first = '', last = ''] = [rows[0]?.id, rows.at(-1)?.id];
      await claim.intend({ device, inode, first, last, from, to: from + lines.length });
      if (size > from) await handle.truncate(from);
      await writeAll(handle, lines, from);
      await handle.datasync();
      // The delivery is known by its rows: there is nothing to commit with the mark.
      return null;
    } catch (error) {
      throw failure(this.#target, error);
    }
  }

  async close(): Promise<void> {
    const [file, claim] = [this.#file, this.#claim];
    this.#file = null;
    this.#claim = null;
    await claim?.release();
    await file?.handle.close();
  }

  /** Where these rows go: over their own earlier delivery, else to the end. */
  #start(
    newest: DeliveryIntent | null,
    file: Omit<Open, 'handle'>,
    size: number,
    rows: readonly DeliveryRow[],
  ): number {
    if (newest === null || !rows.some(({ id }) => id === newest.first || id === newest.last)) {
      return size;
    }
    const { device, inode, from, to } = newest;
    if (device === file.device && inode === file.inode && size <= to) return Math.min(from, size);
    if (size > 0) {
      const path = this.#target;
      this.#log?.warn(
        { path, size, expected: to },
        'file was changed by others; rows may be twice',
      );
    }
    return size;
  }

  /** The open file, or a new one when its name now belongs to another or to none. */
  async #current(): Promise<Open> {
    const path = this.#target;
    const file = this.#file;
    // Whatever is wrong with the name, opening it says so.
    const named = await stat(path, { bigint: true }).catch(() => null);
    if (file !== null && named !== null) {
      if (String(named.dev) === file.device && String(named.ino) === file.inode) return file;
    }
    this.#file = null;
    await file?.handle.close();
    await mkdir(dirname(path), { recursive: true });
    const next = await openFile(path);
    this.#file = next;
    return next;
  }
}

async function openFile(path: string): Promise<Open> {
  // What is there and cannot be looked at cannot be made anew either: 'wx+' fails.
  const existed = await stat(path).catch(() => null);
  // Not 'a': on Linux an append handle ignores the position, and the length is ours to choose.
  const handle = await open(path, existed === null ? 'wx+' : 'r+', 0o640);
  if (existed === null) await syncDirectory(dirname(path));
  const { dev, ino } = await handle.stat({ bigint: true });
  return { handle, device: String(dev), inode: String(ino) };
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

function failure(path: string, error: unknown): RunnelError {
  if (error instanceof RunnelError) return error;
  return new RunnelError('sink_file', `cannot write ${path}: ${messageOf(error)}`, {
    retry: 'backoff',
    cause: error,
  });
}
