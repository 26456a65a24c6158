/** `runnel-control` as a process: first start, second start, lock, signals, arguments. */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { sql } from 'kysely';
import { rolldown } from 'rolldown';
import { startMark } from '@runnel/control-plane/nats/process-identity.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { freePort } from '../../support/free-port.ts';
import { natsServerPath } from '../../support/nats.ts';
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
  return runWith(process.env, ...args);
}

function runWith(env: NodeJS.ProcessEnv, ...args: string[]): Run {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
  const child = spawn(process.execPath, [bundle, ...args], { stdio, env });
  let out = '';
  let err = '';
  child.stdout?.on('data', (data: Buffer) => (out += data.toString('utf8')));
  child.stderr?.on('data', (data: Buffer) => (err += data.toString('utf8')));
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => resolve(code));
  });
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return { child, out: () => out, err: () => err, ended };
}

/** The nats-server that runs for a data directory. */
async function natsPid(dir: string): Promise<number> {
  const record = join(dir, 'nats/server.json');
  const text = await waitFor(
    'nats-server',
    () => existsSync(record) && readFileSync(record, 'utf8'),
  );
  return (JSON.parse(text) as { pid: number }).pid;
}

/** A program in place of nats-server that hangs when it is started with these arguments. */
function hangingNats(when: '--version' | '-c'): string {
  const path = join(tempDir('program'), 'nats-server');
  const version = `[ "$1" = "${when}" ] || { echo "nats-server: v2.11.0"; exit 0; }`;
  writeFileSync(path, `#!/bin/sh\n${version}\nexec sleep 60\n`, { mode: 0o755 });
  return path;
}

/** The last line that a program printed to stderr, after its log. */
const lastLine = (program: Run): string => program.err().trimEnd().split('\n').at(-1) ?? '';

/** On free ports; that of NATS is kept in the directory. */
const anyPorts = ['--http', '127.0.0.1:0', '--nats-listen', '127.0.0.1:0'];

async function serve(dir: string): Promise<Run & { readonly url: string }> {
  const started = run('serve', '--data', dir, ...anyPorts);
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

  it('refuses a second server on its directory', async () => {
    const dir = tempDir('serve');
    const first = await serve(dir);
    const second = run('serve', '--data', dir, ...anyPorts);
    expect(await second.ended).toBe(1);
    expect(lastLine(second)).toMatch(
      new RegExp(`is in use by process ${first.child.pid} \\(${first.url}\\) \\(end it first`),
    );
    expect(second.out()).toBe('');
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
  });

  it('takes over from a killed one, and ends the nats-server that it left behind', async () => {
    const dir = tempDir('serve');
    const first = await serve(dir);
    const orphan = await natsPid(dir);
    const port = readFileSync(join(dir, 'nats/port'), 'utf8');
    first.child.kill('SIGKILL');
    await first.ended;
    expect(await startMark(orphan)).toBeDefined();
    const second = await serve(dir);
    expect(await startMark(orphan)).toBeUndefined();
    expect(readFileSync(join(dir, 'nats/port'), 'utf8')).toBe(port);
    const ready = await fetch(`${second.url}/readyz`);
    expect(ready.status).toBe(200);
  });

  it('knows a directory by whatever path it is given, and so the orphan in it', async () => {
    const dir = tempDir('serve');
    const near = relative(process.cwd(), dir);
    const first = await serve(near);
    const link = run('sign-in-link', '--data', near);
    expect(await link.ended).toBe(0);
    const orphan = await natsPid(dir);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await serve(dir);
    expect(await startMark(orphan)).toBeUndefined();
    expect((await fetch(`${second.url}/readyz`)).status).toBe(200);
  });

  it.each(['--version', '-c'] as const)(
    'ends cleanly when it is asked to while nats-server hangs at %s',
    async (when) => {
      const dir = tempDir('serve');
      const env = { ...process.env, NATS_SERVER: hangingNats(when) };
      const slow = runWith(env, 'serve', '--data', dir, ...anyPorts);
      if (when === '-c') await natsPid(dir);
      else await waitFor('the start', () => existsSync(join(dir, 'keys/keys.json')));
      slow.child.kill('SIGTERM');
      expect(await slow.ended).toBe(0);
      expect(slow.out()).toBe('');
      expect(existsSync(join(dir, 'nats/server.json'))).toBe(false);
      const next = await serve(dir);
      expect((await fetch(`${next.url}/readyz`)).status).toBe(200);
    },
  );

  it('says in one line what is wrong with a taken port and leaves nothing running', async () => {
    const first = await serve(tempDir('serve'));
    const http = new URL(first.url).host;
    const nats = `127.0.0.1:${await freePort()}`;
    const other = tempDir('serve');
    const second = run('serve', '--data', other, '--http', http, '--nats-listen', nats);
    expect(await second.ended).toBe(1);
    expect(lastLine(second)).toBe(
      `runnel-control: something else listens on ${http} ` +
        '(choose another address with --http HOST:PORT)',
    );
    await expect(fetch(`http://${nats}`)).rejects.toThrow();
    const third = run('serve', '--data', other, '--http', '127.0.0.1:0', '--nats-listen', http);
    expect(await third.ended).toBe(1);
    expect(lastLine(third)).toContain(`${http} is taken (stop what listens there, or give`);
  });

  it('refuses the data of a newer release', async () => {
    const dir = tempDir('serve');
    const first = await serve(dir);
    first.child.kill('SIGTERM');
    await first.ended;
    const store = await openStore(join(dir, 'store.db'));
    await sql`insert into schema_versions (version) values (99)`.execute(store.db);
    await store.close();
    const older = run('serve', '--data', dir, ...anyPorts);
    expect(await older.ended).toBe(1);
    expect(lastLine(older)).toMatch(/the store has schema 99; .* \(start the newer release/);
    expect(older.out()).toBe('');
  });

  it('signs with a new key after a rotation, which a running one refuses', async () => {
    const dir = tempDir('serve');
    const first = await serve(dir);
    const refused = run('rotate-signing-key', '--data', dir);
    expect(await refused.ended).toBe(1);
    expect(lastLine(refused)).toContain('is in use by process');
    first.child.kill('SIGTERM');
    await first.ended;
    expect(await run('rotate-signing-key', '--data', dir).ended).toBe(0);
    const keys = readFileSync(join(dir, 'keys/keys.json'), 'utf8');
    expect(JSON.parse(keys)).toMatchObject({ sequence: 2, signing: [{}, {}] });
  });

  it('prints a configuration that a nats-server accepts', async () => {
    const dir = join(tempDir('serve'), 'fresh');
    const listen = `127.0.0.1:${await freePort()}`;
    const resolver = join(tempDir('resolver'), 'accounts');
    const args = ['--data', dir, '--listen', listen, '--dir', resolver];
    const printed = run('nats-config', ...args);
    expect(await printed.ended).toBe(0);
    expect(printed.out()).toContain(`--nats-url nats://HOST:${listen.split(':')[1]}`);
    expect(printed.out()).not.toMatch(/\bS[OAU][A-Z2-7]{50}/);
    const config = join(tempDir('config'), 'nats.conf');
    writeFileSync(config, printed.out());
    const check = spawn(await natsServerPath(), ['-t', '-c', config], { stdio: 'ignore' });
    expect(await new Promise((resolve) => check.once('exit', resolve))).toBe(0);
  });

  it('answers wrong arguments with code 2', async () => {
    const wrongs = [
      ['serve'],
      ['serve', '--data', 'x', '--http', 'nowhere'],
      ['serve', '--data', 'x', '--keep-results', '30'],
      ['serve', '--data', 'x', '--keep-results-rows', '0'],
      ['serve', '--data', 'x', '--heartbeat-interval', '0s'],
      ['serve', '--data', 'x', '--offline-alert-after', '5'],
      ['serve', '--data', 'x', '--offline-alert-after', '31d'],
      ['serve', '--data', 'x', '--offline-alert-after=-1m'],
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
