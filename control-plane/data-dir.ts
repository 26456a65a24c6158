/**
 * The control plane's data directory.
 *
 *   store.db       everything that is kept (store/)
 *   keys/          private keys (identity/)
 *   nats/          the nats-server child's own (nats/)
 *   admin-token    the first admin's bearer token, mode 0600
 *   server.json    where the running server listens, for `sign-in-link`
 *   lock           held while a server runs
 *
 * One server per directory: the lock is an exclusive transaction on a small database, so the
 * operating system itself lets it go when the process dies, however it dies. A stale one cannot
 * be left behind, and none can be taken over by mistake.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { Random } from '@runnel/shared/random.ts';
import { z } from 'zod';
import { writePrivateFile } from './identity/private-file.ts';

const serverFile = z.object({ pid: z.number().int(), url: z.string() });
export type ServerFile = z.infer<typeof serverFile>;

export class DataDir {
  readonly path: string;
  readonly #lock: Database.Database;

  /** Makes the directory when it is not there. Errors: `data_dir_locked`, `data_dir`. */
  static async take(path: string): Promise<DataDir> {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new RunnelError('data_dir', `cannot make ${path}: ${messageOf(cause)}`, { cause });
    }
    return new DataDir(path, await lockIn(path));
  }

  private constructor(path: string, lock: Database.Database) {
    this.path = path;
    this.#lock = lock;
  }

  get store(): string {
    return storePath(this.path);
  }

  get keys(): string {
    return keysPath(this.path);
  }

  get nats(): string {
    return join(this.path, 'nats');
  }

  get adminToken(): string {
    return adminTokenPath(this.path);
  }

  /** Whoever asks next for the server of this directory finds it here. */
  async writeServer(server: ServerFile, random: Random): Promise<void> {
    await writePrivateFile(serverPath(this.path), `${JSON.stringify(server)}\n`, random);
  }

  async release(): Promise<void> {
    await rm(serverPath(this.path), { force: true });
    this.#lock.exec('ROLLBACK');
    this.#lock.close();
  }
}

async function lockIn(path: string): Promise<Database.Database> {
  const file = join(path, 'lock');
  let lock: Database.Database | undefined;
  try {
    lock = new Database(file);
    lock.exec('PRAGMA busy_timeout = 0');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock?.close();
    if (!/lock|busy/i.test(messageOf(cause))) {
      throw new RunnelError('data_dir', `cannot use ${file}: ${messageOf(cause)}`, { cause });
    }
    const holder = await readServer(path);
    const who = holder === undefined ? 'another process' : `process ${holder.pid} (${holder.url})`;
    throw new RunnelError('data_dir_locked', `${path} is in use by ${who}`, {
      cause,
      hint: 'end it first, or choose another directory with --data DIR',
    });
  }
}

export function storePath(dir: string): string {
  return join(dir, 'store.db');
}

export function keysPath(dir: string): string {
  return join(dir, 'keys');
}

export function adminTokenPath(dir: string): string {
  return join(dir, 'admin-token');
}

const serverPath = (dir: string): string => join(dir, 'server.json');

/** Undefined when no server runs there, or the file is not ours to read. */
export async function readServer(dir: string): Promise<ServerFile | undefined> {
  try {
    return serverFile.parse(JSON.parse(await readFile(serverPath(dir), 'utf8')));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES') return undefined;
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
