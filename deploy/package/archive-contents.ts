/**
 * What the archives hold. An agent archive runs by itself, wherever it is unpacked:
 *
 *   bin/runnel-agent               finds the rest beside itself, so that links to it work
 *   app/dist/                      the bundled agent
 *   app/node_modules/              native packages, as far as they are loaded
 *   lib/supervise.sh               restarts the agent where there is no service manager
 *   lib/runnel-agent.service       the systemd unit that the installer fills in
 *   node/bin/node                  the runtime, byte for byte as published
 *   release.json                   versions
 *
 * The add-on holds `app/node_modules/@duckdb`, to be unpacked over it.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { PackageKind, PackagePlatform } from '@runnel/shared/protocol/packages.ts';
import { fetchPackages, type Fetchable, unpackPackage } from './fetch-packages.ts';
import { closureOf, type LockFile } from './lock-closure.ts';
import { NODE_INTEGRITY, NODE_VERSION } from './node-runtime.ts';
import { stripElf } from './strip-elf.ts';
import type { TarFile } from './tar.ts';

/** Packages that the bundles leave outside (deploy/local/build.mjs). */
const ROOTS: Readonly<Record<PackageKind, readonly string[]>> = {
  agent: ['lmdb', 'libsql'],
  duckdb: ['@duckdb/node-api'],
};

/** Types, sources, documentation, tests, and the forms of a package that the agent never loads. */
const UNUSED = [
  /\.(d\.[cm]?ts|[cm]?ts|map|md|gyp|c|cc|cpp|h)$/i,
  /(^|\/)(test|tests|src|dependencies|benchmarks?|examples?|types|assets|\.[^/]+)\//,
  // Forms of msgpackr for browsers, and its tests.
  /\/msgpackr\/dist\/(test|.*no-eval|.*\.min)\b/,
  /^node_modules\/lmdb\/(dist|bin)\//,
  // Built for other versions of Node, and for another C library.
  /\/node\.(abi\d+\.\w+|napi\.musl)\.node$/,
];
/** Licences go along with what they license. */
const KEPT = /(^|\/)(licen[cs]e|notice|copying)[^/]*$/i;

export interface ContentsOptions {
  readonly root: string;
  readonly lock: LockFile;
  readonly version: string;
  /** Where fetched packages are kept. */
  readonly fetched: string;
}

/** The runtime apart: it is the same for every build, so that its compressed form can be kept. */
export async function runtimeFiles(
  platform: PackagePlatform,
  { fetched }: Pick<ContentsOptions, 'fetched'>,
): Promise<TarFile[]> {
  const wanted: Fetchable = {
    name: `node-${platform}`,
    version: NODE_VERSION,
    integrity: NODE_INTEGRITY[platform],
  };
  await fetchPackages([wanted], fetched);
  const files = await unpackPackage(wanted, fetched);
  return ['bin/node', 'LICENSE'].map((path) => {
    const file = files.find((candidate) => candidate.path === path);
    if (file === undefined) throw new RunnelError('runtime', `node-${platform} holds no ${path}`);
    return { ...file, path: `node/${path}`, executable: path === 'bin/node' };
  });
}

export async function agentFiles(
  platform: PackagePlatform,
  options: ContentsOptions,
): Promise<TarFile[]> {
  const { root, version } = options;
  const dist = join(root, 'agent/dist');
  if (!existsSync(join(dist, 'runnel-agent.js'))) {
    throw new RunnelError('not_built', 'the agent is not built', { hint: 'run: npm run setup' });
  }
  const release = { version, platform, node: NODE_VERSION };
  return [
    ...(await filesBelow(dist, 'app/dist')),
    textFile('app/package.json', `${JSON.stringify({ private: true, type: 'module' })}\n`),
    ...(await nativeFiles('agent', platform, options)),
    await fileOf(join(root, 'deploy/install/runnel-agent.sh'), 'bin/runnel-agent', true),
    await fileOf(join(root, 'deploy/install/supervise.sh'), 'lib/supervise.sh', true),
    await fileOf(
      join(root, 'deploy/install/runnel-agent.service'),
      'lib/runnel-agent.service',
      false,
    ),
    await fileOf(join(root, 'LICENSE'), 'LICENSE', false),
    textFile('release.json', `${JSON.stringify(release, undefined, 2)}\n`),
  ];
}

export async function duckdbFiles(
  platform: PackagePlatform,
  options: ContentsOptions,
): Promise<TarFile[]> {
  return await nativeFiles('duckdb', platform, options);
}

async function nativeFiles(
  kind: PackageKind,
  platform: PackagePlatform,
  { lock, fetched }: ContentsOptions,
): Promise<TarFile[]> {
  const packages = closureOf(lock, ROOTS[kind], platform);
  await fetchPackages(packages, fetched);
  const files: TarFile[] = [];
  for (const wanted of packages) {
    for (const file of await unpackPackage(wanted, fetched)) {
      const path = `${wanted.path}/${file.path}`;
      if (!KEPT.test(path) && UNUSED.some((pattern) => pattern.test(path))) continue;
      const bytes = path.endsWith('.node') ? stripElf(file.bytes, path) : file.bytes;
      files.push({ path: `app/${path}`, bytes, executable: false });
    }
  }
  return files;
}

async function filesBelow(folder: string, as: string): Promise<TarFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name));
  return await Promise.all(
    paths.map((path) =>
      fileOf(path, `${as}/${relative(folder, path).split(sep).join('/')}`, false),
    ),
  );
}

async function fileOf(from: string, path: string, executable: boolean): Promise<TarFile> {
  return { path, bytes: await readFile(from), executable };
}

function textFile(path: string, text: string): TarFile {
  return { path, bytes: Buffer.from(text, 'utf8'), executable: false };
}
