/**
 * The directories of a compaction, and what a start makes of them. Names below the data directory:
 *
 * - `store`: the store.
 * - `store.compact`: a copy of it that is being made; nothing was ever committed to it.
 * - `store.replaced`: the store as it was before the copy took its place.
 *
 * | the process ended                            | on disk           | a start                 |
 * |----------------------------------------------|-------------------|-------------------------|
 * | while copying, syncing or verifying          | store, compact    | removes the copy        |
 * | after `store` was renamed to `store.replaced`| replaced, compact | puts the old store back |
 * | after `store.compact` was renamed to `store` | store, replaced   | removes the old store   |
 *
 * Each rename is on disk before the next step, and commits are made again only after the second.
 * So in the middle row both hold the same; the old one is taken because it needs no belief in the
 * copy.
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface CompactionFiles {
  readonly dataDir: string;
  readonly store: string;
  readonly copy: string;
  readonly replaced: string;
}

export function compactionFiles(dataDir: string): CompactionFiles {
  return {
    dataDir,
    store: join(dataDir, 'store'),
    copy: join(dataDir, 'store.compact'),
    replaced: join(dataDir, 'store.replaced'),
  };
}

/** Ends a compaction that was cut short. Before the store is opened. */
export function settleCompaction(dataDir: string): void {
  const { store, copy, replaced } = compactionFiles(dataDir);
  if (!existsSync(store) && existsSync(replaced)) {
    renameSync(replaced, store);
    syncPath(dataDir);
  }
  for (const leftover of [copy, replaced]) rmSync(leftover, { recursive: true, force: true });
}

/** Synchronous: between the renames of a compaction nothing else may happen. */
export function syncPath(path: string): void {
  // Windows cannot open a directory; its rename is journaled by the file system.
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
