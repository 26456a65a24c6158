/**
 * Every kind of source, as an explicit list: from a job's connector to a running source.
 *
 * Each is loaded when the first job uses it: an agent without MQTT pays for no MQTT.
 */
import { isAbsolute, join } from 'node:path';
import type { SourceConnector } from '@runnel/shared/definitions/sources/registry.ts';
import type { MqttSourceConfig } from '@runnel/shared/definitions/sources/mqtt.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import type { EmbeddedBroker } from './embedded-broker.ts';
import { limits } from '@runnel/shared/limits.ts';
import { type MqttEndpoint, type ResolveSecret, resolveSecret } from './mqtt-endpoint.ts';
import type { Source } from './source.ts';

/** What an mqtt source or sink without a url uses. */
export type DefaultBroker =
  | { readonly kind: 'embedded'; readonly broker: EmbeddedBroker }
  | { readonly kind: 'external'; readonly endpoint: MqttEndpoint };

export interface SourceDeps {
  /** The agent's id: with the source's id it makes the stable MQTT client id. */
  readonly agent: string;
  /** Relative paths are under it. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly defaultBroker: DefaultBroker;
  readonly resolveSecret?: ResolveSecret;
}

/** How long a broker keeps our session while we are away: a long weekend. */
const SESSION_EXPIRY_SECONDS = 7 * 86_400;
const KEEPALIVE_SECONDS = 30;

/**
 * `id` is `<kind>-<connector fingerprint>`, the same for every job that uses the same connector.
 * Throws `source_config` when the connector cannot work whatever happens outside.
 */
export async function createSource(
  connector: SourceConnector,
  id: string,
  deps: SourceDeps,
): Promise<Source> {
  switch (connector.kind) {
    case 'mqtt':
      return createMqttSource(connector.config, id, deps);
    case 'host': {
      const { HostSource } = await import('./host.ts');
      const { HostSampler } = await import('../resources/host-readings.ts');
      const sampler = new HostSampler({ clock: deps.clock, diskPath: deps.dataDir });
      return new HostSource(id, connector.config.every, sampler);
    }
    case 'file': {
      const { FileSource } = await import('./file.ts');
      const { path, from, every } = connector.config;
      const absolute = isAbsolute(path) ? path : join(deps.dataDir, path);
      return new FileSource(id, { path: absolute, from, everyMs: every });
    }
  }
}

async function createMqttSource(
  config: MqttSourceConfig,
  id: string,
  deps: SourceDeps,
): Promise<Source> {
  const { defaultBroker } = deps;
  if (config.url === undefined && defaultBroker.kind === 'embedded') {
    const { BrokerSource } = await import('./broker-source.ts');
    return new BrokerSource(id, config.topic, defaultBroker.broker);
  }
  const { MqttSource } = await import('./mqtt.ts');
  return new MqttSource(
    id,
    {
      endpoint: endpointOf(config, defaultBroker),
      topic: config.topic,
      qos: config.qos,
      clientId: `runnel-${deps.agent}-${id}`,
      ...(config.protocol !== 'auto' && { protocolVersion: config.protocol === '5' ? 5 : 4 }),
      receiveMaximum: limits.receiveMaximum,
      sessionExpirySeconds: SESSION_EXPIRY_SECONDS,
      keepaliveSeconds: KEEPALIVE_SECONDS,
    },
    deps.resolveSecret ?? resolveSecret,
  );
}

/** The broker that a source or sink names, or the device's external default. */
export function endpointOf(
  config: Omit<MqttEndpoint, 'url'> & { readonly url?: string | undefined },
  defaultBroker: DefaultBroker,
): MqttEndpoint {
  const { url, username, password, ca, cert, key } = config;
  if (url !== undefined) return { url, username, password, ca, cert, key };
  if (defaultBroker.kind === 'external') return defaultBroker.endpoint;
  throw new Error('the embedded broker has no address of its own');
}
