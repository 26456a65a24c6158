import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { KeyRing } from '@runnel/control-plane/identity/key-ring.ts';
import { type NatsJwts, natsJwts } from '@runnel/control-plane/identity/nats-jwts.ts';
import { chooseListen, parseListen } from '@runnel/control-plane/nats/listen-address.ts';
import { NatsLink } from '@runnel/control-plane/nats/nats-link.ts';
import { NatsServer } from '@runnel/control-plane/nats/nats-server.ts';
import { endProcess, startMark } from '@runnel/control-plane/nats/process-identity.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { natsServerPath, silentLog, startNats } from '../../support/nats.ts';
import { freePort } from '../../support/free-port.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

async function someJwts(): Promise<NatsJwts> {
  const keys = await KeyRing.open(tempDir('keys'), systemRandom);
  return await natsJwts(keys.nats, {});
}

async function linkTo(url: string, credentials: { jwt: string; seed: string }): Promise<NatsLink> {
  const options = { urls: [url], credentials, name: 'test', clock: systemClock, log: silentLog };
  const link = await NatsLink.connect(options);
  onTestFinished(() => link.close());
  return link;
}

describe('the embedded nats-server', () => {
  it('serves the control plane and refuses everyone without credentials', async () => {
    const jwts = await someJwts();
    const server = await startNats({ jwts: () => Promise.resolve(jwts) });
    const link = await linkTo(server.url, jwts.controlUser);
    expect(link.connected).toBe(true);
    const foreign = await someJwts();
    await expect(linkTo(server.url, foreign.controlUser)).rejects.toThrow(/cannot connect to NATS/);
  });

  it('keeps its files to their owner and opens no monitoring port', async () => {
    const jwts = await someJwts();
    const dir = tempDir('nats');
    await startNats({ jwts: () => Promise.resolve(jwts), dir });
    expect(statSync(join(dir, 'nats.conf')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dir, 'nats.conf'), 'utf8')).not.toMatch(/http|SU[A-Z2-7]{20}/);
    expect(readdirSync(dir).toSorted()).toEqual(['accounts', 'nats.conf', 'server.json']);
  });

  it('is started again when it is killed, and the link counts the time it was away', async () => {
    const jwts = await someJwts();
    const server = await startNats({ jwts: () => Promise.resolve(jwts) });
    const link = await linkTo(server.url, jwts.controlUser);
    const seen: string[] = [];
    link.onStatus((status) => seen.push(status.kind));
    const first = server.pid!;
    process.kill(first, 'SIGKILL');
    await waitFor('the link to be back', () => seen.includes('connected'));
    expect(seen).toEqual(['disconnected', 'connected']);
    expect(server.restarts).toBe(1);
    expect(server.pid).not.toBe(first);
  });

  it('ends the orphan of a parent that was killed, and takes its port again', async () => {
    const dir = tempDir('nats');
    const jwts = await someJwts();
    const port = await freePort();
    const before = await startNats({ jwts: () => Promise.resolve(jwts), dir, port });
    await before.stop();
    const args = ['-c', join(dir, 'nats.conf')];
    const orphan = spawn(await natsServerPath(), args, { stdio: 'ignore' });
    const gone = new Promise((resolve) => orphan.once('exit', resolve));
    const mark = await waitFor('the orphan', () => startMark(orphan.pid!));
    const record = { pid: orphan.pid, start: mark };
    writeFileSync(join(dir, 'server.json'), JSON.stringify(record));
    const next = await startNats({ jwts: () => Promise.resolve(jwts), dir, port });
    await gone;
    expect(next.address.port).toBe(port);
    expect(next.pid).not.toBe(orphan.pid);
  });

  it('never ends a stranger that has the number of its old server', async () => {
    const dir = tempDir('nats');
    const jwts = await someJwts();
    const server = await startNats({ jwts: () => Promise.resolve(jwts), dir });
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    const gone = new Promise((resolve) => stranger.once('exit', resolve));
    const record = readFileSync(join(dir, 'server.json'), 'utf8');
    await server.stop();
    writeFileSync(
      join(dir, 'server.json'),
      JSON.stringify({ ...JSON.parse(record), pid: stranger.pid }),
    );
    await startNats({ jwts: () => Promise.resolve(jwts), dir });
    const mark = await startMark(stranger.pid!);
    expect(mark).toBeDefined();
    await endProcess(stranger.pid!, mark!, 1000, systemClock);
    await gone;
  });

  it('leaves no process and no record behind when it stops', async () => {
    const dir = tempDir('nats');
    const jwts = await someJwts();
    const server = await startNats({ jwts: () => Promise.resolve(jwts), dir });
    const pid = server.pid!;
    await server.stop();
    expect(await startMark(pid)).toBeUndefined();
    expect(existsSync(join(dir, 'server.json'))).toBe(false);
  });

  it('refuses an address that is taken, naming what to do', async () => {
    const taken = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => new Promise<void>((resolve) => taken.close(() => resolve())));
    const jwts = await someJwts();
    await expect(startNats({ jwts: () => Promise.resolve(jwts), port })).rejects.toMatchObject({
      code: 'nats_port_taken',
      hint: expect.stringContaining('--nats-listen'),
    });
  });

  it.each([
    ['without an address', undefined],
    ['for port 0', { host: '127.0.0.1', port: 0 }],
  ])('keeps the port that it chose %s', async (_name, listen) => {
    const dir = tempDir('nats');
    const jwts = await someJwts();
    const program = await natsServerPath();
    const begin = () =>
      NatsServer.start({
        dir,
        program,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        jwts: () => Promise.resolve(jwts),
        ...(listen === undefined ? {} : { listen }),
      });
    const first = await begin();
    await first.stop();
    const second = await begin();
    await second.stop();
    expect(second.address).toEqual(first.address);
    expect(readFileSync(join(dir, 'port'), 'utf8').trim()).toBe(String(first.address.port));
    if (listen !== undefined) expect(first.address.port).not.toBe(4222);
  });

  it('takes another port when the one that it kept is taken', async () => {
    const dir = tempDir('nats');
    const portFile = join(dir, 'port');
    const given = { host: '127.0.0.1', port: 0 };
    const first = await chooseListen(given, portFile);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(first.address.port, '127.0.0.1', resolve));
    onTestFinished(() => new Promise<void>((resolve) => taken.close(() => resolve())));
    const next = await chooseListen(given, portFile);
    expect(next.moved).toBe(true);
    expect(next.address.port).not.toBe(first.address.port);
    expect(await chooseListen(given, portFile)).toEqual({ address: next.address, moved: false });
  });

  it('names what the server said when it cannot start', async () => {
    const jwts = await someJwts();
    const broken = { ...jwts, operator: 'nonsense' };
    await expect(startNats({ jwts: () => Promise.resolve(broken) })).rejects.toMatchObject({
      code: 'nats_start',
      message: expect.stringMatching(/nats-server ended with code 1: .*operator/),
    });
  });
});

describe('an address to listen on', () => {
  it.each([
    ['127.0.0.1:4222', { host: '127.0.0.1', port: 4222 }],
    [':4222', { host: '0.0.0.0', port: 4222 }],
    ['4333', { host: '127.0.0.1', port: 4333 }],
    ['[::1]:4222', { host: '::1', port: 4222 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['nats.example:4222', { host: 'nats.example', port: 4222 }],
  ])('%s', (text, expected) => {
    expect(parseListen(text)).toEqual(expected);
  });

  it.each(['', '127.0.0.1', '127.0.0.1:99999', 'a:b:4222'])('is not %j', (text) => {
    expect(() => parseListen(text)).toThrow(/not an address/);
  });
});
