/**
 * Every kind of local sink, as an explicit list: from a job's sink to a running one.
 *
 * `results` and `alerts` are lanes of the outbox that go to the control plane; they have no sink
 * here. Each kind is loaded when the first job uses it.
 */
import { createHash } from 'node:crypto';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { MqttSinkConfig } from '@runnel/shared/definitions/sinks/mqtt.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { resolveSecret as systemSecret, type ResolveSecret } from '../sources/mqtt-endpoint.ts';
import { type DefaultBroker, endpointOf } from '../sources/registry.ts';
import type { PathClaims } from './file-claim.ts';
import type { PublisherPool } from './mqtt.ts';
import type { Sink } from './sink.ts';

/** A sink that this agent delivers to itself. */
export type LocalSinkDefinition = Extract<SinkDefinition, { readonly kind: 'mqtt' | 'file' }>;

export function isLocalSink(definition: SinkDefinition): definition is LocalSinkDefinition {
  return definition.kind === 'mqtt' || definition.kind === 'file';
}

export interface SinkDeps {
  readonly agent: string;
  readonly clock: Clock;
  readonly defaultBroker: DefaultBroker;
  readonly resolveSecret?: ResolveSecret;
}

/** One for each agent: what its sinks share, connections and claims on paths. */
export class SinkRegistry {
  readonly #deps: SinkDeps;
  readonly #claims: PathClaims = new Set();
  #pool: PublisherPool | null = null;

  constructor(deps: SinkDeps) {
    this.#deps = deps;
  }

  async create(definition: LocalSinkDefinition): Promise<Sink> {
    switch (definition.kind) {
      case 'mqtt':
        return this.#mqtt(definition.config);
      case 'file': {
        const { FileSink } = await import('./file.ts');
        return new FileSink(definition.config.path, this.#claims);
      }
    }
  }

  async #mqtt(config: MqttSinkConfig): Promise<Sink> {
    const { agent, clock, defaultBroker, resolveSecret = systemSecret } = this.#deps;
    const { MqttSink, PublisherPool: Pool, embeddedOutlet } = await import('./mqtt.ts');
    if (config.url === undefined && defaultBroker.kind === 'embedded') {
      return new MqttSink(config, () => embeddedOutlet(defaultBroker.broker));
    }
    this.#pool ??= new Pool();
    const pool = this.#pool;
    const endpoint = endpointOf(config, defaultBroker);
    const key = JSON.stringify(endpoint);
    return new MqttSink(config, () =>
      pool.join(key, async () => {
        const { MqttPublisher } = await import('./mqtt-publisher.ts');
        const clientId = `runnel-${agent}-out-${shortHash(key)}`;
        return new MqttPublisher({ endpoint, clientId, resolveSecret, clock });
      }),
    );
  }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
