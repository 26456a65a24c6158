/**
 * The control plane's connection to NATS, behind the few verbs that it needs.
 *
 * Guarantees: it connects again by itself, for ever; `onStatus` tells when it was lost and when it
 * came back, so that a device's silence counts only while we could have heard it; a handler that
 * throws is logged and counted, and ends nothing. Publishing while disconnected is refused rather
 * than buffered: what must not be lost has a buffer of its own (the agents' outboxes).
 */
import {
  type ConnectionOptions,
  type Msg,
  type NatsConnection,
  connect,
  jwtAuthenticator,
} from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import type { EpochMs } from '@runnel/shared/ids.ts';

const RECONNECT_WAIT_MS = 250;
const PING_INTERVAL_MS = 5000;
const REQUEST_TIMEOUT_MS = 5000;
const HINT =
  'check the address; a server that others run needs what `runnel-control nats-config` prints';

export interface LinkOptions {
  readonly urls: readonly string[];
  readonly credentials: { readonly jwt: string; readonly seed: string };
  /** PEM of a private CA. */
  readonly ca?: string;
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LinkMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string | undefined;
}

export type LinkStatus =
  | { readonly kind: 'connected'; readonly at: EpochMs }
  | { readonly kind: 'disconnected'; readonly at: EpochMs };

export type LinkHandler = (message: LinkMessage) => void | Promise<void>;

export class NatsLink {
  readonly counters = { reconnects: 0, handlerErrors: 0 };
  readonly #connection: NatsConnection;
  readonly #options: LinkOptions;
  readonly #listeners = new Set<(status: LinkStatus) => void>();
  #connected = true;

  /** Error: `nats_connect` when the first connection cannot be made. */
  static async connect(options: LinkOptions): Promise<NatsLink> {
    try {
      return new NatsLink(await connect(connectionOptions(options)), options);
    } catch (cause) {
      throw new RunnelError(
        'nats_connect',
        `cannot connect to NATS at ${options.urls.join(', ')}: ${messageOf(cause)}`,
        { cause, retry: 'backoff', hint: HINT },
      );
    }
  }

  private constructor(connection: NatsConnection, options: LinkOptions) {
    this.#connection = connection;
    this.#options = options;
    void this.#watch();
  }

  get connected(): boolean {
    return this.#connected && !this.#connection.isClosed();
  }

  /** Called on every change from now on; the returned function ends that. */
  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Every message of `subject` goes to `handler`; within `queue` to one of its members. */
  handle(subject: string, handler: LinkHandler, queue?: string): () => void {
    const subscription = this.#connection.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error === null) void this.#run(handler, message);
        else this.#failed(subject, error);
      },
    });
    return () => subscription.unsubscribe();
  }

  /** False while disconnected: the message was not sent. */
  publish(subject: string, data: Uint8Array | string): boolean {
    if (!this.connected) return false;
    this.#connection.publish(subject, data);
    return true;
  }

  /** Errors: `nats_request`. */
  async request(subject: string, data: Uint8Array | string): Promise<Uint8Array> {
    try {
      const reply = await this.#connection.request(subject, data, { timeout: REQUEST_TIMEOUT_MS });
      return reply.data;
    } catch (cause) {
      throw new RunnelError('nats_request', `${subject}: ${messageOf(cause)}`, {
        cause,
        retry: 'backoff',
      });
    }
  }

  /** Resolves when the server has everything that was published before. */
  async flush(): Promise<void> {
    await this.#connection.flush();
  }

  /** Lets handlers finish what they have, then closes. */
  async close(): Promise<void> {
    if (this.#connection.isClosed()) return;
    if (this.#connected) {
      await this.#connection.drain().catch((error: unknown) => {
        this.#options.log.debug({ error: messageOf(error) }, 'the NATS connection ended at once');
      });
    }
    await this.#connection.close();
  }

  async #run(handler: LinkHandler, message: Msg): Promise<void> {
    try {
      const { subject, data, reply } = message;
      await handler({ subject, data, reply });
    } catch (error) {
      this.#failed(message.subject, error);
    }
  }

  #failed(subject: string, error: unknown): void {
    this.counters.handlerErrors += 1;
    this.#options.log.error({ subject, error: messageOf(error) }, 'a message was not handled');
  }

  async #watch(): Promise<void> {
    const { log } = this.#options;
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#setConnected(false);
      if (status.type === 'reconnect') {
        this.counters.reconnects += 1;
        this.#setConnected(true);
      }
      if (status.type === 'error') log.warn({ error: messageOf(status.error) }, 'NATS error');
    }
    this.#setConnected(false);
  }

  #setConnected(connected: boolean): void {
    if (this.#connected === connected) return;
    this.#connected = connected;
    const kind = connected ? 'connected' : 'disconnected';
    this.#options.log.info({ link: this.#options.name }, `NATS ${kind}`);
    for (const listener of this.#listeners) listener({ kind, at: this.#options.clock.now() });
  }
}

function connectionOptions(options: LinkOptions): ConnectionOptions {
  const seed = Buffer.from(options.credentials.seed, 'utf8');
  const tls = options.urls.some((url) => url.startsWith('tls://')) || options.ca !== undefined;
  return {
    servers: [...options.urls],
    name: options.name,
    authenticator: jwtAuthenticator(options.credentials.jwt, seed),
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    // Our own credentials are always good: a refusal means that the server is not ready yet.
    ignoreAuthErrorAbort: true,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    ...(tls ? { tls: options.ca === undefined ? {} : { ca: options.ca } } : {}),
  };
}
