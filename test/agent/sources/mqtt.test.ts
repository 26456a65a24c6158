/**
 * The mqtt source against a real mosquitto, with the test's own commit cycle over it.
 */
import { expect, it } from 'vitest';
import { Durable } from '../../contracts/commit-driver.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { describeWith } from '../../support/programs.ts';
import { waitFor } from '../../support/wait-for.ts';
import { drive, numbers, publishAll, publisher } from './mqtt-harness.ts';

for (const protocolVersion of [4, 5] as const) {
  const name = protocolVersion === 4 ? '3.1.1' : '5';
  describeWith(['mosquitto'], `the mqtt source, MQTT ${name}`, () => {
    it('acknowledges a message only after its commit, and all of a commit in order', async () => {
      const broker = await Mosquitto.start();
      const driver = await drive(broker.url, { protocolVersion }, new Durable(), { auto: false });
      await waitFor('live', () => driver.connected);
      const client = await publisher(broker.url);
      await publishAll(client, numbers(60));
      const window = protocolVersion === 4 ? 20 : 60;
      await waitFor('the window', () => driver.gathered.length === window);
      // A 3.1.1 mosquitto goes on only when it gets PUBACKs, so what comes shows what was sent.
      driver.automatic(true);
      await waitFor('all', () => driver.durable.records.length === 60);
      expect(driver.durable.texts).toEqual(numbers(60));
      expect(driver.source.report()).toMatchObject({ records: 60, redelivered: 0, error: null });
    });

    it('gets again what was offered and not committed when the process dies', async () => {
      const broker = await Mosquitto.start();
      const first = await drive(broker.url, { protocolVersion }, new Durable(), { auto: false });
      await waitFor('live', () => first.connected);
      const client = await publisher(broker.url);
      await publishAll(client, numbers(15));
      await waitFor('offered', () => first.gathered.length === 15);
      const durable = await first.crash();
      const second = await drive(broker.url, { protocolVersion }, durable);
      await waitFor('redelivered', () => durable.records.length === 15);
      expect(durable.texts).toEqual(numbers(15));
      // They came with DUP=1, and DUP alone proves nothing.
      expect(second.source.report().redelivered).toBe(0);
    });

    it('recognises exactly what was flushed before its PUBACK was lost', async () => {
      const broker = await Mosquitto.start();
      const first = await drive(broker.url, { protocolVersion }, new Durable(), { auto: false });
      await waitFor('live', () => first.connected);
      const client = await publisher(broker.url);
      await publishAll(client, numbers(18));
      await waitFor('offered', () => first.gathered.length === 18);
      first.flush(11);
      const durable = await first.crash();
      const second = await drive(broker.url, { protocolVersion }, durable);
      await publishAll(client, numbers(5, 18));
      await waitFor('all', () => durable.records.length >= 23);
      expect(durable.texts).toEqual(numbers(23));
      expect(second.source.report().redelivered).toBe(11);
    });

    it('does not count retained messages again when the session is resumed', async () => {
      const broker = await Mosquitto.start();
      const client = await publisher(broker.url);
      await client.publishAsync('data/retained', 'old', { qos: 1, retain: true });
      const first = await drive(broker.url, { protocolVersion });
      await waitFor('retained', () => first.durable.records.length === 1);
      const durable = await first.crash();
      await drive(broker.url, { protocolVersion }, durable);
      await publishAll(client, ['new']);
      await waitFor('new', () => durable.texts.includes('new'));
      await client.publishAsync('data/retained', 'newer', { qos: 1, retain: true });
      await waitFor('newer', () => durable.texts.includes('newer'));
      expect(durable.texts).toEqual(['old', 'new', 'newer']);
    });

    it('goes on after the broker lost the session, and takes its new ids for new', async () => {
      const broker = await Mosquitto.start();
      const driver = await drive(broker.url, { protocolVersion });
      await waitFor('live', () => driver.connected);
      const before = await publisher(broker.url);
      await publishAll(before, ['same', 'same', 'same']);
      await waitFor('three', () => driver.durable.records.length === 3);
      expect(driver.durable.ring.length).toBeGreaterThan(0);
      await broker.kill();
      await waitFor('down', () => !driver.connected);
      await broker.up();
      await waitFor('live again', () => driver.connected);
      expect(driver.durable.ring).toEqual([]);
      // Same packet ids, same topic, same payload as what the old session acknowledged.
      const after = await publisher(broker.url);
      await publishAll(after, ['same', 'same', 'same']);
      await waitFor('six', () => driver.durable.records.length === 6);
      expect(driver.source.report().redelivered).toBe(0);
    });

    it('loses nothing when a commit fails: the broker sends it again', async () => {
      const broker = await Mosquitto.start();
      const driver = await drive(broker.url, { protocolVersion }, new Durable(), { auto: false });
      await waitFor('live', () => driver.connected);
      const client = await publisher(broker.url);
      await publishAll(client, numbers(10));
      await waitFor('offered', () => driver.gathered.length === 10);
      driver.commit(4);
      driver.discard();
      driver.automatic(true);
      await waitFor('again', () => driver.durable.records.length === 10);
      expect(driver.durable.texts).toEqual(numbers(10));
    });
  });
}
