/**
 * The agent's one durable store: everything that a commit cycle changes goes into one transaction
 * of one LMDB environment (`DIR/store`), and `commit` resolves only when that is on disk.
 *
 * Measured with lmdb 3.5.6 (strace): with `overlappingSync: false` the writing thread does
 * pwrite of the pages → fdatasync → pwrite of the meta page through an O_DSYNC descriptor, and
 * only then is the promise of `batch` resolved. `overlappingSync: true` writes the meta page twice
 * and needs `flushed`, which never settles after a failed commit; `transactionSync` blocks the
 * event loop for the length of the fdatasync. So: `batch`, no overlapping.
 *
 * What LMDB's binding does not do, and this file does:
 * - A callback that throws does not roll back: operations are collected first, written after.
 * - `mapSize` is no bound (the map grows by itself): the disk budget is checked here, and a commit
 *   beyond it is refused as `storage_full` before anything is written.
 * - A full disk comes out as EIO with a second rejecting promise (`commitError`): both are caught
 *   here and told apart by the space that is left.
 *
 * Values handed to `put` must not change until `commit` has settled: they are read by the writing
 * thread. Crash outcomes: a commit is there wholly or not at all. A truncated or damaged file kills
 * the process that reads it; recover-store.ts keeps that away from the agent.
 */
import { statfsSync } from 'node:fs';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { type Environment, openEnvironment } from './lmdb-environment.ts';
import { LmdbStoreCopy, type StoreCopy } from './store-copy.ts';
import type { DbName } from './store-layout.ts';

export type StoreKey = number | string | readonly (number | string)[] | Uint8Array;

export interface StoreTx {
  put(db: DbName, key: StoreKey, value: Uint8Array): void;
  remove(db: DbName, key: StoreKey): void;
}

export interface StoreEntry {
  readonly key: StoreKey;
  readonly value: Buffer;
}

/** `[start, end)` in key order; with `reverse` from `start` down to but not including `end`. */
export interface StoreRange {
  readonly start?: StoreKey;
  readonly end?: StoreKey;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface CommitReceipt {
  /** Bytes of keys and values handed to the store. */
  readonly bytes: number;
  /** From the hand-over to the flush. */
  readonly flushMs: number;
}

export interface CheckpointStore {
  /** Reads what is committed; a copy that the caller may keep. */
  get(db: DbName, key: StoreKey): Buffer | undefined;
  /**
   * What `use` makes of the value, undefined where there is none. The bytes are those of a buffer
   * that the next reading fills again: `use` keeps none of them and reads nothing else. Of a long
   * scan `get` would leave its copies to the garbage collector, some 60 MiB of them at a time.
   */
  read<T>(db: DbName, key: StoreKey, use: (bytes: Buffer) => T): T | undefined;
  has(db: DbName, key: StoreKey): boolean;
  range(db: DbName, range: StoreRange): Iterable<StoreEntry>;
  keys(db: DbName, range: StoreRange): Iterable<StoreKey>;
  /**
   * Everything that `write` does, in one transaction, on disk when it resolves. Rejects with
   * `storage_full` or `storage_write_failed`, and then nothing of it is there. A throw in `write`
   * rejects and writes nothing. Commits are applied in the order of the calls.
   */
  commit(write: (tx: StoreTx) => void): Promise<CommitReceipt>;
  /** Pages in use, in bytes: what counts against the disk budget; of one database, or of all. */
  usedBytes(db?: DbName): number;
  close(): Promise<void>;
}

/** A store whose file can be replaced by a copy of it while it is open (compact-store.ts). */
export interface ReplaceableStore extends CheckpointStore {
  /**
   * A copy to be made in `dir` while the store goes on; one at a time. Ranges that are being read
   * when it takes the place of the store are read to their end in the old file, which is closed
   * when the last of them is done.
   */
  copy(dir: string): StoreCopy;
}

export interface CheckpointStoreOptions {
  readonly dir: string;
  /** Disk budget; policy: a commit beyond it is refused as `storage_full`. */
  readonly bytesMax: number;
  readonly monotonicMs: () => number;
}

interface Operation {
  readonly db: DbName;
  readonly key: StoreKey;
  readonly value: Uint8Array | undefined;
}

/** Pages that copy-on-write touches beside the values of a commit. */
const COMMIT_OVERHEAD_BYTES = 64 * 1024;
/** Beyond the disk budget only this much more, for commits that free space. */
const RELIEF_BYTES = 1024 * 1024;

export function openCheckpointStore(options: CheckpointStoreOptions): ReplaceableStore {
  return new LmdbCheckpointStore(options);
}

class LmdbCheckpointStore implements ReplaceableStore {
  readonly #options: CheckpointStoreOptions;
  #environment: Environment;
  #usedEstimate: number;
  /** Closes of environments that were replaced. */
  readonly #closing = new Set<Promise<void>>();
  /** What is committed is noted in it. */
  #copy: LmdbStoreCopy | undefined;

  constructor(options: CheckpointStoreOptions) {
    this.#options = options;
    this.#environment = openEnvironment(options.dir, options.bytesMax);
    this.#usedEstimate = this.usedBytes();
  }

  get #dbs(): Environment['dbs'] {
    return this.#environment.dbs;
  }

  get(db: DbName, key: StoreKey): Buffer | undefined {
    return this.#dbs[db].getBinary(key as string);
  }

  read<T>(db: DbName, key: StoreKey, use: (bytes: Buffer) => T): T | undefined {
    const from = this.#dbs[db];
    const bytes = from.getBinaryFast(key as string);
    if (bytes === undefined) return undefined;
    // It may be longer than the value, whose size the database tells (lmdb/read.js).
    const { lastSize } = from as unknown as { readonly lastSize: number };
    return use(Buffer.from(bytes.buffer, bytes.byteOffset, lastSize));
  }

  has(db: DbName, key: StoreKey): boolean {
    return this.#dbs[db].doesExist(key as string);
  }

  *range(db: DbName, range: StoreRange): Iterable<StoreEntry> {
    const environment = this.#environment;
    const entries = environment.dbs[db].getRange({ ...(range as object), snapshot: false });
    environment.readers += 1;
    try {
      for (const entry of entries) yield { key: entry.key, value: Buffer.from(entry.value) };
    } finally {
      this.#readTo(environment);
    }
  }

  *keys(db: DbName, range: StoreRange): Iterable<StoreKey> {
    const environment = this.#environment;
    const keys = environment.dbs[db].getKeys({ ...(range as object), snapshot: false });
    environment.readers += 1;
    try {
      yield* keys as Iterable<StoreKey>;
    } finally {
      this.#readTo(environment);
    }
  }

  async commit(write: (tx: StoreTx) => void): Promise<CommitReceipt> {
    const operations: Operation[] = [];
    let bytes = 0;
    let putBytes = 0;
    write({
      put: (db, key, value) => {
        operations.push({ db, key, value });
        putBytes += value.length;
        bytes += value.length + 16;
      },
      remove: (db, key) => {
        operations.push({ db, key, value: undefined });
        bytes += 16;
      },
    });
    if (operations.length === 0) return { bytes: 0, flushMs: 0 };
    this.#checkBudget(putBytes);
    const startedMs = this.#options.monotonicMs();
    try {
      await this.#write(operations);
    } finally {
      this.#copy?.note(operations);
    }
    this.#usedEstimate += putBytes + COMMIT_OVERHEAD_BYTES;
    return { bytes, flushMs: this.#options.monotonicMs() - startedMs };
  }

  usedBytes(only?: DbName): number {
    const pages = (db: { getStats(): unknown }): number => {
      const stats = db.getStats() as Record<string, number>;
      return (
        (stats.treeBranchPageCount ?? 0) +
        (stats.treeLeafPageCount ?? 0) +
        (stats.overflowPages ?? 0)
      );
    };
    const { pageSize } = this.#environment.root.getStats() as { pageSize: number };
    if (only !== undefined) return pages(this.#dbs[only]) * pageSize;
    return Object.values(this.#dbs).reduce((sum, db) => sum + pages(db), 2) * pageSize;
  }

  copy(dir: string): StoreCopy {
    if (this.#copy !== undefined) {
      throw new RunnelError('invariant_broken', 'a copy of the store is being made already');
    }
    const copy = new LmdbStoreCopy({
      dir,
      bytesMax: this.#options.bytesMax,
      source: () => this.#environment,
      take: (environment) => this.#take(environment),
      closed: () => (this.#copy = undefined),
    });
    this.#copy = copy;
    return copy;
  }

  async close(): Promise<void> {
    await this.#copy?.close();
    await Promise.all(this.#closing);
    await this.#environment.root.close();
  }

  #take(next: Environment): void {
    const old = this.#environment;
    this.#environment = next;
    this.#usedEstimate = this.usedBytes();
    old.retired = true;
    if (old.readers === 0) this.#close(old);
  }

  #readTo(environment: Environment): void {
    environment.readers -= 1;
    if (environment.retired && environment.readers === 0) this.#close(environment);
  }

  /** Waited for by `close`; there is nothing left to lose in it. */
  #close({ root }: Environment): void {
    const closed = root.close().finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }

  /** Counting pages takes some 50 µs, so it is done only when the estimate meets the budget. */
  #checkBudget(putBytes: number): void {
    const { bytesMax } = this.#options;
    const need = putBytes + COMMIT_OVERHEAD_BYTES;
    if (this.#usedEstimate + need <= bytesMax) return;
    this.#usedEstimate = this.usedBytes();
    const allowed = putBytes < RELIEF_BYTES / 16 ? bytesMax + RELIEF_BYTES : bytesMax;
    if (this.#usedEstimate + need <= allowed) return;
    throw new RunnelError(
      'storage_full',
      `the store holds ${this.#usedEstimate} of ${bytesMax} bytes; ${need} more do not fit`,
      { retry: 'backoff', hint: 'Raise the disk budget or lower what journal and outbox keep.' },
    );
  }

  async #write(operations: readonly Operation[]): Promise<void> {
    try {
      await this.#environment.root.batch(() => {
        for (const { db, key, value } of operations) {
          const target = this.#dbs[db];
          // The promises belong to the batch, which is awaited; these never reject by themselves.
          if (value === undefined) void target.remove(key as string);
          else void target.put(key as string, value as Buffer);
        }
      });
    } catch (error) {
      throw await this.#explain(error);
    }
  }

  async #explain(error: unknown): Promise<RunnelError> {
    let cause = error;
    const { commitError } = error as { commitError?: Promise<unknown> };
    if (commitError !== undefined) {
      try {
        await commitError;
      } catch (inner) {
        cause = inner;
      }
    }
    const disk = statfsSync(this.#options.dir);
    const freeBytes = disk.bavail * disk.bsize;
    const full = freeBytes < COMMIT_OVERHEAD_BYTES * 4 || /ENOSPC|No space/i.test(messageOf(cause));
    return new RunnelError(
      full ? 'storage_full' : 'storage_write_failed',
      full
        ? `the disk under ${this.#options.dir} is full (${freeBytes} bytes left)`
        : `the store could not be written: ${messageOf(cause)}`,
      { retry: 'backoff', cause, fields: { freeBytes } },
    );
  }
}
