/** Every source with an origin that can send again, held to one contract. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MqttClient, connectAsync } from 'mqtt';
import { onTestFinished } from 'vitest';
import { BrokerSource } from '@runnel/agent/sources/broker-source.ts';
import { FileSource } from '@runnel/agent/sources/file.ts';
import { startBroker } from '../agent/sources/embedded-harness.ts';
import { mqttSource, publisher } from '../agent/sources/mqtt-harness.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type SourceOrigin, sourceContract } from './source-contract.ts';

for (const protocolVersion of [4, 5] as const) {
  sourceContract({
    name: `mqtt, protocol ${protocolVersion}`,
    programs: ['mosquitto'],
    async setup(): Promise<SourceOrigin> {
      const broker = await Mosquitto.start();
      const client = await publisher(broker.url);
      return {
        make: async () => mqttSource(broker.url, { protocolVersion }),
        produce: (texts) => publish(client, texts, () => undefined),
      };
    },
  });
}

sourceContract({
  name: 'mqtt, the embedded broker',
  async setup(): Promise<SourceOrigin> {
    let { broker, port, url } = await startBroker();
    let acknowledged = 0;
    let made = 0;
    let client: MqttClient | null = null;
    return {
      async make() {
        // A restart of the agent is a restart of its broker, on the same port.
        if (made > 0) {
          await broker.stop();
          ({ broker } = await startBroker({ port }));
        }
        made += 1;
        return new BrokerSource('mqtt-test', 'data/#', broker);
      },
      acknowledged: () => acknowledged,
      async produce(texts) {
        if (client === null) {
          const options = { clientId: 'sensor', clean: false, reconnectPeriod: 30 } as const;
          const connected = await connectAsync(url, options);
          onTestFinished(() => connected.endAsync(true));
          client = connected;
        }
        void publish(client, texts, () => (acknowledged += 1));
      },
    };
  },
});

sourceContract({
  name: 'file',
  async setup(): Promise<SourceOrigin> {
    const path = join(tempDir('file-source'), 'log.txt');
    writeFileSync(path, '');
    return {
      make: async () => new FileSource('file-test', { path, from: 'start', everyMs: 20 }),
      produce: async (texts) => appendFileSync(path, texts.map((text) => `${text}\n`).join('')),
    };
  },
});

async function publish(
  client: MqttClient,
  texts: readonly string[],
  acknowledged: () => void,
): Promise<void> {
  await Promise.all(
    texts.map(async (text) => {
      await client.publishAsync('data/t', text, { qos: 1 });
      acknowledged();
    }),
  );
}
