/** The mqtt sink: topics, ids, versions, and rows that cannot be delivered. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { RejectedRows } from '@runnel/agent/sinks/sink.ts';
import type { DefaultBroker } from '@runnel/agent/sources/registry.ts';
import { openSink, row, rows } from '../../contracts/sink-contract.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { describeWith } from '../../support/programs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startBroker } from '../sources/embedded-harness.ts';
import { collect, mqttSink, sinkRegistry } from './mqtt-sink-harness.ts';

const external = (url: string): DefaultBroker => ({ kind: 'external', endpoint: { url } });

describeWith(['mosquitto'], 'the mqtt sink', () => {
  it('publishes the output line with an id, in MQTT 5 also as a user property', async () => {
    const broker = await Mosquitto.start();
    const { seen } = await collect(broker.url, 5);
    const definition = mqttSink('press/{{key}}/{{value.state}}', { retain: true });
    const sink = await openSink(
      await sinkRegistry(external(broker.url)).create(definition),
      tempDir(),
    );
    await sink.deliver([row(7, { key: 'p/1+#', value: { state: 'hot' } })]);
    await waitFor('the message', () => seen.length === 1);
    expect(seen[0]).toEqual({
      topic: 'press/p_1__/hot',
      retain: false,
      userProperties: { id: 'agent-epoch-bulk-7' },
      message: {
        id: 'agent-epoch-bulk-7',
        output: 'out',
        key: 'p/1+#',
        windowStart: null,
        windowEnd: null,
        time: 1_700_000_000_007,
        revision: 1,
        value: { state: 'hot' },
      },
    });
    const late = await collect(broker.url, 5);
    await waitFor('the retained one', () => late.seen[0]?.retain === true);
  });

  it('names the row whose topic has no value, and has sent nothing of its batch', async () => {
    const broker = await Mosquitto.start();
    const { seen } = await collect(broker.url);
    const registry = sinkRegistry(external(broker.url));
    const sink = await openSink(await registry.create(mqttSink('lamp/{{value.name}}')), tempDir());
    const good = row(1, { value: { name: 'a' } });
    const bad = row(2, { value: {} });
    const error = await sink.deliver([good, bad]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RejectedRows);
    expect(error).toMatchObject({
      seqs: new Set([2]),
      retry: 'never',
      message: '{{value.name}} is missing',
    });
    await sink.deliver([good]);
    await waitFor('the good one', () => seen.length === 1);
  });

  it('gives up only the rows that the broker never takes, and keeps its connection', async () => {
    const acl = join(tempDir(), 'acl');
    writeFileSync(acl, 'topic write mine/#\ntopic read #\n');
    const broker = await Mosquitto.start({ lines: [`acl_file ${acl}`] });
    const { seen } = await collect(broker.url);
    const registry = sinkRegistry(external(broker.url));
    const sink = await openSink(await registry.create(mqttSink('{{key}}/lamp')), tempDir());
    const [good, better] = [row(1, { key: 'mine' }), row(4, { key: 'mine' })];
    const foreign = [row(2, { key: 'yours' }), row(3, { key: 'theirs' })];
    const error = await sink.deliver([good, ...foreign, better]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'row_rejected',
      seqs: new Set([2, 3]),
      message: expect.stringContaining('Not authorized'),
    });
    await sink.deliver([good, better]);
    await waitFor('the good ones', () => seen.length === 4);
    expect(broker.output.match(/New client connected.*runnel/g)).toHaveLength(1);
  });

  it('shares one connection among the sinks of a broker, and closes it with the last', async () => {
    const broker = await Mosquitto.start();
    const registry = sinkRegistry(external(broker.url));
    const sinks = await Promise.all([1, 2].map(() => registry.create(mqttSink('t'))));
    for (const sink of sinks) await openSink(sink, tempDir());
    for (const sink of sinks) await sink.deliver(rows(1, 2));
    const connections = (): number => broker.output.match(/New client connected/g)?.length ?? 0;
    expect(connections()).toBe(1);
    await sinks[0]?.close();
    await sinks[1]?.deliver(rows(3, 4));
    expect(broker.output).not.toMatch(/Client runnel-a1-out-\w+ (disconnected|closed)/);
    await sinks[1]?.close();
    await waitFor('closed', () =>
      /Client runnel-a1-out-\w+ (disconnected|closed)/.test(broker.output),
    );
  });

  it('names the broker when the login is wrong, and tries again', async () => {
    const broker = await Mosquitto.start({ login: { username: 'a', password: 'b' } });
    const registry = sinkRegistry(external(broker.url));
    const sink = await openSink(await registry.create(mqttSink('t')), tempDir());
    const error = await sink.deliver(rows(1, 1)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'sink_unreachable', retry: 'reconnect' });
    expect(String(error)).toContain(broker.url);
  });
});

it('speaks 3.1.1 to a broker that knows nothing else', async () => {
  const site = await startBroker();
  const user = {};
  site.broker.use(user);
  onTestFinished(() => site.broker.leave(user));
  await waitFor('listening', () => site.broker.port !== null);
  const { seen } = await collect(site.url);
  const registry = sinkRegistry(external(site.url));
  const sink = await openSink(await registry.create(mqttSink('t')), tempDir());
  await sink.deliver(rows(1, 3));
  await waitFor('all', () => seen.length === 3);
});

it('gives up only the row that the embedded broker will not have', async () => {
  const { broker } = await startBroker();
  const sink = await sinkRegistry({ kind: 'embedded', broker }).create(
    mqttSink(`${'a/'.repeat(99)}{{key}}/lamp`),
  );
  await openSink(sink, tempDir());
  await waitFor('listening', () => broker.port !== null);
  const error = await sink.deliver(rows(1, 3)).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'row_rejected', seqs: new Set([1]) });
  const long = 'x'.repeat(70_000);
  await expect(broker.publish(long, Buffer.from('1'), { qos: 1, retain: false })).rejects.toThrow(
    'more than 65535 bytes',
  );
});

it('fails, to be tried again, while the embedded broker does not listen', async () => {
  const { broker } = await startBroker();
  const sink = await sinkRegistry({ kind: 'embedded', broker }).create(mqttSink('t'));
  await expect(sink.deliver(rows(1, 1))).rejects.toMatchObject({ retry: 'reconnect' });
  await broker.stop();
  await openSink(sink, tempDir());
  await expect(sink.deliver(rows(1, 1))).rejects.toMatchObject({
    code: 'broker_unavailable',
    retry: 'backoff',
  });
});
