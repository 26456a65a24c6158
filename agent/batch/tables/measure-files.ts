/** What the files of batch jobs take (`<data>/batch`). */
import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../../config/durable-file.ts';

export interface BatchFiles {
  readonly bytes: number;
  /** Of the tables that go with a run, by the name of its directory. */
  readonly byRun: ReadonlyMap<string, number>;
}

/**
 * Bytes of all files, those with two names once; what goes while it looks counts nothing. One look
 * at a time at the disk, so that others have their turn.
 */
export async function measureFiles(batchDir: string): Promise<BatchFiles> {
  const byRun = new Map<string, number>();
  let bytes = 0;
  for (const folder of await entriesOf(batchDir)) {
    const path = join(batchDir, folder.name);
    if (folder.name !== 'tables') {
      bytes += await bytesBelow(path, false);
      continue;
    }
    for (const { name } of await entriesOf(path)) {
      // What a dataset holds too is counted there, and stays when the run goes.
      const own = await bytesBelow(join(path, name), true);
      byRun.set(name, own);
      bytes += own;
    }
  }
  return { bytes, byRun };
}

async function bytesBelow(path: string, onlySingle: boolean): Promise<number> {
  const facts = await factsOf(path);
  if (facts === undefined) return 0;
  if (facts.isDirectory()) {
    let bytes = 0;
    for (const { name } of await entriesOf(path)) {
      bytes += await bytesBelow(join(path, name), onlySingle);
    }
    return bytes;
  }
  return facts.isFile() && (!onlySingle || facts.nlink === 1) ? facts.size : 0;
}

async function factsOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ENOTDIR') return [];
    throw error;
  }
}
