/** What the tests of the mqtt source share: sources with short waits, and publishers. */
import { type MqttClient, connectAsync } from 'mqtt';
import { onTestFinished } from 'vitest';
import { resolveSecret } from '@runnel/agent/sources/mqtt-endpoint.ts';
import type { MqttLinkSettings } from '@runnel/agent/sources/mqtt-link.ts';
import { MqttSource } from '@runnel/agent/sources/mqtt.ts';
import { CommitDriver, type DriverOptions, Durable } from '../../contracts/commit-driver.ts';

export type SourceOptions = Partial<Omit<MqttLinkSettings, 'endpoint'>> & {
  readonly endpoint?: Partial<MqttLinkSettings['endpoint']>;
};

export function mqttSource(url: string, options: SourceOptions = {}): MqttSource {
  return new MqttSource(
    'mqtt-test',
    {
      topic: 'data/#',
      qos: 1,
      clientId: 'runnel-test',
      receiveMaximum: 1024,
      sessionExpirySeconds: 3600,
      keepaliveSeconds: 30,
      backoff: { initialMs: 20, maxMs: 200, refusedMs: 100, refusedMsMax: 200 },
      ...options,
      endpoint: { url, ...options.endpoint },
    },
    resolveSecret,
  );
}

/** A started source under a driver; stopped with the test. */
export async function drive(
  url: string,
  options: SourceOptions = {},
  durable = new Durable(),
  driverOptions: DriverOptions = {},
): Promise<CommitDriver> {
  const driver = new CommitDriver(mqttSource(url, options), durable, driverOptions);
  onTestFinished(() => driver.source.stop());
  return driver.start();
}

export async function publisher(
  url: string,
  options: Parameters<typeof connectAsync>[1] = {},
): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 50, ...options });
  onTestFinished(() => client.endAsync(true));
  return client;
}

export async function publishAll(
  client: MqttClient,
  texts: readonly string[],
  topic = 'data/t',
): Promise<void> {
  await Promise.all(texts.map((text) => client.publishAsync(topic, text, { qos: 1 })));
}

export function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `m${from + index}`);
}
