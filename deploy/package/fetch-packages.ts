/**
 * npm packages by version, checked against the integrity that this repository pins, kept in a
 * cache. What npm itself believes of them does not matter: a file with any other content is
 * refused, from the cache as from the registry.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { PinnedPackage } from './lock-closure.ts';
import { readTar, type TarFile } from './tar.ts';

const run = promisify(execFile);
const unzip = promisify(gunzip);

export type Fetchable = Omit<PinnedPackage, 'path'>;

/** Brings what is missing into the folder, with one call of npm. Error `fetch_failed`. */
export async function fetchPackages(packages: readonly Fetchable[], folder: string): Promise<void> {
  const missing = packages.filter((wanted) => !existsSync(join(folder, fileName(wanted))));
  if (missing.length === 0) return;
  await mkdir(folder, { recursive: true });
  // Moved when they are whole, so that a build which was cut off leaves no half of one.
  const beside = await mkdtemp(join(folder, '.new-'));
  try {
    const specs = [...new Set(missing.map(({ name, version }) => `${name}@${version}`))];
    const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', beside, ...specs];
    await run('npm', args, { cwd: beside });
    for (const wanted of missing) {
      await rename(join(beside, fileName(wanted)), join(folder, fileName(wanted)));
    }
  } catch (cause) {
    throw new RunnelError('fetch_failed', `npm could not fetch: ${messageOf(cause)}`, {
      cause,
      hint: 'is the npm registry reachable? What was fetched before is kept',
    });
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

/** Files of a fetched package, without the folder around them. Error `integrity`. */
export async function unpackPackage(wanted: Fetchable, folder: string): Promise<TarFile[]> {
  const path = join(folder, fileName(wanted));
  const archive = await readFile(path);
  const [algorithm = '', expected] = wanted.integrity.split(/-(.*)/s);
  const actual = createHash(algorithm).update(archive).digest('base64');
  if (actual !== expected) {
    throw new RunnelError('integrity', `${path} is not what is pinned: ${algorithm} ${actual}`, {
      hint: `expected ${expected}; remove the file to fetch it again`,
    });
  }
  const files = readTar(await unzip(archive));
  return files.map((file) => ({ ...file, path: file.path.replace(/^[^/]+\//, '') }));
}

/** As `npm pack` names it. */
function fileName({ name, version }: Fetchable): string {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;
}
