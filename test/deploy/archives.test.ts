/** The parts of an archive: tar files, stripped modules, what the lock file pins, signatures. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PACKAGE_PLATFORMS, type PackageManifest } from '@runnel/shared/protocol/packages.ts';
import { verifySignature } from '@runnel/shared/protocol/signing.ts';
import { unpackPackage } from '../../deploy/package/fetch-packages.ts';
import { closureOf, lockFile } from '../../deploy/package/lock-closure.ts';
import { BUDGET, checkBudget } from '../../deploy/package/package-agents.ts';
import { openReleaseKey } from '../../deploy/package/release-key.ts';
import { stripElf } from '../../deploy/package/strip-elf.ts';
import { readTar, TAR_END, type TarFile, writeTar } from '../../deploy/package/tar.ts';
import { makePackages } from '../support/packages.ts';
import { repository } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';

const lock = lockFile.parse(
  JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')),
);
const fileOf = (path: string, text: string, executable = false): TarFile => ({
  path,
  bytes: Buffer.from(text),
  executable,
});

describe('a tar file', () => {
  const name = fc.stringMatching(/^[a-z@][a-z0-9.-]{0,40}$/);
  const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
  const file = fc.record({
    path,
    bytes: fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
    executable: fc.boolean(),
  });

  it('holds what was written, sorted, whatever the order was', () => {
    const files = fc.uniqueArray(file, { selector: (each) => each.path, maxLength: 8 });
    fc.assert(
      fc.property(files, (written) => {
        const archive = Buffer.concat([writeTar(written), TAR_END]);
        expect(writeTar(written.toReversed()).equals(writeTar(written))).toBe(true);
        expect(readTar(archive)).toEqual(
          written.toSorted((a, b) => (a.path < b.path ? -1 : 1)).map((each) => ({ ...each })),
        );
      }),
    );
  });

  it('is what tar reads: folders, modes, owner 0, one time', () => {
    const dir = tempDir('tar');
    const long = `${'deep/'.repeat(30)}file`;
    const files = [fileOf('bin/run', 'x', true), fileOf('a', 'yy'), fileOf(long, 'z')];
    writeFileSync(join(dir, 'a.tar'), Buffer.concat([writeTar(files), TAR_END]));
    const listed = execFileSync('tar', ['--utc', '-tvf', join(dir, 'a.tar')], {
      encoding: 'utf8',
    });
    expect(listed).toMatch(/^-rw-r--r-- 0\/0 +2 2000-01-01 00:00 a$/m);
    expect(listed).toMatch(/^drwxr-xr-x 0\/0 +0 2000-01-01 00:00 bin\/$/m);
    expect(listed).toMatch(/^-rwxr-xr-x 0\/0 +1 2000-01-01 00:00 bin\/run$/m);
    expect(listed).toContain(long);
  });

  it('refuses a path that would be cut, and reads no archive that ends early', () => {
    expect(() => writeTar([fileOf('x'.repeat(101), '')])).toThrow(/too long/);
    const archive = writeTar([fileOf('a', 'x'.repeat(600))]);
    expect(() => readTar(archive.subarray(0, 700))).toThrow(/ends within a/);
  });
});

describe('a stripped module', () => {
  it('is smaller, and loads', () => {
    const name = `@lmdb/lmdb-${process.platform}-${process.arch}/package.json`;
    const folder = join(createRequire(import.meta.url).resolve(name), '..');
    const module = readFileSync(join(folder, 'node.napi.glibc.node'));
    const stripped = stripElf(module, name);
    expect(stripped.length).toBeLessThan(module.length / 2);
    const path = join(tempDir('elf'), 'lmdb.node');
    writeFileSync(path, stripped);
    const code = `const m = { exports: {} }; process.dlopen(m, ${JSON.stringify(path)});
      console.log(typeof m.exports.Env)`;
    expect(execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' })).toBe('function\n');
  });

  it('is refused when it is none', () => {
    expect(() => stripElf(Buffer.alloc(100), 'x.node')).toThrow('x.node is no 64-bit');
  });
});

describe('the lock file', () => {
  it.each(PACKAGE_PLATFORMS)(
    'pins all that %s needs, and nothing of another platform',
    (platform) => {
      const paths = closureOf(lock, ['lmdb', 'libsql', '@duckdb/node-api'], platform);
      const native = paths.map(({ name }) => name).filter((name) => /-(x64|arm64)(-|$)/.test(name));
      expect(native).toEqual([
        `@duckdb/node-bindings-${platform}`,
        `@libsql/${platform}-gnu`,
        `@lmdb/lmdb-${platform}`,
      ]);
      for (const { integrity } of paths) expect(integrity).toMatch(/^sha512-/);
    },
  );

  it('says what it does not hold', () => {
    expect(() => closureOf(lock, ['no-such-package'], 'linux-x64')).toThrow(/no-such-package/);
  });

  it('is what a fetched package must be, also from the cache', async () => {
    const folder = tempDir('fetched');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'weak-lru-cache-1.2.2.tgz'), 'something else');
    const wanted = closureOf(lock, ['weak-lru-cache'], 'linux-x64')[0]!;
    await expect(unpackPackage(wanted, folder)).rejects.toMatchObject({ code: 'integrity' });
  });
});

describe('a release', () => {
  const manifest: PackageManifest = {
    v: 1,
    kind: 'runnel-packages',
    version: '1.0.0',
    node: '24.0.0',
    installer: { sha256: '0'.repeat(64) },
    files: [
      {
        name: 'runnel-agent-1.0.0-linux-x64.tar.xz',
        kind: 'agent',
        platform: 'linux-x64',
        compression: 'xz',
        size: 40_000_000,
        sha256: '0'.repeat(64),
      },
    ],
  };

  it('is signed by a key that is made once', async () => {
    const path = join(tempDir('key'), 'keys/release.pem');
    const { publicKey } = await openReleaseKey(path);
    const signed = (await openReleaseKey(path)).sign(manifest);
    expect(signed.publicKey).toBe(publicKey);
    expect(verifySignature(publicKey, signed.payload, signed.signature)).toBe(true);
    expect(verifySignature(publicKey, `${signed.payload} `, signed.signature)).toBe(false);
    writeFileSync(path, 'nothing');
    await expect(openReleaseKey(path)).rejects.toMatchObject({ code: 'release_key' });
  });

  it('that is over its budget fails, and says by what', () => {
    const fine = { manifest, agentBytes: { 'linux-x64': BUDGET.agentBytesMax } };
    expect(checkBudget(fine)).toHaveLength(2);
    const fat = { manifest, agentBytes: { 'linux-x64': BUDGET.agentBytesMax + 1_000_000 } };
    expect(() => checkBudget(fat)).toThrow(/linux-x64, agent installed .* is 16\.0 MB/);
  });

  it(
    'has the same bytes when it is built again, and fits its budget',
    { timeout: 200_000 },
    async () => {
      const dir = tempDir('twice');
      const platforms = ['linux-x64'] as const;
      const first = await makePackages(join(dir, 'a'), { platforms });
      // Nothing is taken over from the first but what npm gave.
      const cacheDir = join(dir, 'cache');
      mkdirSync(cacheDir);
      execFileSync('cp', ['-r', join(repository, '.runnel/package-cache/fetched'), cacheDir]);
      const second = await makePackages(join(dir, 'b'), { platforms, cacheDir });
      expect(second.manifest).toEqual(first.manifest);
      const [name] = first.manifest.files.map((file) => file.name);
      const bytes = ['a', 'b'].map((build) => readFileSync(join(dir, build, name!)));
      expect(bytes[0]!.equals(bytes[1]!)).toBe(true);
      expect(() => checkBudget(first)).not.toThrow();
    },
  );
});
