/**
 * Makes the archives of the agent, their checksums and their signed manifest, from npm packages
 * alone (archive-contents.ts). Reproducible: the same sources, lock file, Node and xz give the same
 * bytes. Whoever asks may be refused: a build over its size budget fails (DESIGN.md §12).
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnelError } from '@runnel/shared/errors.ts';
import {
  PACKAGE_KINDS,
  type PackageCompression,
  type PackageFile,
  type PackageKind,
  type PackageManifest,
  type PackagePlatform,
} from '@runnel/shared/protocol/packages.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import { agentFiles, type ContentsOptions, duckdbFiles, runtimeFiles } from './archive-contents.ts';
import { compress, compressOnce } from './compress.ts';
import { lockFile } from './lock-closure.ts';
import { NODE_VERSION } from './node-runtime.ts';
import type { ReleaseKey } from './release-key.ts';
import { TAR_END, type TarFile, writeTar } from './tar.ts';

const MB = 1_000_000;
/** Bytes: installed without the runtime, and what a device downloads. */
export const BUDGET = { agentBytesMax: 15 * MB, downloadBytesMax: 45 * MB } as const;

export interface PackageOptions {
  /** Of the repository, with the agent built. */
  readonly root: string;
  readonly version: string;
  readonly platforms: readonly PackagePlatform[];
  readonly kinds?: readonly PackageKind[];
  readonly compressions: readonly PackageCompression[];
  /** 0 is quick and large, 9 slow and small. */
  readonly preset: number;
  /** The archives go here; what was here before is replaced. */
  readonly outDir: string;
  /** Fetched packages and compressed runtimes. */
  readonly cacheDir: string;
  readonly key: ReleaseKey;
  readonly say: (line: string) => void;
}

export interface MadePackages {
  readonly manifest: PackageManifest;
  /** Installed bytes of the agent without its runtime, by platform. */
  readonly agentBytes: Readonly<Partial<Record<PackagePlatform, number>>>;
}

/** Errors: those of fetching and compressing; `not_built`. */
export async function packageAgents(options: PackageOptions): Promise<MadePackages> {
  const { root, version, outDir, cacheDir, key, kinds = PACKAGE_KINDS } = options;
  const lock = lockFile.parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')));
  const contents = { root, lock, version, fetched: join(cacheDir, 'fetched') };
  await rm(join(outDir, 'manifest.json'), { force: true });
  await mkdir(outDir, { recursive: true });
  const files: PackageFile[] = [];
  const agentBytes: Partial<Record<PackagePlatform, number>> = {};
  for (const platform of options.platforms) {
    for (const kind of kinds) {
      const parts = await partsOf(kind, platform, contents);
      if (kind === 'agent') agentBytes[platform] = sizeOf(parts.own);
      for (const compression of options.compressions) {
        files.push(await writeArchive({ kind, platform, compression }, parts, options));
      }
    }
  }
  const installer = await readFile(join(root, 'deploy/install/install.sh'));
  await writeFile(join(outDir, 'install.sh'), installer);
  const manifest: PackageManifest = {
    v: PROTOCOL_VERSION,
    kind: 'runnel-packages',
    version,
    node: NODE_VERSION,
    installer: { sha256: sha256(installer) },
    files,
  };
  const sums = files.map((file) => `${file.sha256}  ${file.name}\n`).join('');
  await writeFile(join(outDir, 'checksums.txt'), sums);
  // Last, and in one step: a folder with a manifest is whole.
  const path = join(outDir, 'manifest.json');
  await writeFile(`${path}.new`, `${JSON.stringify(key.sign(manifest), undefined, 2)}\n`);
  await rename(`${path}.new`, path);
  return { manifest, agentBytes };
}

interface Parts {
  /** Kept compressed; empty where there is none. */
  readonly kept: readonly TarFile[];
  readonly own: readonly TarFile[];
}

/** DuckDB is as large as a runtime and changes as seldom. */
async function partsOf(
  kind: PackageKind,
  platform: PackagePlatform,
  contents: ContentsOptions,
): Promise<Parts> {
  if (kind === 'duckdb') return { kept: await duckdbFiles(platform, contents), own: [] };
  const kept = await runtimeFiles(platform, contents);
  return { kept, own: await agentFiles(platform, contents) };
}

type Described = Pick<PackageFile, 'kind' | 'platform' | 'compression'>;

async function writeArchive(
  described: Described,
  { kept, own }: Parts,
  { version, preset, outDir, cacheDir, say }: PackageOptions,
): Promise<PackageFile> {
  const { kind, platform, compression } = described;
  const prefix = kind === 'agent' ? 'runnel-agent' : `runnel-agent-${kind}`;
  const name = `${prefix}-${version}-${platform}.tar.${compression}`;
  const compressor = { compression, preset };
  const bytes = Buffer.concat([
    await compressOnce(writeTar(kept), compressor, join(cacheDir, 'compressed')),
    await compress(Buffer.concat([writeTar(own), TAR_END]), compressor),
  ]);
  await writeFile(join(outDir, `${name}.new`), bytes);
  await rename(join(outDir, `${name}.new`), join(outDir, name));
  say(`${name}  ${megabytes(bytes.length)}`);
  return { name, ...described, size: bytes.length, sha256: sha256(bytes) };
}

/** Says every number; error `over_budget` with those that are too large. */
export function checkBudget({ manifest, agentBytes }: MadePackages): readonly string[] {
  const lines: string[] = [];
  const over: string[] = [];
  const check = (what: string, bytes: number, bytesMax: number): void => {
    lines.push(`${what}: ${megabytes(bytes)} (budget ${megabytes(bytesMax)})`);
    if (bytes > bytesMax) over.push(`${what} is ${megabytes(bytes)}`);
  };
  for (const [platform, bytes] of Object.entries(agentBytes)) {
    check(`${platform}, agent installed without its runtime`, bytes, BUDGET.agentBytesMax);
  }
  for (const { kind, compression, platform, size } of manifest.files) {
    if (kind !== 'agent' || compression !== 'xz') continue;
    check(`${platform}, whole download`, size, BUDGET.downloadBytesMax);
  }
  if (over.length > 0) {
    throw new RunnelError('over_budget', `over the size budget: ${over.join('; ')}`);
  }
  return lines;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function sizeOf(files: readonly TarFile[]): number {
  return files.reduce((total, { bytes }) => total + bytes.length, 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}
