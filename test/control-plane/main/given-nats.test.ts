/** A nats-server that others run, by what `nats-config` prints; and TLS of the own one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fmtCreds } from '@nats-io/jwt';
import { fromSeed } from '@nats-io/nkeys';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { NatsChoice } from '@runnel/control-plane/connect-nats.ts';
import { keysPath } from '@runnel/control-plane/data-dir.ts';
import { KeyRing } from '@runnel/control-plane/identity/key-ring.ts';
import { natsJwts } from '@runnel/control-plane/identity/nats-jwts.ts';
import { natsConfigText } from '@runnel/control-plane/key-commands.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { freePort } from '../../support/free-port.ts';
import { makeTlsFiles } from '../../support/mosquitto.ts';
import { connectDevice, openConnection, startForeignNats } from '../../support/nats.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

async function startControl(dataDir: string, nats: NatsChoice): Promise<TestControlPlane> {
  const control = await TestControlPlane.start(dataDir, { nats });
  onTestFinished(() => control.close());
  return control;
}

async function joined(control: TestControlPlane): Promise<Device> {
  const device = await Device.join(control);
  onTestFinished(() => device.close());
  return device;
}

const configFor = (dataDir: string, port: number): Promise<string> => {
  const listen = { host: '127.0.0.1', port };
  // A new directory each time: the server begins without what was pushed to it before.
  const request = { dataDir, listen, resolverDir: join(tempDir('resolver'), 'accounts') };
  return natsConfigText(request, systemClock, systemRandom);
};

describe('a nats-server that others run', () => {
  it('carries the fleet with our own keys, and revocation cuts the connection', async () => {
    const dataDir = tempDir('data');
    const port = await freePort();
    await startForeignNats(await configFor(dataDir, port), port);
    const control = await startControl(dataDir, { kind: 'given', url: `nats://127.0.0.1:${port}` });
    const device = await joined(control);
    const other = await joined(control);
    expect(await device.send([{ value: { n: 1 } }])).toBe(1);
    const results = await control.get('/datasets/rms/results');
    expect(results.json.items).toMatchObject([{ agent: device.id, seq: 1, value: { n: 1 } }]);
    await device.beat();
    const path = `/agents/${device.id}`;
    await waitFor('online', async () => (await control.get(path)).json.connection === 'online');
    expect((await control.post(`${path}/revoke`)).json.status).toBe('revoked');
    await device.closed;
    expect(await other.send([{}])).toBe(1);
  });

  it('that lost all that was pushed to it is told of revocations again', async () => {
    const dataDir = tempDir('data');
    const port = await freePort();
    const url = `nats://127.0.0.1:${port}`;
    const oldConfig = await configFor(dataDir, port);
    const first = await startForeignNats(oldConfig, port);
    const control = await startControl(dataDir, { kind: 'given', url });
    const device = await joined(control);
    await control.post(`/agents/${device.id}/revoke`);
    await device.closed;
    await control.close();
    const gone = new Promise((resolve) => first.once('exit', resolve));
    first.kill('SIGTERM');
    await gone;
    // The old configuration with an empty resolver knows nothing of the revocation.
    const emptied = oldConfig.replace(/dir: "[^"]+"/, `dir: "${join(tempDir('resolver'), 'new')}"`);
    await startForeignNats(emptied, port);
    await startControl(dataDir, { kind: 'given', url });
    const again = openConnection(device.reply.credentials!, device.key, device.id);
    await expect(again).rejects.toThrow(/authorization/i);
    expect(await configFor(dataDir, port)).not.toBe(oldConfig);
  });

  it('entered with a credentials file carries the fleet but hears of no revocation', async () => {
    const dataDir = tempDir('data');
    const port = await freePort();
    await startForeignNats(await configFor(dataDir, port), port);
    const keys = await KeyRing.open(keysPath(dataDir), systemRandom);
    const { controlUser } = await natsJwts(keys.nats, {});
    const credsFile = join(tempDir('creds'), 'control.creds');
    const pair = fromSeed(Buffer.from(controlUser.seed));
    writeFileSync(credsFile, fmtCreds(controlUser.jwt, pair), { mode: 0o600 });
    const url = `nats://127.0.0.1:${port}`;
    const control = await startControl(dataDir, { kind: 'given', url, credsFile });
    const device = await joined(control);
    expect(await device.send([{}])).toBe(1);
    expect((await control.post(`/agents/${device.id}/revoke`)).json.status).toBe('revoked');
    const stillConnected = openConnection(device.reply.credentials!, device.key, device.id);
    await (await stillConnected).close();
    await expect(device.askDesired()).resolves.toMatchObject({
      error: { code: 'agent_not_approved' },
    });
  });

  it('of another operator is refused with a hint', async () => {
    const port = await freePort();
    await startForeignNats(await configFor(tempDir('other'), port), port);
    const url = `nats://127.0.0.1:${port}`;
    const dataDir = tempDir('data');
    const nats = { kind: 'given', url } as const;
    await expect(TestControlPlane.start(dataDir, { nats })).rejects.toMatchObject({
      code: 'nats_connect',
      hint: expect.stringContaining('nats-config'),
    });
  });
});

describe('the own nats-server with a certificate', () => {
  it('serves devices that have its CA, and they refuse a server with another one', async () => {
    const tls = makeTlsFiles();
    const other = makeTlsFiles();
    const control = await startControl(tempDir('data'), {
      kind: 'own',
      listen: { host: '127.0.0.1', port: 0 },
      tls: { certFile: tls.cert, keyFile: tls.key, caFile: tls.ca },
    });
    const device = await joined(control);
    const credentials = device.reply.credentials!;
    expect(credentials.natsCa).toBe(readFileSync(tls.ca, 'utf8'));
    expect(credentials.natsUrls).toEqual([expect.stringMatching(/^tls:\/\/127\.0\.0\.1:\d+$/)]);
    expect(await device.send([{}])).toBe(1);
    for (const natsCa of [readFileSync(other.ca, 'utf8'), null]) {
      const wrong = connectDevice({ ...credentials, natsCa }, device.key, device.id);
      await expect(wrong).rejects.toThrow(/certificate|self.signed|TLS/i);
    }
    const revoked = await control.post(`/agents/${device.id}/revoke`);
    expect(revoked.json.status).toBe('revoked');
    await device.closed;
  });
});
