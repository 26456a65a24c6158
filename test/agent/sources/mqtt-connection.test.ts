/** The mqtt source's connection: versions, logins, TLS, limits, backpressure. */
import { createServer } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Durable } from '../../contracts/commit-driver.ts';
import { freePort } from '../../support/free-port.ts';
import { Mosquitto, makeTlsFiles } from '../../support/mosquitto.ts';
import { describeWith } from '../../support/programs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startBroker } from './embedded-harness.ts';
import { drive, mqttSource, numbers, publishAll, publisher } from './mqtt-harness.ts';

describeWith(['mosquitto', 'openssl'], 'the mqtt source over TLS', () => {
  it('connects with the broker’s own CA, and refuses a broker it cannot verify', async () => {
    const tls = makeTlsFiles();
    const broker = await Mosquitto.start({ tls });
    const stranger = await drive(broker.url);
    await waitFor('refusal', () => stranger.error !== undefined);
    expect(stranger.error).toMatch(/^mqtts:\/\/localhost:\d+: .*(certificate|signed)/);
    await stranger.source.stop();
    const driver = await drive(broker.url, { endpoint: { ca: tls.ca } });
    await waitFor('live', () => driver.connected);
    const client = await publisher(broker.url, { ca: readFileSync(tls.ca) });
    await publishAll(client, numbers(50));
    await waitFor('all', () => driver.durable.records.length === 50);
  });

  it('shows its client certificate where the broker demands one', async () => {
    const tls = makeTlsFiles();
    const broker = await Mosquitto.start({ tls, lines: ['require_certificate true'] });
    const driver = await drive(broker.url, { endpoint: { ...tls } });
    await waitFor('live', () => driver.connected);
  });
});

describeWith(['mosquitto'], 'the mqtt source’s connection', () => {
  it('names broker and reason when the login is wrong, and goes on when it is mended', async () => {
    const login = { username: 'edge', password: 'right' };
    const broker = await Mosquitto.start({ login });
    const file = join(tempDir('secret'), 'password');
    writeFileSync(file, 'wrong\n');
    for (const protocolVersion of [4, 5] as const) {
      writeFileSync(file, 'wrong\n');
      const endpoint = { username: 'edge', password: { file } };
      const driver = await drive(broker.url, { endpoint, protocolVersion });
      await waitFor('refusal', () => driver.error !== undefined);
      expect(driver.error).toMatch(/refused the connection: .*(authori[sz]ed|password)/i);
      expect(driver.error).toContain(broker.url);
      writeFileSync(file, 'right\n');
      await waitFor('live', () => driver.connected);
      await driver.source.stop();
    }
  });

  it('waits for a secret that is not there, and says which', async () => {
    const broker = await Mosquitto.start();
    const endpoint = { username: 'a', password: { env: 'RUNNEL_TEST_NO_SUCH_SECRET' } };
    const driver = await drive(broker.url, { endpoint });
    await waitFor('error', () => driver.error !== undefined);
    expect(driver.error).toContain('RUNNEL_TEST_NO_SUCH_SECRET is not set');
  });

  it('takes a payload of 1 MiB and drops a larger one, acknowledged in its turn', async () => {
    const broker = await Mosquitto.start();
    const driver = await drive(broker.url, { receiveMaximum: 4 }, new Durable(), { auto: false });
    await waitFor('live', () => driver.connected);
    const client = await publisher(broker.url);
    const exactly = Buffer.alloc(1024 * 1024, 'x').toString();
    await publishAll(client, ['before', exactly, `${exactly}y`, 'after', ...numbers(8)]);
    await waitFor('the first four', () => driver.gathered.length === 3);
    expect(driver.gathered.map(({ bytes }) => bytes)).toEqual([6, 1_048_576, 5]);
    driver.automatic(true);
    // Were the large one not acknowledged, the window of four would stay one smaller for ever.
    await waitFor('all', () => driver.durable.records.length === 11);
    expect(driver.dropped).toEqual({ payload_too_large: 1 });
    expect(driver.source.report().dropped).toEqual({ payload_too_large: 1 });
    const durable = await driver.crash();
    const again = await drive(broker.url, { receiveMaximum: 4 }, durable);
    await waitFor('live again', () => again.connected);
    await publishAll(client, ['last']);
    await waitFor('last', () => durable.texts.includes('last'));
    expect(durable.records).toHaveLength(12);
  });

  it('keeps memory bounded and loses nothing when the commits are slow', async () => {
    const broker = await Mosquitto.start({ lines: ['max_queued_messages 100000'] });
    const gatherMax = 50;
    const driver = await drive(broker.url, {}, new Durable(), { auto: false, gatherMax });
    await waitFor('live', () => driver.connected);
    const client = await publisher(broker.url);
    const published = publishAll(client, numbers(5000));
    await waitFor('full', () => driver.gathered.length === gatherMax);
    await published;
    driver.automatic(true);
    await waitFor('all', () => driver.durable.records.length === 5000);
    expect(driver.durable.texts).toEqual(numbers(5000));
    expect(driver.gatheredPeak).toBe(gatherMax);
    expect(driver.offeredWhileFull).toBe(0);
  });

  it('keeps its session while it does not read, longer than the keep-alive', async () => {
    const broker = await Mosquitto.start();
    const options = { keepaliveSeconds: 1 };
    const driver = await drive(broker.url, options, new Durable(), { auto: false, gatherMax: 1 });
    await waitFor('live', () => driver.connected);
    const client = await publisher(broker.url);
    await publishAll(client, numbers(300));
    await waitFor('full', () => driver.gathered.length === 1);
    const since = performance.now();
    await waitFor('three keep-alives', () => performance.now() - since > 3200);
    expect(driver.connections).toEqual([{ connected: true, error: undefined }]);
    driver.automatic(true);
    await waitFor('all', () => driver.durable.records.length === 300);
    expect(driver.source.report().redelivered).toBe(0);
    expect(driver.connections).toHaveLength(1);
  });

  it('hands on user properties as meta, and takes QoS 0 messages in the same order', async () => {
    const broker = await Mosquitto.start();
    const driver = await drive(broker.url);
    await waitFor('live', () => driver.connected);
    const client = await publisher(broker.url, { protocolVersion: 5 });
    const properties = { userProperties: { unit: 'mm/s' }, contentType: 'text/plain' };
    client.publish('data/a', 'zero', { qos: 0 });
    await client.publishAsync('data/b', 'one', { qos: 1, properties });
    await waitFor('both', () => driver.durable.records.length === 2);
    expect(driver.durable.records).toEqual([
      { topic: 'data/a', text: 'zero', bytes: 4, meta: undefined },
      { topic: 'data/b', text: 'one', bytes: 3, meta: properties },
    ]);
  });

  it('takes one subscription for a session and keeps what came while it was away', async () => {
    const broker = await Mosquitto.start();
    const first = await drive(broker.url);
    await waitFor('live', () => first.connected);
    await first.source.stop();
    const client = await publisher(broker.url);
    await publishAll(client, numbers(30));
    await drive(broker.url, {}, first.durable);
    await waitFor('all', () => first.durable.records.length === 30);
    expect(first.durable.texts).toEqual(numbers(30));
  });

  it('survives cuts between flush and PUBACK, again and again, exactly once', async () => {
    const broker = await Mosquitto.start({ lines: ['max_queued_messages 100000'] });
    const client = await publisher(broker.url);
    const first = await drive(broker.url);
    await waitFor('live', () => first.connected);
    const { durable } = first;
    await first.source.stop();
    const published = publishAll(client, numbers(2000));
    let redelivered = 0;
    for (let round = 0; round < 8; round += 1) {
      const driver = await drive(broker.url, {}, durable, { auto: false });
      await waitFor('some', () => driver.gathered.length > 20);
      driver.commit(10 + round);
      driver.flush(Math.min(driver.gathered.length, 5 + round));
      await driver.crash();
      redelivered += driver.source.report().redelivered;
    }
    const last = await drive(broker.url, {}, durable);
    await published;
    await waitFor('all', () => durable.records.length >= 2000);
    expect(durable.texts).toEqual(numbers(2000));
    redelivered += last.source.report().redelivered;
    expect(redelivered).toBeGreaterThan(7);
  });
});

describe('the mqtt source and a broker that', () => {
  it('speaks 3.1.1 only gets 3.1.1 when the document does not fix the version', async () => {
    const { url, broker } = await startBroker();
    broker.use({});
    await waitFor('listening', () => broker.port !== null);
    const driver = await drive(url);
    await waitFor('live', () => driver.connected);
    expect(driver.source.receiveWindow).toBe(20);
    expect(driver.connections).toEqual([{ connected: true, error: undefined }]);
    const fixed = await drive(url, { protocolVersion: 5, clientId: 'other' });
    await waitFor('refusal', () => fixed.error !== undefined);
    expect(fixed.connected).toBe(false);
  });

  it('is not there is tried again until it is', async () => {
    const port = await freePort();
    const driver = await drive(`mqtt://127.0.0.1:${port}`);
    await waitFor('error', () => driver.error !== undefined);
    expect(driver.error).toMatch(/^mqtt:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED/);
    const { broker } = await startBroker({ port });
    broker.use({});
    await waitFor('live', () => driver.connected);
  });

  it('breaks the protocol is left, with the reason', async () => {
    const server = createServer((socket) => {
      // CONNACK, then a PUBLISH with QoS 3.
      socket.once('data', () => socket.write(Buffer.from([0x20, 2, 0, 0, 0x36, 3, 0, 1, 97])));
      socket.on('error', () => socket.destroy());
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const driver = await drive(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4 });
    await waitFor('error', () => driver.error !== undefined);
    expect(driver.error).toContain('the broker sent a PUBLISH with QoS 3');
  });

  it.each([
    ['http://host', /http:\/\/ is not supported/],
    ['mqtt://user:secret@host', /contains credentials/],
    ['nonsense', /is not a broker's URL/],
  ])('has the URL %s is refused before anything connects', (url, problem) => {
    expect(() => mqttSource(url)).toThrow(problem);
    expect(() => mqttSource(url)).not.toThrow(/secret/);
  });
});
