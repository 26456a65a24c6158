/**
 * A copy of the open store that follows it: the store goes on while the copy is made and verified.
 *
 * `write` walks through the store in order, a chunk a transaction. Keys of every commit meanwhile
 * are noted when the commit has ended, whichever way; `catchUp` writes what the store holds under
 * them then. Noting too many keys costs time and nothing else, so it does not matter on which side
 * of the walk a commit fell. Between two cycles of commits a last `catchUp` makes both the same.
 *
 * Why not LMDB's own compacting copy (`backup`): with lmdb 3.5.6 a commit that is the first in such
 * a copy and removes much fails (`MDB_BAD_VALSIZE`) or ends the process (an assertion of
 * mdb_page_alloc; kriszyp/lmdb-js#198), it keeps the store's free pages from being used, and
 * nothing can stop it.
 *
 * Bound: `KEYS_MAX` noted keys; beyond it `catchUp` throws `compact_busy`.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { StoreKey } from './checkpoint-store.ts';
import { type Environment, openEnvironment } from './lmdb-environment.ts';
import type { DbName } from './store-layout.ts';

export interface StoreCopy {
  /**
   * Writes everything that the store held when it began, on disk when it resolves. Once, and before
   * anything else. Throws the reason of the signal.
   */
  write(signal: AbortSignal): Promise<void>;
  /**
   * Writes what was committed meanwhile, on disk when it resolves; returns how many keys that were.
   * Throws `compact_busy`.
   */
  catchUp(): Promise<number>;
  /**
   * Has `move` give the copy the store's place on disk; the store goes on with it. When `move`
   * throws, the store goes on with what it had. Throws `invariant_broken` when something was
   * committed since the last `catchUp`; no commit may be under way.
   */
  replace(move: () => void): void;
  /** Ends what is under way; no more is noted. The files are the caller's. Any time, also twice. */
  close(): Promise<void>;
}

export interface Change {
  readonly db: DbName;
  readonly key: StoreKey;
}

/** Without a value it is removed. */
interface Entry extends Change {
  readonly value: Buffer | undefined;
}

interface StoreCopyOptions {
  readonly dir: string;
  readonly bytesMax: number;
  /** The store's own. */
  readonly source: () => Environment;
  readonly take: (copy: Environment) => void;
  readonly closed: () => void;
}

/** Some 40 MB of memory. */
const KEYS_MAX = 200_000;
/** One transaction: the event loop runs and commits are made between two. */
const CHUNK_BYTES = 1024 * 1024;
/** What a key costs beside its value, so that small ones are bounded too. */
const ENTRY_BYTES = 1024;

export class LmdbStoreCopy implements StoreCopy {
  readonly #options: StoreCopyOptions;
  #noted = new Map<string, Change>();
  #tooMany = false;
  #working: Promise<unknown> = Promise.resolve();
  #environment: Environment | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: StoreCopyOptions) {
    this.#options = options;
  }

  /** A commit of these keys has ended. */
  note(changes: readonly Change[]): void {
    if (this.#tooMany) return;
    for (const { db, key } of changes) {
      const isBinary = key instanceof Uint8Array;
      const name = isBinary ? Buffer.from(key).toString('latin1') : JSON.stringify(key);
      this.#noted.set(`${db} ${name}`, { db, key: kept(key) });
    }
    if (this.#noted.size <= KEYS_MAX) return;
    this.#tooMany = true;
    this.#noted.clear();
  }

  async write(signal: AbortSignal): Promise<void> {
    await this.#alone((copy) => this.#write(copy, signal));
  }

  async catchUp(): Promise<number> {
    if (this.#tooMany) {
      throw new RunnelError('compact_busy', `more than ${KEYS_MAX} keys changed meanwhile`, {
        retry: 'backoff',
        hint: 'Schedule it when less comes in.',
      });
    }
    const noted = [...this.#noted.values()];
    this.#noted = new Map();
    await this.#alone((copy) => this.#catchUp(copy, noted));
    return noted.length;
  }

  replace(move: () => void): void {
    const environment = this.#environment;
    if (environment === undefined || this.#tooMany || this.#noted.size > 0) {
      throw new RunnelError('invariant_broken', 'the copy of the store is behind it');
    }
    move();
    this.#environment = undefined;
    this.#options.take(environment);
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  /** `close` waits for it. */
  async #alone(work: (copy: Environment) => Promise<void>): Promise<void> {
    this.#assertOpen();
    const { bytesMax, dir } = this.#options;
    this.#environment ??= openEnvironment(dir, bytesMax);
    const working = work(this.#environment);
    this.#working = Promise.allSettled([working]);
    await working;
  }

  async #write(copy: Environment, signal: AbortSignal): Promise<void> {
    const source = this.#options.source();
    for (const db of Object.keys(source.dbs) as DbName[]) {
      let after: StoreKey | undefined;
      for (;;) {
        signal.throwIfAborted();
        this.#assertOpen();
        const chunk = chunkBehind(source, db, after);
        const last = chunk.at(-1);
        if (last === undefined) break;
        await put(copy, chunk);
        after = last.key;
      }
    }
  }

  async #catchUp(copy: Environment, noted: readonly Change[]): Promise<void> {
    const { dbs } = this.#options.source();
    for (let at = 0; at < noted.length;) {
      this.#assertOpen();
      const chunk: Entry[] = [];
      for (let bytes = 0; at < noted.length && bytes < CHUNK_BYTES; at += 1) {
        const { db, key } = noted[at]!;
        const value = dbs[db].getBinary(key as string);
        chunk.push({ db, key, value });
        bytes += (value?.length ?? 0) + ENTRY_BYTES;
      }
      await put(copy, chunk);
    }
  }

  #assertOpen(): void {
    if (this.#closing === undefined) return;
    throw new RunnelError('agent_closing', 'the store is being closed', { retry: 'backoff' });
  }

  async #close(): Promise<void> {
    await this.#working;
    this.#noted.clear();
    await this.#environment?.root.close();
    this.#environment = undefined;
    this.#options.closed();
  }
}

/** What the source holds behind a key, as much as goes into one transaction. */
function chunkBehind({ dbs }: Environment, db: DbName, after: StoreKey | undefined): Entry[] {
  const start = after === undefined ? {} : { start: after as string, exclusiveStart: true };
  const chunk: Entry[] = [];
  let bytes = 0;
  for (const { key, value } of dbs[db].getRange({ ...start, snapshot: false })) {
    chunk.push({ db, key: kept(key), value: Buffer.from(value) });
    bytes += value.length + ENTRY_BYTES;
    if (bytes >= CHUNK_BYTES) break;
  }
  return chunk;
}

async function put({ root, dbs }: Environment, chunk: readonly Entry[]): Promise<void> {
  await root.batch(() => {
    for (const { db, key, value } of chunk) {
      // The promises belong to the batch, which is awaited; these never reject by themselves.
      if (value === undefined) void dbs[db].remove(key as string);
      else void dbs[db].put(key as string, value);
    }
  });
}

/** Binary keys may change when whoever gave them goes on. */
function kept(key: StoreKey): StoreKey {
  return key instanceof Uint8Array ? Buffer.from(key) : key;
}
