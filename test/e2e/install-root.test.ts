/**
 * The installer with root rights, in a bare Debian tree made by debootstrap: once from inside,
 * where there is neither curl nor xz nor a service manager, and once from outside, for an image.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PackagePlatform } from '@runnel/shared/protocol/packages.ts';
import { findProgram } from '../support/find-program.ts';
import { ended, Plant } from '../support/installing.ts';
import { makePackages } from '../support/packages.ts';
import { repository } from '../support/processes.ts';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';

const DEADLINE_MS = 900_000;
const able = process.getuid?.() === 0 && mayMount();
const platform = `linux-${process.arch}` as PackagePlatform;

/** In a container that may not, debootstrap cannot work either. */
function mayMount(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'runnel-mount-'));
  try {
    execFileSync('mount', ['--bind', dir, dir], { stdio: 'ignore' });
    execFileSync('umount', [dir]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(dir);
  }
}

/** Made once, and kept as one file: unpacking it takes a second, making it a minute. */
function bareTree(): string {
  const kept = join(repository, '.runnel/test-trees/bookworm.tar');
  if (!existsSync(kept)) {
    mkdirSync(join(kept, '..'), { recursive: true });
    const tree = `${kept}.${process.pid}`;
    const args = ['--variant=minbase', '--include=wget', 'bookworm', tree, ...mirror()];
    execFileSync('debootstrap', args, { stdio: 'ignore' });
    execFileSync('tar', ['-cf', `${tree}.tar`, '-C', tree, '.']);
    rmSync(tree, { recursive: true });
    renameSync(`${tree}.tar`, kept);
  }
  const tree = join(tempDir('tree'), 'root');
  mkdirSync(tree);
  execFileSync('tar', ['-xf', kept, '-C', tree, '--numeric-owner']);
  return tree;
}

/** The one that this machine uses; without it debootstrap knows one. */
function mirror(): string[] {
  const format = '$(REPO_URI)|$(LABEL)';
  const args = ['indextargets', '--format', format, 'Created-By: Packages'];
  const lines = execFileSync('apt-get', args, { encoding: 'utf8' }).split('\n');
  const own = lines.find((line) => line.endsWith('|Debian'))?.split('|')[0];
  return own === undefined ? [] : [own];
}

function pathsIn(tree: string): string[] {
  const folders = ['etc', 'opt', 'usr/local', 'var/lib', 'tmp'];
  return (
    folders
      .flatMap((folder) =>
        readdirSync(join(tree, folder), { recursive: true }).map(
          (path) => `${folder}/${String(path)}`,
        ),
      )
      // The programs that make users keep what was there before.
      .filter((path) => !/^etc\/(passwd|group|shadow|gshadow|subuid|subgid)-$/.test(path))
      .toSorted()
  );
}

describe.skipIf(!able)('as root', { timeout: DEADLINE_MS }, () => {
  describeWith(['debootstrap', 'xz'], 'in a bare tree', () => {
    let plant: Plant;

    beforeAll(async () => {
      plant = await Plant.start((folder) =>
        makePackages(folder, { platforms: [platform], compressions: ['xz', 'gz'] }),
      );
    }, DEADLINE_MS);
    afterAll(() => plant.close());

    it('installs from inside as its own user, and uninstalls to what was there', async () => {
      const tree = bareTree();
      const before = pathsIn(tree);
      execFileSync('mount', ['-t', 'proc', 'proc', join(tree, 'proc')]);
      const inside = (line: string) =>
        ended('chroot', [tree, '/bin/sh', '-c', line], {
          env: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
        });
      try {
        const { code, out } = await inside(`${await plant.line()} --name bare`);
        expect(code).toBe(0);
        expect(out).toMatch(/downloading .*\.tar\.gz/);
        expect(out).toMatch(/at boot +by nothing found here/);
        await plant.online('bare');
        const status = JSON.parse((await inside('runnel-agent status -o json')).out);
        const user = Number(
          /^runnel:x:(\d+):/m.exec(readFileSync(join(tree, 'etc/passwd'), 'utf8'))![1],
        );
        expect(statSync(`/proc/${status.pid}`).uid).toBe(user);
        expect(statSync(join(tree, 'var/lib/runnel')).mode & 0o777).toBe(0o750);
        expect(statSync(join(tree, 'etc/runnel/policy.yaml')).uid).toBe(0);
        const removed = await inside('runnel-agent uninstall --yes --purge');
        expect(removed).toMatchObject({ code: 0, err: '' });
      } finally {
        await inside('runnel-agent uninstall --yes --purge');
        execFileSync('umount', ['-l', join(tree, 'proc')]);
      }
      expect(pathsIn(tree)).toEqual(before);
      expect(readFileSync(join(tree, 'etc/passwd'), 'utf8')).not.toContain('runnel');
    });

    it('prepares an image from outside: programs, user, a hardened unit, no identity', async () => {
      const script = join(tempDir('installer'), 'install.sh');
      // Asked first: unpacking a tree holds up the server too, which is in this process.
      writeFileSync(script, (await plant.control.request('GET', '/install.sh')).text);
      const token = await plant.control.joinToken();
      const tree = bareTree();
      const marker = join(tree, 'usr/lib/systemd/systemd');
      mkdirSync(join(marker, '..'), { recursive: true });
      writeFileSync(marker, '');
      const args = [script, '--url', plant.control.url, '--root', tree];
      const refused = await ended('sh', [...args, '--token', token]);
      expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('the same one') });
      expect(await ended('sh', [...args, '--memory-max', '256M'])).toMatchObject({ code: 0 });
      const unit = 'etc/systemd/system/runnel-agent.service';
      expect(readFileSync(join(tree, unit), 'utf8')).toMatch(/^MemoryMax=256M$/m);
      expect(existsSync(join(tree, 'var/lib/runnel/agent.yaml'))).toBe(false);
      const wants = join(tree, 'etc/systemd/system/multi-user.target.wants');
      expect(readdirSync(wants)).toContain('runnel-agent.service');
      const again = await ended('sh', [...args, '--memory-max', '256M']);
      expect(again.out).toContain('Nothing had to be changed');
      if (findProgram('systemd-analyze') === undefined) return;
      const judged = await ended('systemd-analyze', ['verify', '--man=no', join(tree, unit)]);
      expect(judged.err).not.toMatch(/Unknown|Failed to parse|Invalid/);
      const security = ['security', '--offline=yes', '--threshold=25', join(tree, unit)];
      expect((await ended('systemd-analyze', security)).code).toBe(0);
    });
  });
});
