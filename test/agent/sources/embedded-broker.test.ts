/** The embedded broker with real MQTT.js publishers and subscribers. */
import { connect as connectSocket, createServer } from 'node:net';
import { type IClientOptions, connect, connectAsync } from 'mqtt';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BrokerSource } from '@runnel/agent/sources/broker-source.ts';
import { CommitDriver, type DriverOptions, Durable } from '../../contracts/commit-driver.ts';
import { freePort } from '../../support/free-port.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type TestBroker, startBroker } from './embedded-harness.ts';
import { numbers, publishAll, publisher } from './mqtt-harness.ts';

async function takes(
  { broker }: TestBroker,
  topic: string,
  options: DriverOptions = {},
  durable = new Durable(),
): Promise<CommitDriver> {
  const driver = new CommitDriver(
    new BrokerSource(`mqtt-${topic}`, topic, broker),
    durable,
    options,
  );
  onTestFinished(() => driver.source.stop());
  await driver.start();
  await waitFor('listening', () => driver.connected);
  return driver;
}

/** A QoS 1 PUBLISH to `data/t` as bytes. */
function publishBytes(packetId: number, text: string, dup = false): Buffer {
  const head = Buffer.from([dup ? 0x3a : 0x32, 10 + text.length, 0, 6]);
  return Buffer.concat([
    head,
    Buffer.from('data/t'),
    Buffer.from([0, packetId]),
    Buffer.from(text),
  ]);
}

/** Connects as `sensor` with a clean session, sends, and goes when all is acknowledged. */
async function rawClean(port: number, publishes: readonly Buffer[]): Promise<void> {
  const socket = connectSocket(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let received = 0;
  socket.on('data', (chunk) => (received += chunk.length));
  const connectBytes = [0x10, 18, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, 6];
  socket.write(Buffer.concat([Buffer.from(connectBytes), Buffer.from('sensor'), ...publishes]));
  // A CONNACK and the PUBACKs, four bytes each.
  await waitFor('acknowledgements', () => received === 4 + 4 * publishes.length);
  socket.destroy();
}

const sensor: IClientOptions = { clientId: 'sensor', clean: false };

describe('the embedded broker', () => {
  it('acknowledges a message when every source that takes it has committed it', async () => {
    const site = await startBroker();
    const one = await takes(site, 'data/+', { auto: false });
    const two = await takes(site, 'data/#', { auto: false });
    const client = await publisher(site.url);
    const acknowledged: string[] = [];
    for (const text of numbers(6)) {
      void client.publishAsync('data/t', text, { qos: 1 }).then(() => acknowledged.push(text));
    }
    await waitFor('both', () => one.gathered.length === 6 && two.gathered.length === 6);
    one.commit();
    two.commit(2);
    await waitFor('two', () => acknowledged.length === 2);
    two.commit();
    await waitFor('all', () => acknowledged.length === 6);
    expect(acknowledged).toEqual(numbers(6));
  });

  it('acknowledges at once what no source takes', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'wanted', { auto: false });
    const client = await publisher(site.url);
    await publishAll(client, numbers(100), 'unwanted');
    expect(driver.gathered).toEqual([]);
  });

  it('recognises what MQTT.js sends again without DUP, over a restart of the agent', async () => {
    const port = await freePort();
    const durable = new Durable();
    const client = { current: await resend(port, durable) };
    const second = await startBroker({ port });
    const driver = await takes(second, 'data/#', {}, durable);
    await waitFor('all', () => client.current.acknowledged() === 25);
    await waitFor('committed', () => durable.records.length >= 25);
    expect([...durable.texts].sort()).toEqual([...numbers(25)].sort());
    expect(driver.source.report().redelivered).toBe(9);
  });

  it('recognises nothing of a publisher with a clean session, whose ids begin anew', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'data/#');
    for (let round = 0; round < 3; round += 1) {
      const messageIdProvider = countingIds();
      const options = { clientId: 'sensor', clean: true, messageIdProvider };
      const client = await connectAsync(site.url, options);
      await publishAll(client, ['same']);
      await client.endAsync();
    }
    expect(driver.durable.texts).toEqual(['same', 'same', 'same']);
    expect(driver.source.report().redelivered).toBe(0);
  });

  it('recognises what a publisher with a clean session sends again when it says DUP', async () => {
    const port = await freePort();
    const durable = new Durable();
    const first = await startBroker({ port });
    const driver = await takes(first, 'data/#', {}, durable);
    await rawClean(port, [publishBytes(1, 'a'), publishBytes(2, 'b')]);
    expect(durable.texts).toEqual(['a', 'b']);
    await driver.source.stop();
    await first.broker.stop();

    const second = await takes(await startBroker({ port }), 'data/#', {}, durable);
    await rawClean(port, [publishBytes(1, 'a', true), publishBytes(2, 'b', true)]);
    await rawClean(port, [publishBytes(1, 'other', true), publishBytes(2, 'b', true)]);
    expect(durable.texts).toEqual(['a', 'b', 'other', 'b']);
    expect(second.source.report().redelivered).toBe(2);
  });

  it('forgets a publisher that comes back with a clean session', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'data/#');
    for (const clean of [false, true, false]) {
      const messageIdProvider = countingIds();
      const client = await connectAsync(site.url, { clientId: 'sensor', clean, messageIdProvider });
      await publishAll(client, ['same']);
      await client.endAsync();
    }
    expect(driver.durable.records).toHaveLength(3);
  });

  it('lets a reconnecting publisher in only when what it left behind is committed', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'data/#', { auto: false });
    const client = await publisher(site.url, { ...sensor, reconnectPeriod: 10 });
    const sent = publishAll(client, numbers(5));
    await waitFor('offered', () => driver.gathered.length === 5);
    client.stream.destroy();
    await waitFor('back', () => client.connected);
    driver.automatic(true);
    await sent;
    expect(driver.durable.texts).toEqual(numbers(5));
    expect(driver.source.report().redelivered).toBe(5);
  });

  it('gives local subscribers what was published, after the commit', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'data/#', { auto: false });
    const lamp = await publisher(site.url);
    const seen: string[] = [];
    lamp.on('message', (topic, payload) => seen.push(`${topic} ${payload.toString()}`));
    await lamp.subscribeAsync(['data/#', 'other'], { qos: 1 });
    const client = await publisher(site.url);
    const sent = publishAll(client, numbers(3));
    await publishAll(await publisher(site.url), ['free'], 'other');
    await waitFor('offered', () => driver.gathered.length === 3);
    await waitFor('the one that nobody commits', () => seen.length === 1);
    driver.commit();
    await sent;
    await waitFor('the others', () => seen.length === 4);
    expect(seen).toEqual(['other free', ...numbers(3).map((text) => `data/t ${text}`)]);
  });

  it('keeps retained messages, wills and QoS 2 as a broker does, after the commit', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'data/#');
    const client = await publisher(site.url);
    await client.publishAsync('data/retained', 'kept', { qos: 1, retain: true });
    await client.publishAsync('data/two', 'exactly', { qos: 2 });
    const will = {
      topic: 'data/will',
      payload: Buffer.from('gone'),
      qos: 1 as const,
      retain: false,
    };
    const dying = await connectAsync(site.url, { will, reconnectPeriod: 0 });
    dying.stream.destroy();
    await waitFor('the will', () => driver.durable.texts.includes('gone'));
    expect(driver.durable.texts).toEqual(['kept', 'exactly', 'gone']);
    const late = await publisher(site.url);
    const seen: string[] = [];
    late.on('message', (_topic, payload, { retain }) =>
      seen.push(`${payload.toString()} ${retain}`),
    );
    await late.subscribeAsync('data/#', { qos: 1 });
    await waitFor('the retained one', () => seen.length === 1);
    expect(seen).toEqual(['kept true']);
  });

  it('drops a payload above the bound, counted, acknowledged, and not held in memory', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'data/#');
    const client = await publisher(site.url);
    await publishAll(client, ['before', 'x'.repeat(1024 * 1024 + 1), 'after']);
    expect(driver.durable.texts).toEqual(['before', 'after']);
    expect(driver.dropped).toEqual({ payload_too_large: 1 });
  });

  it('stops reading publishers while a source is full, and loses nothing', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'data/#', { auto: false, gatherMax: 20 });
    const clients = await Promise.all([publisher(site.url), publisher(site.url)]);
    const sent = Promise.all(clients.map((client) => publishAll(client, numbers(500))));
    await waitFor('full', () => driver.gathered.length >= 20);
    driver.automatic(true);
    await sent;
    expect(driver.durable.records).toHaveLength(1000);
    // A second publisher may bring one more before it is held too.
    expect(driver.gatheredPeak).toBeLessThanOrEqual(21);
  });

  it.each(['$SYS/uptime', 'data/+'])('cuts off who publishes to "%s"', async (topic) => {
    const site = await startBroker();
    await takes(site, '#');
    const client = await publisher(site.url, { reconnectPeriod: 0 });
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    client.publish(topic, 'x', { qos: 1 });
    await closed;
  });

  it('asks for the login that it was given', async () => {
    const login = { username: 'site', password: { env: 'RUNNEL_TEST_BROKER_PASSWORD' } };
    const resolveSecret = async (): Promise<string> => 'right';
    const site = await startBroker({ login, resolveSecret });
    await takes(site, '#');
    const wrong = { username: 'site', password: 'wrong', reconnectPeriod: 0 };
    await expect(connectAsync(site.url, wrong)).rejects.toThrow(/Bad username or password/);
    await publisher(site.url, { username: 'site', password: 'right' });
  });

  it('cuts off a client that is silent beyond its keep-alive, not one that publishes', async () => {
    const site = await startBroker();
    const driver = await takes(site, '#');
    const options = { keepalive: 1, reconnectPeriod: 0, timerVariant: noTimer };
    const silent = await connectAsync(site.url, options);
    const busy = await connectAsync(site.url, options);
    onTestFinished(() => busy.endAsync(true));
    const closed = new Promise((resolve) => silent.once('close', () => resolve(true)));
    let over = false;
    void closed.then(() => (over = true));
    while (!over) {
      const count = driver.durable.records.length;
      busy.publish('t', 'x');
      await waitFor('the message', () => over || driver.durable.records.length > count);
    }
    expect(busy.connected).toBe(true);
  }, 15_000);

  it('says that its port is taken, goes on, and listens when it is free', async () => {
    const port = await freePort();
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    const states: (string | null)[] = [];
    const warnings: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void warnings.push(line) });
    const site = await startBroker({ port, log, onState: (error) => states.push(error) });
    const driver = new CommitDriver(new BrokerSource('mqtt-t', '#', site.broker));
    onTestFinished(() => driver.source.stop());
    await driver.start();
    await waitFor('several tries', () => states.length > 2);
    expect(warnings).toHaveLength(1);
    expect(states[0]).toMatch(/cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    expect(driver.source.report()).toMatchObject({ connected: false, error: states[0] });
    await new Promise((resolve) => squatter.close(resolve));
    await waitFor('listening', () => driver.connected);
    expect(states.at(-1)).toBeNull();
  });

  it('warns of nothing when it stops on purpose', async () => {
    const warnings: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void warnings.push(line) });
    const states: (string | null)[] = [];
    const site = await startBroker({ log, onState: (error) => states.push(error) });
    const driver = await takes(site, '#');
    await site.broker.stop();
    expect(driver.source.report()).toMatchObject({ connected: false, error: 'stopped' });
    expect([warnings, states]).toEqual([[], [null]]);
  });

  it('listens only while something uses it, and not before it is opened', async () => {
    const site = await startBroker();
    expect(site.broker.port).toBeNull();
    const driver = await takes(site, '#');
    expect(site.broker.port).toBe(site.port);
    await driver.source.stop();
    expect(site.broker.port).toBeNull();
    await takes(site, '#');
  });

  it('refuses clients beyond its bound, counted', async () => {
    const site = await startBroker({ connectionsMax: 1 });
    await takes(site, '#');
    await publisher(site.url);
    const second = connect(site.url, { reconnectPeriod: 0 });
    await new Promise<void>((resolve) => second.once('close', () => resolve()));
    expect(site.broker.dropped).toEqual({ connections_max: 1 });
  });

  it('takes what the agent itself publishes, to sources and subscribers', async () => {
    const site = await startBroker();
    const driver = await takes(site, 'lamp/#', { auto: false });
    const lamp = await publisher(site.url);
    const seen: string[] = [];
    lamp.on('message', (_topic, payload) => seen.push(payload.toString()));
    await lamp.subscribeAsync('lamp/#', { qos: 1 });
    let done = false;
    const published = site.broker
      .publish('lamp/1', Buffer.from('on'), { qos: 1, retain: false })
      .then(() => (done = true));
    await waitFor('offered', () => driver.gathered.length === 1);
    expect([done, seen.length]).toEqual([false, 0]);
    driver.commit();
    await published;
    await waitFor('seen', () => seen.length === 1);
  });
});

/** Publishes 25: 10 acknowledged, 9 flushed without a PUBACK, 6 only offered; then a kill. */
async function resend(port: number, durable: Durable): Promise<{ acknowledged(): number }> {
  const site = await startBroker({ port });
  const driver = await takes(site, 'data/#', { auto: false }, durable);
  const client = await publisher(site.url, { ...sensor, reconnectPeriod: 20 });
  let acknowledged = 0;
  const send = (texts: readonly string[]): void => {
    for (const text of texts) {
      void client.publishAsync('data/t', text, { qos: 1 }).then(() => (acknowledged += 1));
    }
  };
  send(numbers(10));
  await waitFor('ten', () => driver.gathered.length === 10);
  driver.commit();
  await waitFor('acknowledged', () => acknowledged === 10);
  send(numbers(15, 10));
  await waitFor('the rest', () => driver.gathered.length === 15);
  driver.flush(9);
  await driver.crash();
  await site.broker.stop();
  return { acknowledged: () => acknowledged };
}

/** Packet ids from 1, as of a small device that was switched on. */
function countingIds(): NonNullable<IClientOptions['messageIdProvider']> {
  let last = 0;
  return {
    allocate: () => (last += 1),
    getLastAllocated: () => last,
    register: () => true,
    deallocate: () => undefined,
    clear: () => undefined,
  };
}

/** A client that never pings. */
const noTimer = { set: (): number => 0, clear: (): void => undefined };
