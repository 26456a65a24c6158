/**
 * Gives the disk back what the store no longer needs: LMDB reuses free pages, but its file never
 * shrinks.
 *
 * The store is copied without its free pages, the copy is read through in a process of its own,
 * and what is committed meanwhile is written to it too (store-copy.ts): sources, jobs and commits
 * go on. Only the end is within the commit cycle's `exclusive`: the last changes and two renames
 * (compaction-files.ts: what a crash leaves), refused as `compact_busy` when more than
 * `KEYS_LEFT_MAX` keys would have to be written there. Then the process goes on with the copy;
 * readers notice nothing: both hold the same.
 *
 * Refused as `compact_no_room` when the disk has no room for the copy. Whatever fails leaves the
 * store as it was, and so does the signal, up to the renames. Compactions run one after another.
 */
import { mkdirSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { ReplaceableStore } from './checkpoint-store.ts';
import { type CompactionFiles, compactionFiles, syncPath } from './compaction-files.ts';
import { findDamage } from './recover-store.ts';
import type { StoreCopy } from './store-copy.ts';

/** In order; a crash behind each is a row of the table in compaction-files.ts. */
export const COMPACT_STEPS = [
  'begun',
  'copied',
  'synced',
  'verified',
  'caughtUp',
  'aside',
  'renamed',
  'replaced',
  'removed',
] as const;
export type CompactStep = (typeof COMPACT_STEPS)[number];

export interface StoreCareOptions {
  readonly store: ReplaceableStore;
  readonly dataDir: string;
  readonly clock: Clock;
  /** Path of the built verify-store.js. */
  readonly verifyEntry: string;
  /** Runs it between two commit cycles, never two at a time (`CommitCycle.exclusive`). */
  readonly exclusive: <T>(change: () => Promise<T>) => Promise<T>;
  /** For tests that end the process there. */
  readonly onStep?: (step: CompactStep) => void;
}

export interface Compaction {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** How long nothing was taken in. */
  readonly heldMs: number;
}

/** Left to everything else on the disk. */
const ROOM_BYTES = 4 * 1024 * 1024;
/** Written while sources wait: some tens of milliseconds of it. */
const KEYS_LEFT_MAX = 2000;
/** Each round writes what came during the one before: they get shorter, or the device is busy. */
const ROUNDS_MAX = 20;

export class StoreCompaction {
  readonly #options: StoreCareOptions;
  readonly #files: CompactionFiles;
  /** Settles when the last one has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: StoreCareOptions) {
    this.#options = options;
    this.#files = compactionFiles(options.dataDir);
  }

  usage(): { readonly fileBytes: number; readonly usedBytes: number } {
    return { fileBytes: bytesOf(this.#files.store), usedBytes: this.#options.store.usedBytes() };
  }

  /**
   * Throws `compact_no_room`, `compact_damaged`, `compact_busy`, the reason of the signal; the
   * store goes on in any case.
   */
  async compact(signal: AbortSignal): Promise<Compaction> {
    signal.throwIfAborted();
    const compacted = this.#last.then(() => this.#compact(signal));
    this.#last = Promise.allSettled([compacted]);
    return await compacted;
  }

  async #compact(signal: AbortSignal): Promise<Compaction> {
    signal.throwIfAborted();
    const { dataDir, copy: dir, store: storeDir } = this.#files;
    const { clock, exclusive, store } = this.#options;
    const bytesBefore = bytesOf(storeDir);
    this.#checkRoom();
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { mode: 0o700 });
    this.#reached('begun');
    const copy = store.copy(dir);
    let heldMs = 0;
    try {
      await copy.write(signal);
      this.#reached('copied');
      for (const path of [dir, dataDir]) syncPath(path);
      this.#reached('synced');
      await this.#verify(signal);
      await follow(copy, signal);
      await exclusive(async () => {
        const heldFromMs = clock.monotonicMs();
        await this.#replace(copy, signal);
        heldMs = clock.monotonicMs() - heldFromMs;
      });
    } finally {
      await copy.close();
      rmSync(dir, { recursive: true, force: true });
    }
    return { bytesBefore, bytesAfter: bytesOf(storeDir), heldMs };
  }

  /** Nothing else is committed meanwhile. */
  async #replace(copy: StoreCopy, signal: AbortSignal): Promise<void> {
    const { replaced } = this.#files;
    await copy.catchUp();
    this.#reached('caughtUp');
    signal.throwIfAborted();
    copy.replace(() => this.#move());
    this.#reached('replaced');
    rmSync(replaced, { recursive: true, force: true });
    this.#reached('removed');
  }

  #checkRoom(): void {
    const needBytes = this.#options.store.usedBytes() + ROOM_BYTES;
    const disk = statfsSync(this.#files.dataDir);
    const freeBytes = disk.bavail * disk.bsize;
    if (freeBytes >= needBytes) return;
    throw new RunnelError(
      'compact_no_room',
      `a copy of the store needs ${needBytes} bytes, and the disk has ${freeBytes} left`,
      {
        retry: 'backoff',
        hint: 'Purge files or datasets first.',
        fields: { freeBytes, needBytes },
      },
    );
  }

  async #verify(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { clock, verifyEntry } = this.#options;
    const damage = await findDamage(verifyEntry, this.#files.copy, clock, signal);
    if (damage !== undefined) {
      throw new RunnelError('compact_damaged', `the copy of the store cannot be read: ${damage}`, {
        hint: 'The store itself is as it was; look at the disk and its log.',
      });
    }
    this.#reached('verified');
  }

  /** Both renames, each on disk before it counts; undone when one of them fails. */
  #move(): void {
    const { copy, dataDir, replaced, store } = this.#files;
    rmSync(replaced, { recursive: true, force: true });
    renameSync(store, replaced);
    try {
      syncPath(dataDir);
      this.#reached('aside');
      renameSync(copy, store);
      syncPath(dataDir);
      this.#reached('renamed');
    } catch (error) {
      rmSync(store, { recursive: true, force: true });
      renameSync(replaced, store);
      throw error;
    }
  }

  #reached(step: CompactStep): void {
    this.#options.onStep?.(step);
  }
}

/** Until so little is left that sources may wait for it. */
async function follow(copy: StoreCopy, signal: AbortSignal): Promise<void> {
  let keys = Infinity;
  for (let round = 0; keys > KEYS_LEFT_MAX; round += 1) {
    if (round === ROUNDS_MAX) {
      throw new RunnelError('compact_busy', `${keys} keys changed within a round of writing them`, {
        retry: 'backoff',
        hint: 'Schedule it when less comes in.',
      });
    }
    signal.throwIfAborted();
    keys = await copy.catchUp();
  }
}

function bytesOf(dir: string): number {
  return statSync(join(dir, 'data.mdb')).size;
}
