/**
 * The official release of nats-server: one pinned version, one pinned SHA-256 for each platform.
 * An archive with any other content is refused before it is unpacked.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@runnel/shared/errors.ts';
import { run } from './run-program.ts';

export interface NatsRelease {
  readonly version: string;
  /** Where the archives lie; the file name is appended. */
  readonly baseUrl: string;
  /** SHA-256, hex, by `<platform>-<arch>` of the release's file name. */
  readonly sha256: Readonly<Record<string, string>>;
}

/** As published with the release and pinned by its maintainers' own images. */
export const NATS_RELEASE: NatsRelease = {
  version: '2.10.29',
  baseUrl: 'https://github.com/nats-io/nats-server/releases/download/v2.10.29',
  sha256: {
    'linux-amd64': 'e314da74a83a1d3876db8814c27eb990fe729640fd6452025b441bcede8390da',
    'linux-arm64': 'da4b27942ecfb4c5f0c54553d2e7f470ddda9d7581cfe8131b351a0e223ed401',
    'linux-arm7': 'a59e7336a32ef78b0ca8bc3e6707a5770461d3f45c4c2f96cfef263f26eaefd5',
    'linux-386': 'abc385394c19784558f7aa2f9770fe2daceb22cf95e3fa398c832590479396b0',
    'linux-s390x': 'ee821b1eae8bb98a0d4603510a41613dd15afef244261a79da33515699d1aece',
    'linux-ppc64le': '31b0063d261e5d8c59396f8a3f9298ad80b36fd4bc370ce59e5d160f55a0fe46',
  },
};

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm7',
  ia32: '386',
  s390x: 's390x',
  ppc64: 'ppc64le',
};

/** What came of a step: the program's path, or why there is none. */
export type FetchResult =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly why: string };

export interface ReleaseRequest {
  readonly release: NatsRelease;
  readonly platform: string;
  readonly arch: string;
  /** A directory that the caller removes. */
  readonly workDir: string;
  readonly signal: AbortSignal;
}

export async function fetchRelease(request: ReleaseRequest): Promise<FetchResult> {
  const { release, workDir, signal } = request;
  const target = `${request.platform}-${ARCHITECTURES[request.arch] ?? request.arch}`;
  const sha256 = release.sha256[target];
  if (sha256 === undefined) {
    return { ok: false, why: `no checksum of ${release.version} is pinned for ${target}` };
  }
  const name = `nats-server-v${release.version}-${target}`;
  const url = `${release.baseUrl}/${name}.tar.gz`;
  const body = await download(url, signal);
  if (!body.ok) return body;
  const actual = createHash('sha256').update(body.bytes).digest('hex');
  if (actual !== sha256) {
    return { ok: false, why: `${url}: checksum ${actual}, expected ${sha256}; refused` };
  }
  const archive = join(workDir, 'release.tar.gz');
  await writeFile(archive, body.bytes);
  const unpacked = await run('tar', ['-xzf', archive, '-C', workDir], { signal });
  if (!unpacked.ok) return { ok: false, why: `unpacking ${name}: tar ${unpacked.why}` };
  return { ok: true, path: join(workDir, name, 'nats-server') };
}

type Body =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly why: string };

async function download(url: string, signal: AbortSignal): Promise<Body> {
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) {
      await response.body?.cancel();
      return { ok: false, why: `${url}: HTTP ${response.status}` };
    }
    return { ok: true, bytes: new Uint8Array(await response.arrayBuffer()) };
  } catch (error) {
    if (signal.aborted) return { ok: false, why: `${url}: timed out` };
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    return { ok: false, why: `${url}: ${messageOf(cause)}` };
  }
}
