/**
 * The project's own cache of programs that it fetched: `DIR/nats-server/<platform>-<arch>/`.
 *
 * A program appears under its name only when it is whole: it is copied beside it, flushed and
 * renamed. Two processes that fetch at once do the work twice and harm nothing.
 */
import { chmod, copyFile, mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `RUNNEL_CACHE`, else `XDG_CACHE_HOME/runnel`, else `~/.cache/runnel`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv): string {
  if (env.RUNNEL_CACHE !== undefined && env.RUNNEL_CACHE !== '') return env.RUNNEL_CACHE;
  const xdg = env.XDG_CACHE_HOME;
  const base = xdg === undefined || xdg === '' ? join(homedir(), '.cache') : xdg;
  return join(base, 'runnel');
}

export function cachedNatsServer(cacheDir: string, platform: string, arch: string): string {
  return join(cacheDir, 'nats-server', `${platform}-${arch}`, 'nats-server');
}

/** Runs `work` in a directory of its own inside the cache and removes it afterwards. */
export async function inWorkDir<T>(
  cacheDir: string,
  work: (dir: string) => Promise<T>,
): Promise<T> {
  await mkdir(cacheDir, { recursive: true });
  const dir = await mkdtemp(join(cacheDir, 'fetch-'));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Puts a copy of `from` at `to`, executable, atomically and durably. */
export async function installProgram(from: string, to: string): Promise<void> {
  const folder = join(to, '..');
  await mkdir(folder, { recursive: true });
  const staging = await mkdtemp(join(folder, '.new-'));
  try {
    const staged = join(staging, 'program');
    await copyFile(from, staged);
    await chmod(staged, 0o755);
    const file = await open(staged, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(staged, to);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
