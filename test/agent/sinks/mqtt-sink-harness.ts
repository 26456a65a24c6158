/** What the tests of the mqtt sink share: definitions, a registry, a collecting subscriber. */
import { SinkRegistry } from '@runnel/agent/sinks/registry.ts';
import { resolveSecret } from '@runnel/agent/sources/mqtt-endpoint.ts';
import type { DefaultBroker } from '@runnel/agent/sources/registry.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { parseTemplate } from '@runnel/shared/definitions/template.ts';
import { waitFor } from '../../support/wait-for.ts';
import { publisher } from '../sources/mqtt-harness.ts';

type MqttSinkDefinition = Extract<Parameters<SinkRegistry['create']>[0], { kind: 'mqtt' }>;

export function mqttSink(
  topic: string,
  config: Partial<MqttSinkDefinition['config']> = {},
): MqttSinkDefinition {
  const template = parseTemplate(topic);
  if ('problem' in template) throw new Error(template.problem);
  const fixed = { topic: { text: topic, template }, qos: 1, retain: false } as const;
  return { from: 'out', kind: 'mqtt', config: { ...fixed, ...config } };
}

export function sinkRegistry(defaultBroker: DefaultBroker): SinkRegistry {
  return new SinkRegistry({ agent: 'a1', clock: systemClock, defaultBroker, resolveSecret });
}

export interface Collected {
  readonly topic: string;
  readonly message: Readonly<Record<string, unknown>>;
  readonly userProperties: unknown;
  readonly retain: boolean;
}

/** Subscribes to everything; over reconnects too. */
export async function collect(url: string, protocolVersion: 4 | 5 = 4) {
  const seen: Collected[] = [];
  const client = await publisher(url, { protocolVersion, reconnectPeriod: 20 });
  let subscriptions = 0;
  client.on('message', (topic, payload, packet) => {
    const message = JSON.parse(payload.toString()) as Collected['message'];
    const { retain } = packet;
    seen.push({ topic, message, userProperties: packet.properties?.userProperties, retain });
  });
  client.on('packetreceive', ({ cmd }) => void (cmd === 'suback' && (subscriptions += 1)));
  await client.subscribeAsync('#', { qos: 1 });
  return {
    seen,
    values: (): unknown[] => seen.map(({ message }) => message.value),
    /** Subscribed again after the broker was away. */
    ready: () => waitFor('the subscriber', () => subscriptions > 1),
  };
}
