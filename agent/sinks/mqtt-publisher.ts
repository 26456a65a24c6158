/**
 * One connection to a broker for every sink that publishes there.
 *
 * Guarantee: `publish` resolves when the broker has acknowledged all messages, in order; it
 * rejects, and the sink delivers again, when one was not. What the broker says of a message itself
 * (MQTT 5: its topic, size or payload, or that we may not) is `PublicationsRefused`. No
 * message is queued here beyond that call: what waits, waits in the outbox, where it is bounded and
 * survives.
 *
 * MQTT 5, and 3.1.1 where the broker refuses it. The connection is made when it is needed and
 * anew when it is gone; waiting between attempts is the delivery loop's backoff.
 */
import type { MqttClient } from 'mqtt';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { type MqttEndpoint, type ResolveSecret, prepareLogin } from '../sources/mqtt-endpoint.ts';

export interface Publication {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  /** In MQTT 5 as user property `id`. */
  readonly id: string;
}

/** These messages will never be taken, by their id; others of the call may have arrived. */
export class PublicationsRefused extends RunnelError {
  readonly ids: ReadonlySet<string>;

  constructor(ids: ReadonlySet<string>, cause: unknown) {
    super('publication_refused', messageOf(cause), { retry: 'never', cause });
    this.ids = ids;
  }
}

export interface PublisherOptions {
  readonly endpoint: MqttEndpoint;
  readonly clientId: string;
  readonly resolveSecret: ResolveSecret;
  readonly clock: Clock;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** A broker that does not acknowledge for so long is given up, and the connection with it. */
const ACK_TIMEOUT_MS = 30_000;
const IN_FLIGHT_MAX = 64;
/** PUBACKs that are about the message: not authorized, topic, size, payload. */
const REFUSALS = new Set([0x87, 0x90, 0x95, 0x99]);
const VERSION_CODES = new Set([1, 0x84]);

export class MqttPublisher {
  readonly #options: PublisherOptions;
  #version: 4 | 5 = 5;
  #client: MqttClient | null = null;
  #connecting: Promise<MqttClient> | null = null;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  async publish(publications: readonly Publication[]): Promise<void> {
    const client = await this.#connected();
    for (let from = 0; from < publications.length; from += IN_FLIGHT_MAX) {
      const part = publications.slice(from, from + IN_FLIGHT_MAX);
      await this.#within(client, this.#sendAll(client, part));
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.endAsync(true);
  }

  async #sendAll(client: MqttClient, part: readonly Publication[]): Promise<void> {
    const refused = new Set<string>();
    let reason: unknown;
    const send = async (publication: Publication): Promise<void> => {
      try {
        await this.#send(client, publication);
      } catch (error) {
        if (!REFUSALS.has(codeOf(error) ?? 0)) throw error;
        refused.add(publication.id);
        reason ??= error;
      }
    };
    await Promise.all(part.map(send));
    if (refused.size > 0) throw new PublicationsRefused(refused, reason);
  }

  async #send(client: MqttClient, publication: Publication): Promise<void> {
    const { topic, payload, qos, retain, id } = publication;
    const properties = this.#version === 5 && { properties: { userProperties: { id } } };
    await client.publishAsync(topic, payload, { qos, retain, ...properties });
  }

  /** A publish that is lost with its connection is never answered by MQTT.js: watch both. */
  async #within(client: MqttClient, sent: Promise<unknown>): Promise<void> {
    let fail: (error: Error) => void = () => undefined;
    const broken = new Promise<never>((_resolve, reject) => (fail = reject));
    const closed = (): void => fail(new Error('the connection was lost'));
    const cancel = this.#options.clock.after(ACK_TIMEOUT_MS, () =>
      fail(new Error(`no acknowledgement in ${ACK_TIMEOUT_MS / 1000} s`)),
    );
    client.once('close', closed);
    try {
      await Promise.race([sent, broken]);
    } catch (error) {
      if (error instanceof PublicationsRefused) throw error;
      this.#forget(client);
      throw this.#unreachable(error);
    } finally {
      cancel();
      client.off('close', closed);
      // The race may have been lost to what is thrown already.
      sent.catch(() => undefined);
    }
  }

  #connected(): Promise<MqttClient> {
    if (this.#client?.connected === true) return Promise.resolve(this.#client);
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  async #connect(): Promise<MqttClient> {
    this.#forget(this.#client);
    try {
      this.#client = await this.#open();
    } catch (error) {
      const code = codeOf(error);
      if (this.#version !== 5 || code === undefined || !VERSION_CODES.has(code)) {
        throw this.#unreachable(error);
      }
      this.#version = 4;
      this.#client = await this.#open().catch((again: unknown) => {
        throw this.#unreachable(again);
      });
    }
    return this.#client;
  }

  async #open(): Promise<MqttClient> {
    const { endpoint, clientId, resolveSecret } = this.#options;
    const { MqttClient: Client } = await import('mqtt');
    const { username, password, open } = await prepareLogin(endpoint, resolveSecret);
    const client = new Client(() => open(), {
      protocolId: 'MQTT',
      protocolVersion: this.#version,
      clientId,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      queueQoSZero: false,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    });
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('close', () => reject(new Error('the broker closed the connection')));
      client.on('error', reject);
    });
    return client;
  }

  #forget(client: MqttClient | null): void {
    if (this.#client === client) this.#client = null;
    client?.end(true);
  }

  #unreachable(cause: unknown): RunnelError {
    const message = `${this.#options.endpoint.url}: ${messageOf(cause)}`;
    return new RunnelError('sink_unreachable', message, { retry: 'reconnect', cause });
  }
}

/** Reason code of MQTT.js's errors. */
function codeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}
