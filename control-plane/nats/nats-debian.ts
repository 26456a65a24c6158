/**
 * Debian's own packages of the release `trixie`, nats-server above all, unpacked without root and
 * without touching the system: apt works in private directories, with a private list of sources,
 * and nothing is installed. That binary is static and runs on older Debian releases too.
 *
 * The mirror is the one that this machine already uses; signatures are checked against Debian's
 * archive keyring as always. Refused: machines without apt, without a Debian mirror configured.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FetchResult } from './nats-release.ts';
import { run } from './run-program.ts';

const SUITE = 'trixie';
const PACKAGE = 'nats-server';
const KEYRINGS = [
  '/usr/share/keyrings/debian-archive-keyring.gpg',
  '/usr/share/keyrings/debian-archive-keyring.pgp',
];

export interface DebianRequest {
  /** A directory that the caller removes. */
  readonly workDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** A fresh time limit for each program that is run. */
  readonly withTimeout: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
}

export async function fetchDebianPackage(request: DebianRequest): Promise<FetchResult> {
  const unpacked = await unpackDebian(request, { names: [PACKAGE] });
  if (!unpacked.ok) return unpacked;
  return { ok: true, path: join(unpacked.path, 'usr', 'sbin', 'nats-server') };
}

export interface WantedPackages {
  readonly names: readonly string[];
  /** As Debian calls it; without it this machine's. */
  readonly arch?: string;
}

/** The folder into which these packages, and none that they need, were unpacked. */
export async function unpackDebian(
  request: DebianRequest,
  wanted: WantedPackages,
): Promise<FetchResult> {
  const mirrors = await findMirrors(request);
  if (!mirrors.ok) return mirrors;
  const whys: string[] = [];
  for (const [index, mirror] of mirrors.uris.entries()) {
    const dir = join(request.workDir, `apt-${index}`);
    const fetched = await fetchFrom(mirror, dir, request, wanted);
    if (fetched.ok) return fetched;
    whys.push(fetched.why);
  }
  return { ok: false, why: whys.join('; ') };
}

type Mirrors =
  | { readonly ok: true; readonly uris: readonly string[] }
  | { readonly ok: false; readonly why: string };

/**
 * Archives of this machine that may carry Debian's main packages. The label is known only once
 * the lists have been fetched, so that a machine that never did offers candidates to try.
 */
async function findMirrors(request: DebianRequest): Promise<Mirrors> {
  const format = '$(REPO_URI)|$(ORIGIN)|$(LABEL)';
  const args = ['indextargets', '--format', format, 'Created-By: Packages'];
  const listed = await request.withTimeout((signal) =>
    run('apt-get', args, { signal, env: request.env }),
  );
  if (!listed.ok) return { ok: false, why: `apt-get indextargets: ${listed.why}` };
  const targets = listed.output
    .split('\n')
    .map((line) => line.split('|'))
    .filter(([uri]) => uri !== undefined && uri.includes('://'));
  const sure = targets.filter(([, , label]) => label === 'Debian');
  const possible = targets.filter(([uri, origin]) => origin === '' && !uri!.includes('security'));
  const uris = [...new Set([...sure, ...possible].map(([uri]) => uri!))];
  if (uris.length > 0) return { ok: true, uris: uris.slice(0, 3) };
  return { ok: false, why: 'this system has no Debian mirror in its apt sources' };
}

async function fetchFrom(
  mirror: string,
  dir: string,
  request: DebianRequest,
  { names, arch }: WantedPackages,
): Promise<FetchResult> {
  const env = await privateApt(mirror, dir, request.env, arch);
  const step = (file: string, args: readonly string[]): ReturnType<typeof run> =>
    request.withTimeout((signal) => run(file, args, { signal, env, cwd: dir }));
  const updated = await step('apt-get', ['update']);
  if (!updated.ok) return { ok: false, why: `apt-get update of ${SUITE}: ${updated.why}` };
  const fetched = await step('apt-get', ['download', ...names]);
  if (!fetched.ok) return { ok: false, why: `apt-get download ${names.join(' ')}: ${fetched.why}` };
  const archives = (await readdir(dir)).filter((name) => name.endsWith('.deb'));
  if (archives.length === 0) return { ok: false, why: 'apt-get download left no package' };
  for (const archive of archives) {
    const unpacked = await step('dpkg-deb', ['-x', archive, 'unpacked']);
    if (!unpacked.ok) return { ok: false, why: `dpkg-deb -x ${archive}: ${unpacked.why}` };
  }
  return { ok: true, path: join(dir, 'unpacked') };
}

/** The system's proxies and credentials stay in force; only directories and sources change. */
async function privateApt(
  mirror: string,
  dir: string,
  env: NodeJS.ProcessEnv,
  arch: string | undefined,
): Promise<NodeJS.ProcessEnv> {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'log']) {
    await mkdir(join(dir, folder), { recursive: true });
  }
  const keyring = KEYRINGS.find((path) => existsSync(path));
  const signedBy = keyring === undefined ? '' : `[signed-by=${keyring}] `;
  await writeFile(join(dir, 'sources.list'), `deb ${signedBy}${mirror} ${SUITE} main\n`);
  await writeFile(join(dir, 'state', 'status'), '');
  const settings: Record<string, string> = {
    'Dir::State': join(dir, 'state'),
    'Dir::State::status': join(dir, 'state', 'status'),
    'Dir::Cache': join(dir, 'cache'),
    'Dir::Log': join(dir, 'log'),
    'Dir::Etc::sourcelist': join(dir, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    // Our own directory must be readable to us, so apt may not change to its own user.
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    ...(arch === undefined ? {} : { 'APT::Architecture': arch, 'APT::Architectures': arch }),
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled': 'false',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  await writeFile(join(dir, 'apt.conf'), lines.join(''));
  return { ...env, APT_CONFIG: join(dir, 'apt.conf'), LC_ALL: 'C' };
}
