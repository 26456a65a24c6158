/**
 * Gives the disk back what the store no longer needs: LMDB reuses free pages, but its file never
 * shrinks.
 *
 * Within the commit cycle's `exclusive`, so that nothing is written meanwhile and sources wait:
 * the store is copied without its free pages, the copy is synced and read through in a process of
 * its own, then it takes the place of the store (compaction-files.ts: what a crash leaves), and the
 * process goes on with it. Readers notice nothing: both hold the same.
 *
 * Refused as `compact_no_room` when the disk has no room for the copy. Whatever fails leaves the
 * store as it was.
 */
import { mkdirSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { ReplaceableStore } from './checkpoint-store.ts';
import { type CompactionFiles, compactionFiles, syncPath } from './compaction-files.ts';
import { findDamage } from './recover-store.ts';

/** In order; a crash behind each is a row of the table in compaction-files.ts. */
export const COMPACT_STEPS = [
  'begun',
  'copied',
  'synced',
  'verified',
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
}

/** Left to everything else on the disk. */
const ROOM_BYTES = 4 * 1024 * 1024;

export class StoreCompaction {
  readonly #options: StoreCareOptions;
  readonly #files: CompactionFiles;

  constructor(options: StoreCareOptions) {
    this.#options = options;
    this.#files = compactionFiles(options.dataDir);
  }

  usage(): { readonly fileBytes: number; readonly usedBytes: number } {
    return { fileBytes: bytesOf(this.#files.store), usedBytes: this.#options.store.usedBytes() };
  }

  /** Throws `compact_no_room`, `compact_damaged`; the store goes on in any case. */
  async compact(): Promise<Compaction> {
    return await this.#options.exclusive(() => this.#compact());
  }

  async #compact(): Promise<Compaction> {
    const { copy, replaced, store } = this.#files;
    const bytesBefore = bytesOf(store);
    this.#checkRoom();
    try {
      await this.#copy();
      this.#options.store.replaceWith(copy, () => this.#move());
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
    this.#reached('replaced');
    rmSync(replaced, { recursive: true, force: true });
    this.#reached('removed');
    return { bytesBefore, bytesAfter: bytesOf(store) };
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

  async #copy(): Promise<void> {
    const { copy, dataDir } = this.#files;
    const { clock, store, verifyEntry } = this.#options;
    rmSync(copy, { recursive: true, force: true });
    mkdirSync(copy, { mode: 0o700 });
    this.#reached('begun');
    await store.copyTo(copy);
    this.#reached('copied');
    for (const path of [join(copy, 'data.mdb'), copy, dataDir]) syncPath(path);
    this.#reached('synced');
    const damage = await findDamage(verifyEntry, copy, clock);
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

function bytesOf(dir: string): number {
  return statSync(join(dir, 'data.mdb')).size;
}
