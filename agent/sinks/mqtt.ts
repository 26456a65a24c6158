/**
 * The `mqtt` sink: outputs as messages at a broker, or at the embedded one.
 *
 * Guarantees: at least once and in order, at QoS 1 (at QoS 0 a broker that dies may lose them).
 * The message is the output's line as JSON with an `id` that stays the same over redelivery, in
 * MQTT 5 a user property too, for receivers that deduplicate. A value in the topic stays one level:
 * `/`, `+` and `#` in it become `_`, so no value can steer a message to a topic nobody wrote.
 *
 * Refused, to the dead letters alone: a row whose topic lacks a value or is none that may be
 * published to (nothing of its batch was sent), and one that the broker itself will not have.
 */
import type { MqttSinkConfig } from '@runnel/shared/definitions/sinks/mqtt.ts';
import { renderTopic } from '@runnel/shared/definitions/template.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { EmbeddedBroker } from '../sources/embedded-broker.ts';
import { type MqttPublisher, type Publication, PublicationsRefused } from './mqtt-publisher.ts';
import { type DeliveryRow, RejectedRows, type Sink } from './sink.ts';

/** What the sink sends through; `leave` gives it back. */
export interface Outlet {
  publish(publications: readonly Publication[]): Promise<void>;
  leave(): Promise<void>;
}

export class MqttSink implements Sink {
  readonly kind = 'mqtt';
  readonly isStateless = true;
  readonly #config: Pick<MqttSinkConfig, 'topic' | 'qos' | 'retain'>;
  readonly #join: () => Outlet;
  #outlet: Outlet | null = null;

  constructor(config: Pick<MqttSinkConfig, 'topic' | 'qos' | 'retain'>, join: () => Outlet) {
    this.#config = config;
    this.#join = join;
  }

  async open(): Promise<void> {
    this.#outlet ??= this.#join();
  }

  async deliver(rows: readonly DeliveryRow[]): Promise<unknown> {
    if (this.#outlet === null) {
      throw new RunnelError('sink_closed', 'the mqtt sink is not open', { retry: 'reconnect' });
    }
    try {
      await this.#outlet.publish(rows.map((row) => this.#publication(row)));
    } catch (error) {
      if (!(error instanceof PublicationsRefused)) throw error;
      throw new RejectedRows(
        rows.filter(({ id }) => error.ids.has(id)),
        error,
      );
    }
    return null;
  }

  async close(): Promise<void> {
    const outlet = this.#outlet;
    this.#outlet = null;
    await outlet?.leave();
  }

  #publication(row: DeliveryRow): Publication {
    const { topic, qos, retain } = this.#config;
    const payload = `{"id":${JSON.stringify(row.id)},${outputLine(row.output).slice(1)}`;
    try {
      return {
        topic: renderTopic(topic.template, row.output, row.job),
        payload,
        qos,
        retain,
        id: row.id,
      };
    } catch (error) {
      throw new RejectedRows([row], error);
    }
  }
}

/** Into the agent's own broker: its sources commit what they take, its subscribers get the rest. */
export function embeddedOutlet(broker: EmbeddedBroker): Outlet {
  const user = {};
  broker.use(user);
  return {
    async publish(publications) {
      for (const { id, topic, payload, qos, retain } of publications) {
        try {
          await broker.publish(topic, Buffer.from(payload), { qos, retain });
        } catch (error) {
          if (!(error instanceof RunnelError) || error.retry !== 'never') throw error;
          throw new PublicationsRefused(new Set([id]), error);
        }
      }
    },
    leave: () => broker.leave(user),
  };
}

/** Publishers by broker and login, each closed when its last sink leaves. */
export class PublisherPool {
  readonly #open = new Map<string, { publisher: Promise<MqttPublisher>; users: number }>();

  join(key: string, make: () => Promise<MqttPublisher>): Outlet {
    const entry = this.#open.get(key) ?? { publisher: make(), users: 0 };
    entry.users += 1;
    this.#open.set(key, entry);
    return {
      publish: async (publications) => (await entry.publisher).publish(publications),
      leave: async () => {
        entry.users -= 1;
        if (entry.users > 0) return;
        if (this.#open.get(key) === entry) this.#open.delete(key);
        await (await entry.publisher).close();
      },
    };
  }
}
