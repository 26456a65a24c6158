/** `runnel-control` as a process: first start, second start, lock, signals, arguments. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { rolldown } from 'rolldown';
import { freePort } from '../../support/free-port.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

const root = join(import.meta.dirname, '../../..');
/** Inside the workspace, so that native packages are found from there. */
const bundle = join(root, 'control-plane/dist/test/runnel-control.js');

beforeAll(async () => {
  const build = await rolldown({
    cwd: root,
    input: 'control-plane/server-cli.ts',
    platform: 'node',
    external: ['libsql', /^node:/],
    logLevel: 'silent',
  });
  await build.write({
    file: bundle,
    format: 'esm',
    codeSplitting: false,
    banner:
      "import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);",
  });
  await build.close();
});

interface Run {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly ended: Promise<number | null>;
}

function run(...args: string[]): Run {
  const child = spawn(process.execPath, [bundle, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => (err += data.toString('utf8')));
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => resolve(code));
  });
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return { child, out: () => out, err: () => err, ended };
}

async function serve(dir: string): Promise<Run & { readonly url: string }> {
  const nats = `127.0.0.1:${await freePort()}`;
  const http = `127.0.0.1:${await freePort()}`;
  const started = run('serve', '--data', dir, '--http', http, '--nats-listen', nats);
  const url = await waitFor('ready', () => /^ready (\S+)$/m.exec(started.out())?.[1], 30_000);
  return { ...started, url };
}

describe('runnel-control serve', () => {
  it('gives an admin token and a link at the first start, and keeps its data', async () => {
    const dir = join(tempDir('serve'), 'new/data');
    const first = await serve(dir);
    expect(first.out()).toMatch(/^sign in: http:\S+\/signin\?code=\S+$/m);
    const tokenFile = join(dir, 'admin-token');
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    const authorization = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`;
    const ready = await fetch(`${first.url}/readyz`);
    expect(ready.status).toBe(200);
    const made = await fetch(`${first.url}/api/v1/tokens`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ role: 'viewer', name: 'kept' }),
    });
    expect(made.status).toBe(201);

    const link = run('sign-in-link', '--data', dir);
    expect(await link.ended).toBe(0);
    expect(link.out()).toMatch(new RegExp(`^${first.url}/signin\\?code=\\S+\\n$`));
    const page = await fetch(link.out().trim(), { redirect: 'manual' });
    expect(page.status).toBe(303);

    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    expect(existsSync(join(dir, 'server.json'))).toBe(false);

    const second = await serve(dir);
    expect(second.out()).not.toContain('sign in:');
    const tokens = await fetch(`${second.url}/api/v1/tokens`, { headers: { authorization } });
    expect(await tokens.text()).toContain('"kept"');
  });

  it('refuses a second server on its directory, and takes over from a killed one', async () => {
    const dir = tempDir('serve');
    const first = await serve(dir);
    const second = run('serve', '--data', dir, '--http', `127.0.0.1:${await freePort()}`);
    expect(await second.ended).toBe(1);
    expect(second.err()).toContain(`is in use by process ${first.child.pid} (${first.url})`);
    expect(second.out()).toBe('');
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
    first.child.kill('SIGKILL');
    await first.ended;
    const third = await serve(dir);
    expect((await fetch(`${third.url}/readyz`)).status).toBe(200);
  });

  it('says what is wrong with a taken port and leaves nothing running', async () => {
    const dir = tempDir('serve');
    const first = await serve(dir);
    const http = new URL(first.url).host;
    const nats = `127.0.0.1:${await freePort()}`;
    const other = tempDir('serve');
    const second = run('serve', '--data', other, '--http', http, '--nats-listen', nats);
    expect(await second.ended).toBe(1);
    expect(second.err()).toContain(`something else listens on ${http}`);
    await expect(fetch(`http://${nats}`)).rejects.toThrow();
  });

  it('answers wrong arguments with code 2', async () => {
    const wrongs = [
      ['serve'],
      ['serve', '--data', 'x', '--http', 'nowhere'],
      ['serve', '--data', 'x', '--keep-results', '30'],
      ['serve', '--data', 'x', '--keep-results-rows', '0'],
      ['fly'],
    ];
    for (const args of wrongs) {
      const wrong = run(...args);
      expect(await wrong.ended, args.join(' ')).toBe(2);
      expect(wrong.err()).not.toBe('');
    }
    const version = run('--version');
    expect(await version.ended).toBe(0);
    expect(version.out()).toMatch(/^runnel-control \d+\.\d+\.\d+\n$/);
  });

  it('has no sign-in link to give when it does not run', async () => {
    const link = run('sign-in-link', '--data', tempDir('serve'));
    expect(await link.ended).toBe(1);
    expect(link.err()).toContain('runnel-control serve --data');
  });

  it('finds a nats-server and prints its path alone', async () => {
    const found = run('nats-server');
    expect(await found.ended).toBe(0);
    expect(existsSync(found.out().trim())).toBe(true);
  });
});
