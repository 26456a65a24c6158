/**
 * Files with secrets: mode 0600 from their first byte, whole or not there, durable when written.
 */
import { constants } from 'node:fs';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { randomId } from '@runnel/shared/ids.ts';
import type { Random } from '@runnel/shared/random.ts';

/** Undefined when there is no such file. */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces the file in one step. */
export async function writePrivateFile(path: string, text: string, random: Random): Promise<void> {
  const staged = await stage(path, text, random);
  await rename(staged, path);
  await syncFolder(dirname(path));
}

/** Creates the file unless there is one; of two who race, one wins. False: it was there. */
export async function createPrivateFile(
  path: string,
  text: string,
  random: Random,
): Promise<boolean> {
  const staged = await stage(path, text, random);
  try {
    await link(staged, path);
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(staged, { force: true });
  }
}

async function stage(path: string, text: string, random: Random): Promise<string> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const staged = join(folder, `.${basename(path)}.${randomId(random, 8)}`);
  const file = await open(staged, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return staged;
}

/** Makes the new name itself durable. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
