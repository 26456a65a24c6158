/**
 * The agent's own MQTT 3.1.1 broker (aedes), for sites that have none: devices publish straight to
 * the agent. One for each agent; it listens while something uses it and `open` was called.
 *
 * Guarantees: what a source takes is acknowledged after its commit and reaches local subscribers
 * after it; what no source takes is acknowledged at once and is still brokered. A port that is
 * taken is an error that people can read and is tried again; it stops nothing else.
 *
 * `open` comes when every stored job has been started, and `stop` before the first source is
 * stopped: while it listens without a job's source, that job's messages would be acknowledged and
 * lost to it.
 *
 * Refused: topics that begin with `$SYS/`, wildcards in a publish, more than 100 levels; clients
 * beyond `connectionsMax`; MQTT 5 (a client is told which version to use, and falls back).
 */
import { type Server, type Socket, createServer } from 'node:net';
import type { Aedes, Client } from 'aedes';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { BrokerMessage, Taker } from './broker-message.ts';
import { EmbeddedConnection, describe, isRetained, qosOfMessage } from './embedded-connection.ts';
import { InternalOrigin } from './internal-origin.ts';
import type { BrokerLogin } from './embedded-aedes.ts';
import { startAedes } from './embedded-aedes.ts';
import type { ResolveSecret } from './mqtt-endpoint.ts';
import { type Topic, TopicCache } from './topic-cache.ts';
import { TopicRoutes } from './topic-routes.ts';

export interface EmbeddedBrokerOptions {
  readonly host: string;
  /** 0: a free one, see `port`. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** What clients must log in with; absent: anyone who reaches the port may publish. */
  readonly login?: BrokerLogin | undefined;
  readonly resolveSecret?: ResolveSecret | undefined;
  /** The condition for people: null when all is well. */
  readonly onState?: (error: string | null) => void;
  readonly connectionsMax?: number;
  readonly retryMs?: number;
}

export interface PublishOptions {
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

/** Of aedes' persistence, which its types leave out. */
interface RetainedPacket {
  readonly topic: string;
  readonly payload: Buffer | string;
}

const CONNECTIONS_MAX = 1000;
const RETRY_MS = 5000;
const SWEEP_MS = 1000;

export class EmbeddedBroker {
  readonly #options: EmbeddedBrokerOptions;
  readonly #routes = new TopicRoutes();
  readonly #topics = new TopicCache();
  readonly #connections = new Set<EmbeddedConnection>();
  /** By the stream that aedes knows. */
  readonly #byStream = new WeakMap<object, EmbeddedConnection>();
  /** Per client id: connections, closed ones too, with messages that are not committed. */
  readonly #making = new Map<string, Set<EmbeddedConnection>>();
  readonly #users = new Set<object>();
  readonly #dropped: Record<string, number> = {};
  #phase: 'held' | 'open' | 'stopped' = 'held';
  #starting: Promise<void> | null = null;
  #aedes: Aedes | null = null;
  #server: Server | null = null;
  #cancelRetry: (() => void) | null = null;
  #cancelSweep: (() => void) | null = null;
  #error: string | null = 'not open yet';
  /** A port that is taken, not a broker that is down on purpose. */
  #failed = false;

  constructor(options: EmbeddedBrokerOptions) {
    this.#options = options;
  }

  /** The port it listens on, or null. */
  get port(): number | null {
    const address = this.#server?.address();
    return typeof address === 'object' && address !== null ? address.port : null;
  }

  /** Dropped or refused, by reason: `connections_max`, `retained_full`, `subscriber_queue_full`. */
  get dropped(): Readonly<Record<string, number>> {
    return this.#dropped;
  }

  /** From now on it listens when something uses it. */
  open(): void {
    if (this.#phase !== 'held') return;
    this.#phase = 'open';
    if (this.#users.size > 0) this.#begin();
  }

  /** Closes every connection; what is not committed, its publishers send again. */
  async stop(): Promise<void> {
    this.#phase = 'stopped';
    await this.#end();
  }

  /** Keeps it running for `user`; the source's and the sink's way in. */
  use(user: object): void {
    this.#users.add(user);
    if (this.#phase === 'open') this.#begin();
  }

  async leave(user: object): Promise<void> {
    this.#users.delete(user);
    if (this.#users.size === 0) await this.#end();
  }

  add(taker: Taker): void {
    this.#routes.add(taker);
    taker.listening(this.#error);
    this.use(taker);
  }

  async remove(taker: Taker): Promise<void> {
    this.#routes.remove(taker);
    this.goOn(taker);
    await this.leave(taker);
  }

  /** A full source has room again. */
  goOn(taker: Taker): void {
    for (const connection of this.#connections) connection.goOn(taker);
  }

  /**
   * From inside the agent: resolves when the sources that take it have committed it. Rejects while
   * the broker does not listen: nobody outside could get the message.
   */
  async publish(topic: string, payload: Buffer, options: PublishOptions): Promise<void> {
    if (this.#server === null) {
      throw new RunnelError('broker_unavailable', this.#error ?? 'the embedded broker is closed', {
        retry: 'backoff',
      });
    }
    const flags = (options.retain ? 1 : 0) | (options.qos << 1);
    const message = await this.#offer(makeTopic(topic), payload, flags, '');
    await new Promise<void>((resolve) => this.#forward(message, resolve));
  }

  /** The messages that it retains, by a subscription's filter; none while it does not listen. */
  async *retained(filter: string): AsyncGenerator<{ topic: string; payload: Buffer }> {
    const aedes = this.#aedes as unknown as {
      persistence: { createRetainedStream(filter: string): AsyncIterable<RetainedPacket> };
    } | null;
    if (aedes === null) return;
    for await (const { topic, payload } of aedes.persistence.createRetainedStream(filter)) {
      yield { topic, payload: Buffer.from(payload) };
    }
  }

  /** To every source that takes it; rejects when it cannot be taken or was discarded. */
  #offer(topic: Topic, payload: Buffer, flags: number, clientId: string): Promise<BrokerMessage> {
    const { problem, takers } = this.#routes.of(topic);
    if (problem !== null) return Promise.reject(new RunnelError('topic_refused', problem));
    return new Promise((resolve, reject) => {
      const origin = new InternalOrigin(clientId, (message, lost) => {
        if (lost === null) resolve(message);
        else reject(new RunnelError('not_committed', lost, { retry: 'backoff' }));
      });
      const waiting = takers.length;
      const message = { origin, topic, payload, flags, packetId: 0, crc: 0, waiting };
      for (const taker of takers) taker.take(message);
      if (waiting === 0) resolve(message);
    });
  }

  #begin(): void {
    this.#starting ??= this.#listen().finally(() => (this.#starting = null));
  }

  async #listen(): Promise<void> {
    if (this.#server !== null) return;
    const { clock, host, port, retryMs = RETRY_MS } = this.#options;
    try {
      this.#aedes ??= await this.#makeAedes();
      this.#server = await listen(host, port, (socket) => this.#accept(socket));
      this.#say(null);
      this.#sweep();
    } catch (error) {
      this.#say(`the embedded broker cannot listen on ${host}:${port}: ${messageOf(error)}`);
      this.#cancelRetry = clock.after(retryMs, () => {
        if (this.#phase === 'open' && this.#users.size > 0) this.#begin();
      });
    }
  }

  async #end(): Promise<void> {
    await this.#starting;
    this.#cancelRetry?.();
    this.#cancelSweep?.();
    const [server, aedes] = [this.#server, this.#aedes];
    this.#server = null;
    this.#aedes = null;
    const closed = server === null ? null : new Promise((resolve) => server.close(resolve));
    for (const connection of this.#connections) connection.cut('the broker stops');
    if (aedes !== null) await new Promise<void>((resolve) => aedes.close(resolve));
    await closed;
    this.#idle(this.#phase === 'stopped' ? 'stopped' : 'not in use');
  }

  #say(error: string | null): void {
    const again = this.#failed && error === this.#error;
    this.#error = error;
    this.#failed = error !== null;
    if (error === null) this.#options.log.info({ port: this.port }, 'embedded broker listens');
    // Once per change: every retry would fill the log of a device with one and the same line.
    else if (!again) this.#options.log.warn({ error }, 'embedded broker is not available');
    this.#options.onState?.(error);
    for (const taker of this.#routes.takers) taker.listening(error);
  }

  /** Down on purpose: nothing for people to mend. */
  #idle(reason: string): void {
    if (this.#failed) this.#options.onState?.(null);
    this.#failed = false;
    this.#error = reason;
    for (const taker of this.#routes.takers) taker.listening(reason);
  }

  #drop(reason: string): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  #makeAedes(): Promise<Aedes> {
    const { login, resolveSecret: resolve, log } = this.#options;
    return startAedes({
      login,
      resolveSecret: resolve,
      log,
      offer: async (topic, payload, qos, clientId) => {
        await this.#offer(makeTopic(topic), payload, qos << 1, clientId);
      },
      ready: (client) => this.#ready(client),
      subscribed: (filter) => this.#routes.subscribed(filter),
      failed: (client, reason) => {
        const connection = this.#byStream.get(client.conn);
        if (connection !== undefined) connection.reason ??= reason;
      },
      dropped: (reason) => this.#drop(reason),
    });
  }

  #accept(socket: Socket): void {
    const { connectionsMax = CONNECTIONS_MAX } = this.#options;
    if (this.#aedes === null || this.#connections.size >= connectionsMax) {
      this.#drop('connections_max');
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    const connection = new EmbeddedConnection(
      socket,
      {
        monotonicMs: () => this.#options.clock.monotonicMs(),
        route: (topic) => this.#routes.of(topic),
        forward: (message, done) => this.#forward(message, done),
        drained: (drained) => this.#drained(drained),
        closed: (closed) => this.#closed(closed),
      },
      { payloadBytesMax: limits.payloadBytesMax, topics: this.#topics },
    );
    this.#connections.add(connection);
    this.#byStream.set(connection.transport, connection);
    this.#aedes.handle(connection.transport);
  }

  /** aedes accepted a login: messages come in once what the client left behind is committed. */
  #ready(client: Client): void {
    const connection = this.#byStream.get(client.conn);
    if (connection === undefined) return;
    connection.accepted(client.id, client.clean);
    const making = this.#making.get(client.id) ?? new Set();
    if (making.size === 0) this.#let(connection);
    making.add(connection);
    this.#making.set(client.id, making);
  }

  #let(connection: EmbeddedConnection): void {
    for (const taker of this.#routes.takers) taker.opened(connection);
    connection.begin();
  }

  /** Nothing of a closed connection is in the making any more: its successor may begin. */
  #drained(connection: EmbeddedConnection): void {
    const making = this.#making.get(connection.clientId);
    if (making === undefined || !connection.isClosed) return;
    making.delete(connection);
    if (making.size === 0) this.#making.delete(connection.clientId);
    const [next] = making;
    if (next !== undefined && making.size === 1 && next.isWaiting) this.#let(next);
  }

  #closed(connection: EmbeddedConnection): void {
    this.#connections.delete(connection);
    for (const taker of this.#routes.takers) taker.closed(connection);
    const { reason } = connection;
    if (reason !== null) {
      this.#options.log.info({ client: describe(connection), reason }, 'broker client cut off');
    }
  }

  /** To local subscribers, and into what is retained. */
  #forward(message: BrokerMessage, done: () => void): void {
    const aedes = this.#aedes;
    const retain = isRetained(message);
    if (aedes === null || !(retain || this.#routes.of(message.topic).subscribed)) {
      done();
      return;
    }
    const { topic, payload } = message;
    const qos = qosOfMessage(message);
    aedes.publish(
      { cmd: 'publish', topic: topic.text, payload, qos, retain, dup: false },
      (error) => {
        if (error)
          this.#options.log.warn({ topic: topic.text, error: error.message }, 'not brokered');
        done();
      },
    );
  }

  /** Cuts clients that are silent beyond their keep-alive. */
  #sweep(): void {
    this.#cancelSweep = this.#options.clock.after(SWEEP_MS, () => {
      const nowMs = this.#options.clock.monotonicMs();
      for (const connection of this.#connections) {
        if (connection.isSilent(nowMs)) connection.cut('silent beyond its keep-alive');
      }
      this.#sweep();
    });
  }
}

function makeTopic(text: string): Topic {
  return { text, crc: 0, bytes: Buffer.from(text) };
}

function listen(host: string, port: number, accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer(accept);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
