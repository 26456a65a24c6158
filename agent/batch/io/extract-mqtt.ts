/**
 * The messages that a broker retains, one row each: `{ topic, payload }`.
 *
 * Over MQTT 3.1.1, which every broker speaks: a new subscription gets what is retained first, with
 * the retain flag set. There is no end to it in the protocol, so it is over when nothing came for
 * `idle`. The client's session is clean and nothing else of the broker changes.
 */
import type { IPublishPacket, MqttClient } from 'mqtt';
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import { isTooDeep } from '@runnel/shared/engine/json-depth.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { prepareLogin } from '../../sources/mqtt-endpoint.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { brokerLink, type BrokerLink, clientIdOf, embeddedReady } from './broker-link.ts';

type MqttConfig = NonNullable<ExtractTaskConfig['mqtt']>;
type External = Extract<BrokerLink, { kind: 'external' }>;

export async function* retainedMessages(
  config: MqttConfig,
  context: TaskContext,
): AsyncGenerator<Row> {
  const link = brokerLink(config, context);
  if (link.kind === 'embedded') {
    await embeddedReady(link.broker, context);
    for await (const { topic, payload } of link.broker.retained(config.topic)) {
      yield rowOf(topic, payload, config.codec);
    }
    return;
  }
  yield* subscribed(link, config, context);
}

/** What came and was not taken yet; not reading on is the backpressure. */
class Arrivals {
  readonly #waiting: { packet: IPublishPacket; taken: () => void }[] = [];
  #wake: () => void = () => {};
  #over: { readonly error: unknown } | null = null;

  arrive(packet: IPublishPacket, taken: () => void): void {
    this.#waiting.push({ packet, taken });
    this.#wake();
  }

  /** No more: `error` null is the end as it should be. */
  end(error: unknown): void {
    this.#over ??= { error };
    this.#wake();
  }

  /** Null at the end. `idle` is called while nothing is there, and gives what to call then. */
  async next(idle: () => () => void): Promise<IPublishPacket | null> {
    if (this.#waiting.length === 0 && this.#over === null) {
      const busy = idle();
      await new Promise<void>((resolve) => (this.#wake = resolve));
      busy();
    }
    const first = this.#waiting.shift();
    first?.taken();
    if (first !== undefined) return first.packet;
    if (this.#over !== null && this.#over.error !== null) throw this.#over.error;
    return null;
  }
}

async function* subscribed(
  link: External,
  config: MqttConfig,
  context: TaskContext,
): AsyncGenerator<Row> {
  const { clock, signal } = context;
  const arrivals = new Arrivals();
  const client = await connect(link, arrivals, context);
  const abort = (): void => arrivals.end(taskErrorOf(signal.reason));
  const cancel = clock.after(config.for, () => arrivals.end(null));
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    const [granted] = await client.subscribeAsync(config.topic, { qos: 1 });
    if (granted === undefined || granted.qos === 128) {
      throw new TaskError('rejected', 'mqtt_refused', `the broker refuses ${config.topic}`);
    }
    for (;;) {
      const packet = await arrivals.next(() => clock.after(config.idle, () => arrivals.end(null)));
      if (packet === null) return;
      if (!packet.retain) continue;
      yield rowOf(packet.topic, Buffer.from(packet.payload), config.codec);
    }
  } catch (error) {
    throw failure(error, link, context);
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
    client.end(true);
  }
}

async function connect(
  link: External,
  arrivals: Arrivals,
  context: TaskContext,
): Promise<MqttClient> {
  const { MqttClient: Client } = await import('mqtt');
  const login = await prepareLogin(link.endpoint, link.resolveSecret);
  const client = new Client(() => login.open(), {
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId: clientIdOf(context, 'read'),
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: limits.taskConnectTimeoutMs,
    ...(login.username !== undefined && { username: login.username }),
    ...(login.password !== undefined && { password: login.password }),
  });
  client.handleMessage = (packet, done) => arrivals.arrive(packet, () => done());
  const closed = new Error('the broker closed the connection');
  const abort = (): void => void client.end(true);
  context.signal.addEventListener('abort', abort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('close', () => reject(closed));
      client.on('error', reject);
    });
  } catch (error) {
    client.end(true);
    throw failure(error, link, context);
  } finally {
    context.signal.removeEventListener('abort', abort);
  }
  client.once('close', () => arrivals.end(closed));
  return client;
}

function failure(error: unknown, { endpoint }: External, { signal }: TaskContext): TaskError {
  if (signal.aborted) return taskErrorOf(signal.reason);
  if (error instanceof TaskError) return error;
  const message = `${endpoint.url}: ${messageOf(error)}`;
  return new TaskError('network', 'broker_unreachable', message, { cause: error });
}

function rowOf(topic: string, bytes: Buffer, codec: MqttConfig['codec']): Row {
  const text = bytes.toString('utf8');
  return { topic, payload: codec === 'text' ? text : jsonOf(text, topic) };
}

function jsonOf(text: string, topic: string): Json {
  if (text.length > limits.payloadBytesMax || isTooDeep(text)) {
    throw new TaskError('data', 'bad_json', `the message at ${topic} is too large or too deep`);
  }
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const told = `the message at ${topic} is no JSON: ${messageOf(error)}`;
    throw new TaskError('data', 'bad_json', told, { hint: 'Take it with codec: text.' });
  }
}
