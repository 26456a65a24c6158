/**
 * Puts a file where a job wants it: whole or not at all, on disk when it resolves, over what was
 * there. It is made beside its target under a name of its own, so that two attempts at one target
 * do not write into each other's file. May be done again.
 *
 * A copy is read back before it gets its name: what a disk or a mount has made of it must be what
 * was copied, byte by byte, for `purge` removes originals by it. A rename has nothing to read back.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from '../../config/durable-file.ts';
import { TaskError } from '../tasks/task-error.ts';

export interface PlaceOptions {
  /** Leaves the original: somebody else has it too. */
  readonly keep?: boolean;
  /** For tests of a disk that fails. */
  readonly copy?: (from: string, to: string) => Promise<void>;
}

/** Returns its size. Throws `TaskError` (`data`): `file_mismatch`; what was there stays then. */
export async function placeFile(
  from: string,
  to: string,
  { keep = false, copy = copyFile }: PlaceOptions = {},
): Promise<number> {
  await replaceFile(to, async (beside) => {
    // The scratch directory may be on another disk than the target, and names cannot cross.
    if (!keep && (await renamed(from, beside))) return;
    await copy(from, beside);
    await syncFile(beside);
    if ((await hashOf(from)) === (await hashOf(beside))) return;
    throw new TaskError('data', 'file_mismatch', `the copy of a file to ${to} is not the same`, {
      hint: 'Nothing was replaced or removed; the disk may be failing.',
    });
  });
  return (await stat(to)).size;
}

/** Names that attempts of this process write at now. */
const inWork = new Set<string>();
let serial = 0;

/**
 * Gives `fill` a name beside `to` at which there is nothing, flushes what it wrote there and lets
 * it take the place of `to`. What it throws leaves `to` as it was and nothing beside it.
 */
export async function replaceFile(
  to: string,
  fill: (beside: string) => Promise<void>,
): Promise<void> {
  const directory = dirname(to);
  await mkdir(directory, { recursive: true });
  await removeLeftovers(to);
  const beside = join(directory, `.${basename(to)}.${process.pid}-${++serial}.new`);
  inWork.add(beside);
  try {
    await rm(beside, { force: true });
    await fill(beside);
    await syncFile(beside);
    await rename(beside, to);
    await syncDirectory(directory);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  } finally {
    inWork.delete(beside);
  }
}

/** What processes that died have left beside it. */
async function removeLeftovers(to: string): Promise<void> {
  const directory = dirname(to);
  const prefix = `.${basename(to)}.`;
  for (const name of await readdir(directory)) {
    if (!name.startsWith(prefix) || !/^\d+-\d+\.new$/.test(name.slice(prefix.length))) continue;
    const path = join(directory, name);
    if (!inWork.has(path)) await rm(path, { force: true });
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EXDEV') return false;
    throw error;
  }
}
