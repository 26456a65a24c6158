import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FindOptions, findNatsServer } from '@runnel/control-plane/nats/find-nats-server.ts';
import type { NatsRelease } from '@runnel/control-plane/nats/nats-release.ts';
import { isNewEnough, parseNatsVersion } from '@runnel/control-plane/nats/nats-version.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import type { RunnelError } from '@runnel/shared/errors.ts';
import { describeWith } from '../../support/programs.ts';
import { tempDir } from '../../support/temp-dir.ts';

function fakeServer(folder: string, version: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'nats-server');
  writeFileSync(path, `#!/bin/sh\necho 'nats-server: v${version}'\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A release archive as the project publishes it, served on loopback. */
async function serveRelease(options: { corrupt?: boolean } = {}): Promise<NatsRelease> {
  const dir = tempDir('release');
  const name = 'nats-server-v2.10.99-linux-amd64';
  fakeServer(join(dir, name), '2.10.99');
  execFileSync('tar', ['-czf', 'archive.tar.gz', name], { cwd: dir });
  const archive = readFileSync(join(dir, 'archive.tar.gz'));
  const sha256 = createHash('sha256').update(archive).digest('hex');
  const body = options.corrupt === true ? Buffer.concat([archive, Buffer.from('x')]) : archive;
  const server = createServer((_request, response) => {
    response.setHeader('connection', 'close').end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    version: '2.10.99',
    baseUrl: `http://127.0.0.1:${address.port}`,
    sha256: { 'linux-amd64': sha256 },
  };
}

const NO_RELEASE: NatsRelease = { version: '0.0.0', baseUrl: 'http://127.0.0.1:9', sha256: {} };

function bare(overrides: Partial<FindOptions> = {}): FindOptions & { cacheDir: string } {
  return {
    clock: systemClock,
    env: { PATH: '/nonexistent' },
    cacheDir: tempDir('cache'),
    platform: 'linux',
    arch: 'x64',
    release: NO_RELEASE,
    fetchPackage: () => Promise.resolve({ ok: false, why: 'no apt here' }),
    ...overrides,
  };
}

async function failure(options: FindOptions): Promise<RunnelError> {
  return await findNatsServer(options).then(
    (found) => Promise.reject(new Error(`found ${found.path}`)),
    (error: unknown) => error as RunnelError,
  );
}

/** `tar` must be found, but no nats-server that this machine may have. */
function pathWith(...folders: string[]): NodeJS.ProcessEnv {
  return { ...process.env, NATS_SERVER: '', PATH: folders.join(':') };
}

describe('finding nats-server', () => {
  it('with none at all names every place it looked and what a person can do', async () => {
    const options = bare();
    const error = await failure(options);
    expect(error.code).toBe('nats_server_missing');
    expect(error.message.split('\n').slice(1)).toEqual([
      '  - NATS_SERVER: not set',
      '  - PATH: no nats-server on it',
      expect.stringContaining('  - cache: nothing at '),
      '  - release: no checksum of 0.0.0 is pinned for linux-amd64',
      '  - debian: no apt here',
    ]);
    expect(error.hint).toContain('install nats-server 2.10.27 or newer');
    expect(error.hint).toContain(options.cacheDir);
  });

  it('takes the one that NATS_SERVER names', async () => {
    const path = fakeServer(tempDir('named'), '2.11.0');
    const found = await findNatsServer(bare({ env: { NATS_SERVER: path, PATH: '/nonexistent' } }));
    expect(found).toMatchObject({ path, from: 'NATS_SERVER', version: '2.11.0' });
  });

  it('refuses a NATS_SERVER that is too old, rather than taking another one silently', async () => {
    const path = fakeServer(tempDir('named'), '2.9.10');
    const error = await failure(bare({ env: { NATS_SERVER: path } }));
    expect(error.code).toBe('nats_server_unusable');
    expect(error.message).toContain('is 2.9.10: too old');
  });

  it('passes over 2.9.10 on the PATH and takes a newer one behind it', async () => {
    const old = tempDir('old');
    const good = tempDir('good');
    fakeServer(old, '2.9.10');
    const path = fakeServer(good, '2.10.27');
    const found = await findNatsServer(bare({ env: pathWith(old, good) }));
    expect(found).toMatchObject({ path, from: 'PATH' });
    expect(found.tried.join('\n')).toContain('is 2.9.10: too old');
  });

  it('with 2.9.10 on the PATH fetches the release, and has it in the cache next time', async () => {
    const old = tempDir('old');
    fakeServer(old, '2.9.10');
    const options = bare({ env: pathWith(old), release: await serveRelease() });
    const fetched = await findNatsServer(options);
    expect(fetched).toMatchObject({ from: 'release', version: '2.10.99' });
    expect(fetched.path.startsWith(options.cacheDir)).toBe(true);
    const again = await findNatsServer({ ...options, release: NO_RELEASE });
    expect(again).toMatchObject({ from: 'cache', path: fetched.path });
    expect(readdirSync(options.cacheDir)).toEqual(['nats-server']);
  });

  it('refuses a release whose checksum differs and leaves nothing behind', async () => {
    const options = bare({ release: await serveRelease({ corrupt: true }) });
    const error = await failure(options);
    expect(error.message).toMatch(/release: .*checksum [0-9a-f]{64}, expected [0-9a-f]{64}/);
    expect(readdirSync(options.cacheDir)).toEqual([]);
  });

  it('gives up on a release that does not answer in time', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const baseUrl = `http://127.0.0.1:${address.port}`;
    const release = { version: '2.10.99', baseUrl, sha256: { 'linux-amd64': 'x' } };
    const error = await failure(bare({ release, stepTimeoutMs: 200 }));
    expect(error.message).toContain('timed out');
  });

  it('does not take a damaged file in the cache for a server, and mends it', async () => {
    const options = bare({ env: pathWith('/nonexistent'), release: await serveRelease() });
    const path = (await findNatsServer(options)).path;
    writeFileSync(path, 'damaged');
    const found = await findNatsServer(options);
    expect(found).toMatchObject({ from: 'release', path });
    expect(found.tried.join('\n')).toContain(`cache: ${path}`);
  });

  it('several finders at once fill one cache without harm', async () => {
    const options = bare({ release: await serveRelease() });
    const found = await Promise.all(Array.from({ length: 4 }, () => findNatsServer(options)));
    expect(new Set(found.map((one) => one.path)).size).toBe(1);
    expect(existsSync(found[0]!.path)).toBe(true);
    expect(readdirSync(options.cacheDir)).toEqual(['nats-server']);
  });
});

describeWith(['apt-get', 'dpkg-deb'], 'on a Debian system', () => {
  it("with 2.9.10 on the PATH fetches Debian's newer package without root", async () => {
    const old = tempDir('old');
    fakeServer(old, '2.9.10');
    const { fetchPackage: _none, ...options } = bare({
      env: pathWith(old, '/usr/sbin', '/usr/bin', '/sbin', '/bin'),
      arch: process.arch,
      // A machine that is busy with other tests is slower than one that is being set up.
      stepTimeoutMs: 60_000,
    });
    const found = await findNatsServer(options);
    expect(found.from).toBe('debian');
    expect(found.tried.join('\n')).toContain('is 2.9.10: too old');
    const output = execFileSync(found.path, ['--version'], { encoding: 'utf8' });
    expect(isNewEnough(parseNatsVersion(output)!)).toBe(true);
  }, 120_000);
});

describe('a version', () => {
  it.each([
    ['nats-server: v2.10.27', true],
    ['nats-server: v2.15.0-RC.1', true],
    ['nats-server: v3.0.0', true],
    ['nats-server: v2.10.26', false],
    ['nats-server: v2.9.10', false],
  ])('%s: new enough is %s', (output, expected) => {
    expect(isNewEnough(parseNatsVersion(output)!)).toBe(expected);
  });

  it('is not read out of something else', () => {
    expect(parseNatsVersion('mosquitto version 2.0.11')).toBeUndefined();
  });
});
