/**
 * Replaces a file so that after a power cut it holds either the old or the new content, whole:
 * write beside it, fsync, rename, fsync the directory. Resolves when it is on disk.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export async function writeDurably(path: string, text: string, mode = 0o644): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true });
  const beside = join(directory, `.${basename(path)}.new`);
  // A file left by a crash may have other permissions: never write a secret into it.
  await rm(beside, { force: true });
  const file = await open(beside, 'wx', mode);
  try {
    await file.writeFile(text, 'utf8');
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  await syncDirectory(directory);
}

/** A new name is durable when its directory is. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory; its rename is journaled by the file system.
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Whether an error says that a file does not exist. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
}
