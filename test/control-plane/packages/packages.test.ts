/** Archives as a control plane offers them: only what is signed, only what is listed, one line. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { installLine } from '@runnel/control-plane/packages/install-script.ts';
import type { PackagesChoice } from '@runnel/control-plane/packages/package-folder.ts';
import type { PackageManifest } from '@runnel/shared/protocol/packages.ts';
import { servedManifest, packageManifest } from '@runnel/shared/protocol/packages.ts';
import { verifySignature } from '@runnel/shared/protocol/signing.ts';
import { openReleaseKey } from '../../../deploy/package/release-key.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { ended } from '../../support/installing.ts';
import { repository } from '../../support/processes.ts';
import { tempDir } from '../../support/temp-dir.ts';

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
const NAME = 'runnel-agent-1.2.3-linux-x64.tar.xz';
const ARCHIVE = 'the bytes of an archive';

/** A folder as `npm run package` leaves it, with small archives. */
async function folderOf(version = '1.2.3', folder = join(tempDir('packages'), 'packages')) {
  mkdirSync(folder, { recursive: true });
  const installer = readFileSync(join(repository, 'deploy/install/install.sh'));
  writeFileSync(join(folder, 'install.sh'), installer);
  writeFileSync(join(folder, NAME), ARCHIVE);
  const manifest: PackageManifest = {
    v: 1,
    kind: 'runnel-packages',
    version,
    node: '24.0.0',
    installer: { sha256: sha256(installer) },
    files: [
      {
        name: NAME,
        kind: 'agent',
        platform: 'linux-x64',
        compression: 'xz',
        size: ARCHIVE.length,
        sha256: sha256(ARCHIVE),
      },
    ],
  };
  const key = await openReleaseKey(join(folder, '../release.pem'));
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(key.sign(manifest)));
  return { folder, key };
}

async function serving(choice: Partial<PackagesChoice>): Promise<TestControlPlane> {
  const packages = { folder: tempDir('none'), releaseKey: undefined, publicCa: undefined };
  const control = await TestControlPlane.start(undefined, { packages: { ...packages, ...choice } });
  onTestFinished(() => control.close());
  return control;
}

const open = (control: TestControlPlane, path: string, headers = {}) =>
  control.request('GET', path, { token: null, headers });

describe('archives', () => {
  it('are served to everybody, with a tag, and nothing else of the machine is', async () => {
    const { folder } = await folderOf();
    const control = await serving({ folder });
    const answer = await open(control, `/packages/${NAME}`);
    expect(answer).toMatchObject({ status: 200, text: ARCHIVE });
    const etag = answer.headers.get('etag')!;
    expect(await open(control, `/packages/${NAME}`, { 'if-none-match': etag })).toMatchObject({
      status: 304,
      text: '',
    });
    const head = await control.request('HEAD', `/packages/${NAME}`, { token: null });
    expect(head.headers.get('content-length')).toBe(String(ARCHIVE.length));
    for (const path of [
      'release.pem',
      '../release.pem',
      '..%2Frelease.pem',
      '%2e%2e/release.pem',
    ]) {
      expect(await rawStatus(`${control.url}/packages/${path}`), path).toBe(404);
    }
  });

  it('come with a manifest that the signing key of the control plane signed', async () => {
    const control = await serving({ folder: (await folderOf()).folder });
    const served = servedManifest.parse((await open(control, '/packages/manifest.json')).json);
    const list = JSON.parse(served.keys.payload) as { keys: { id: string; publicKey: string }[] };
    const key = list.keys.find(({ id }) => id === served.keyId)!;
    expect(verifySignature(key.publicKey, served.payload, served.signature)).toBe(true);
    expect(packageManifest.parse(JSON.parse(served.payload)).version).toBe('1.2.3');
  });

  it('that were built anew are served with no restart', async () => {
    const { folder } = await folderOf();
    const control = await serving({ folder });
    expect((await open(control, '/install.sh')).text).toContain("VERSION='1.2.3'");
    await folderOf('1.2.4', folder);
    expect((await open(control, '/install.sh')).text).toContain("VERSION='1.2.4'");
  });

  it.each([
    ['of another release key', { releaseKey: 'A'.repeat(43) }, () => undefined],
    [
      'whose manifest was changed',
      {},
      (folder: string) => {
        const path = join(folder, 'manifest.json');
        writeFileSync(path, readFileSync(path, 'utf8').replace('1.2.3', '1.2.9'));
      },
    ],
    ['of which one is cut', {}, (folder: string) => writeFileSync(join(folder, NAME), 'the')],
    [
      'with another installer',
      {},
      (folder: string) => writeFileSync(join(folder, 'install.sh'), 'rm -rf /'),
    ],
  ])('%s are not offered', async (_name, choice, spoil) => {
    const { folder } = await folderOf();
    spoil(folder);
    const control = await serving({ folder, ...choice });
    for (const path of ['/install.sh', '/packages/manifest.json', `/packages/${NAME}`]) {
      expect(await open(control, path)).toMatchObject({
        status: 503,
        json: { code: 'packages_invalid' },
      });
    }
    const made = await control.post('/tokens', { role: 'agent' });
    expect(made.json.install).toMatchObject({ command: null, version: null });
    expect(made.json.install.problem).toMatch(/not offered/);
  });

  it('that were never made: says what to do, and devices join from sources', async () => {
    const control = await serving({});
    const answer = await open(control, '/install.sh');
    expect(answer).toMatchObject({ status: 404, json: { code: 'packages_not_found' } });
    expect(answer.json.hint).toContain('npm run package');
    const made = await control.post('/tokens', { role: 'agent' });
    expect(made.json.install.problem).toContain('npm run package');
    expect(made.json.enrollCommand).toContain('npx runnel-agent enroll');
  });
});

describe('the one line', () => {
  it('carries the checksum of the installer that is served', async () => {
    const control = await serving({ folder: (await folderOf()).folder });
    const made = await control.post('/tokens', { role: 'agent' });
    const { command } = made.json.install as { command: string };
    const { text } = await open(control, '/install.sh');
    expect(command).toContain(sha256(text));
    expect(command).toContain(`--url ${control.url} --token ${made.json.token}`);
    expect(command).not.toContain('\n');
    expect(command).not.toContain(' -k ');
  });

  it('trusts no certificate where a device cannot know the CA; the installer has it', async () => {
    const publicCa = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const control = await serving({ folder: (await folderOf()).folder, publicCa });
    const made = await control.post('/tokens', { role: 'agent' });
    expect(made.json.install.command).toMatch(/curl -fsS -k .* wget -q --no-check-certificate/);
    expect((await open(control, '/install.sh')).text).toContain(`CA_PEM='${publicCa.trim()}'`);
  });

  it('is one word for a shell wherever text of others is in it', async () => {
    const url = "http://x'; touch /tmp/broken; '";
    const line = installLine({ url, token: 'rj1', sha256: 'f', privateCa: false });
    const code = `curl() { :; }; wget() { :; }; sha256sum() { :; }; command() { :; }
      sh() { for word in "$@"; do echo "<$word>"; done; }; ${line}`;
    const { out } = await ended('sh', ['-c', code]);
    expect(out.split('\n').slice(1)).toEqual(['<--url>', `<${url}>`, '<--token>', '<rj1>', '']);
  });
});

/** As written, where `fetch` would tidy the path up first. */
async function rawStatus(url: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  const path = url.slice(url.indexOf('/', 'http://'.length));
  return await new Promise((resolve, reject) => {
    request({ hostname, port, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .once('error', reject)
      .end();
  });
}
