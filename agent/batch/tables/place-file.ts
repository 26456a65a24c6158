/**
 * Puts a file that was made in the scratch directory where a job wants it: whole or not at all, on
 * disk when it resolves, over what was there. May be done again.
 */
import { copyFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from '../../config/durable-file.ts';

/** Returns its size. `keep` leaves the original: somebody else has it too. */
export async function placeFile(
  from: string,
  to: string,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<number> {
  const directory = dirname(to);
  await mkdir(directory, { recursive: true });
  const beside = join(directory, `.${basename(to)}.new`);
  await rm(beside, { force: true });
  // The scratch directory may be on another disk than the target, and names cannot cross.
  if (keep || !(await renamed(from, beside))) await copyFile(from, beside);
  const file = await open(beside, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, to);
  await syncDirectory(directory);
  return (await stat(to)).size;
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
