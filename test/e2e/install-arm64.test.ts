/**
 * The arm64 archive on this machine: its runtime and its native modules under qemu, with Debian's
 * arm64 libraries unpacked beside it. It enrols with a real control plane, comes online and sends a
 * result. Slow by nature, so this is one path through all of it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { unpackDebian } from '@runnel/control-plane/nats/nats-debian.ts';
import { TestControlPlane } from '../support/control-plane.ts';
import { ended, ticksJob } from '../support/installing.ts';
import { makePackages } from '../support/packages.ts';
import { start } from '../support/processes.ts';
import { describeWith, requireProgram } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const DEADLINE_MS = 600_000;
const QEMU = 'qemu-aarch64-static';
/** What the Node.js of the archive needs of a system. */
const LIBRARIES = ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1'];

/** The libraries of another processor, from the mirror that this machine uses. */
async function debianLibraries(): Promise<string> {
  const workDir = tempDir('arm64-debian');
  const found = await unpackDebian(
    { workDir, env: process.env, withTimeout: (work) => work(AbortSignal.timeout(120_000)) },
    { names: LIBRARIES, arch: 'arm64' },
  );
  if (!found.ok) throw new Error(found.why);
  // Another package of the system makes this link; the loader is asked for by it.
  symlinkSync('usr/lib', join(found.path, 'lib'));
  return found.path;
}

async function unpackedArchive(): Promise<string> {
  const packages = join(tempDir('arm64-packages'), 'packages');
  const { manifest } = await makePackages(packages, { platforms: ['linux-arm64'] });
  const folder = join(tempDir('arm64'), 'release');
  mkdirSync(folder);
  execFileSync('tar', ['-xJf', join(packages, manifest.files[0]!.name), '-C', folder]);
  chmodSync(folder, 0o755);
  return folder;
}

describeWith([QEMU, 'xz'], 'the arm64 archive', () => {
  it(
    'says what it is, enrols, runs a job and delivers its result',
    { timeout: DEADLINE_MS },
    async () => {
      const [libraries, release] = [await debianLibraries(), await unpackedArchive()];
      const script = join(release, 'app/dist/runnel-agent.js');
      const program = [
        requireProgram(QEMU),
        '-L',
        libraries,
        join(release, 'node/bin/node'),
        script,
      ];
      const agent = (...args: string[]) => ended(program[0]!, [...program.slice(1), ...args]);

      expect(await agent('--version')).toMatchObject({
        err: '',
        code: 0,
        out: expect.stringMatching(/^runnel-agent 0/),
      });
      const described = JSON.parse((await agent('describe', '-o', 'json')).out);
      expect(described.capabilities).toContain('sqlite');

      const control = await TestControlPlane.start();
      onTestFinished(() => control.close());
      const data = join(tempDir('arm64-agent'), 'data');
      const place = ['--url', control.url, '--token', await control.joinToken(), '--data', data];
      expect(await agent('enroll', ...place, '--name', 'arm')).toMatchObject({ code: 0 });
      await control.post('/jobs', ticksJob);
      const args = [...program.slice(1), 'run', '--data', data];
      const started = start(program[0]!, args, join(data, 'log'));
      onTestFinished(() => started.end('SIGKILL'));
      const result = await waitFor(
        'a result',
        async () => (await control.get('/datasets/ticks/results')).json?.items?.[0],
        300_000,
      );
      expect(result.value.memoryTotalBytes).toBeGreaterThan(0);
      const { items } = (await control.get('/agents')).json;
      expect(items[0]).toMatchObject({ name: 'arm', platform: { arch: 'arm64' } });
    },
  );
});
