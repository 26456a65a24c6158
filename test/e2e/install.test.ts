/**
 * The one line on a device, from nothing to a result and back to nothing: a real control plane that
 * serves real archives, a home directory, the runtime of the archive, no service manager.
 *
 *   line ─▶ installer ─▶ archive ─▶ enrolled ─▶ online ─▶ result
 *   again: nothing · newer: upgrade · does not start: back · other bytes: refused ·
 *   uninstall: nothing left
 */
import {
  cpSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PackagePlatform } from '@runnel/shared/protocol/packages.ts';
import { findProgram } from '../support/find-program.ts';
import { type Home, Plant, ticksJob } from '../support/installing.ts';
import { makePackages } from '../support/packages.ts';
import { repository } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const DEADLINE_MS = 300_000;
const platform = `linux-${process.arch}` as PackagePlatform;
const needs = ['curl', 'xz'].filter((program) => findProgram(program) === undefined);
const possible = process.platform === 'linux' && (needs.length === 0 || process.env.CI === 'true');

/** This checkout, but for an agent that ends as soon as it is to run. */
function brokenCheckout(): string {
  const root = tempDir('broken');
  for (const name of ['LICENSE', 'package-lock.json', 'package.json', 'deploy']) {
    symlinkSync(join(repository, name), join(root, name));
  }
  cpSync(join(repository, 'agent/dist'), join(root, 'agent/dist'), { recursive: true });
  const program = join(root, 'agent/dist/runnel-agent.js');
  const dies = `if (process.argv[2] === 'run') process.exit(3);\n`;
  writeFileSync(program, dies + readFileSync(program, 'utf8'));
  return root;
}

describe.skipIf(!possible)('the one line, in a home directory', { timeout: DEADLINE_MS }, () => {
  let plant: Plant;
  let home: Home;
  let pid: number;
  let agent: string;
  let line: string;

  beforeAll(async () => {
    plant = await Plant.start((folder) => makePackages(folder, { platforms: [platform] }));
    home = plant.home('device');
  }, DEADLINE_MS);

  afterAll(async () => {
    await home.stop();
    await plant.close();
  });

  it('installs, enrols, starts: the agent is online by the runtime of the archive', async () => {
    line = await plant.line();
    const { code, out, err } = await home.install(line, '--name', 'device');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/enrolled as device/);
    expect(out).toMatch(/connected to/);
    await plant.online('device');
    ({ pid, agent } = await home.status());
    expect(readlinkSync(`/proc/${pid}/exe`)).toMatch(`${home.releases}/0.1.0-`);
  });

  it('runs a job that is pushed to it, and the result arrives', async () => {
    expect((await plant.control.post('/jobs', ticksJob)).status).toBeLessThan(300);
    await waitFor(
      'a result',
      async () => (await plant.control.get('/datasets/ticks/results')).json?.items?.[0],
      60_000,
    );
  });

  it('run again changes nothing, also with a token that is used up', async () => {
    const { code, out } = await home.install(line);
    expect(code).toBe(0);
    expect(out).toMatch(/enrolled as device/);
    expect(out).toMatch(/Nothing had to be changed/);
    expect((await home.status()).pid).toBe(pid);
  });

  it('a line with another checksum runs nothing', async () => {
    const wrong = line.replace(/echo "[0-9a-f]{8}/, 'echo "00000000');
    const { code, out } = await home.install(wrong);
    expect(code).not.toBe(0);
    expect(out).toBe('');
  });

  it('a newer release takes its place; the one before it stays', async () => {
    await makePackages(plant.packages, { platforms: [platform], version: '0.1.1' });
    const { code, out, err } = await home.install(await plant.line());
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/unpacked 0\.1\.1-/);
    const status = await home.status();
    expect(status).toMatchObject({ running: true, agent });
    expect(status.pid).not.toBe(pid);
    expect(readlinkSync(`/proc/${status.pid}/exe`)).toMatch('/0.1.1-');
    expect(readlinkSync(join(home.releases, 'previous'))).toMatch(/^0\.1\.0-/);
    await plant.online('device');
  });

  it('a release that does not start gives way to the one before it', async () => {
    const root = brokenCheckout();
    await makePackages(plant.packages, { root, platforms: [platform], version: '0.1.2' });
    const { code, err } = await home.install(await plant.line());
    expect(code).toBe(1);
    expect(err).toMatch(
      /0\.1\.2-\w+ did not start within 30 s; 0\.1\.1-\w+ runs again; see: .*log/,
    );
    expect(readlinkSync(join(home.releases, 'current'))).toMatch(/^0\.1\.1-/);
    await waitFor('the one before', async () => (await home.status()).running, 60_000);
    expect((await home.status()).agent).toBe(agent);
    await plant.online('device');
  });

  it('an archive with one other byte is refused, and what runs goes on', async () => {
    const { manifest } = await makePackages(plant.packages, {
      platforms: [platform],
      version: '0.1.3',
    });
    const path = join(plant.packages, manifest.files[0]!.name);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
    const { code, err } = await home.install(await plant.line());
    expect(code).toBe(1);
    expect(err).toMatch(/0\.1\.3.* is not what was announced; refused/);
    expect(readlinkSync(join(home.releases, 'current'))).toMatch(/^0\.1\.1-/);
    expect((await home.status()).running).toBe(true);
  });

  it('uninstall keeps the data where nobody can be asked, and says so', async () => {
    const { code, out } = await home.agent('uninstall');
    expect(code).toBe(0);
    expect(out).toContain(`kept: ${home.data}`);
    expect(readdirSync(join(home.data, 'identity'))).toContain('device.seed');
  });

  it('the installer finds that data again: the same device', async () => {
    await makePackages(plant.packages, { platforms: [platform] });
    const { code, err } = await home.install(await plant.line());
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect((await home.status()).agent).toBe(agent);
  });

  it('uninstall with --purge leaves nothing', async () => {
    const { pid: last } = await home.status();
    const { code, err } = await home.agent('uninstall', '--yes', '--purge');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(readdirSync(home.path)).toEqual([]);
    expect(() => process.kill(last, 0)).toThrow('ESRCH');
  });
});
