/**
 * One connection to NATS, behind the few verbs that sync needs (DESIGN.md §10).
 *
 * Guarantees: replies come to this agent's own inbox prefix, `_INBOX.<agent>`; every subject is
 * built by `subjects`, whose tokens are checked; a message beyond the server's limit is refused
 * here with a name instead of ending the connection. The library's own reconnecting is off: it
 * buffers and retries on terms of its own, while sync-state.ts decides when and with what
 * credentials to try again, and the outbox is the buffer.
 */
import { connect, errors, type Msg, type NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { Credentials } from '@runnel/shared/protocol/enrolment.ts';
import { errorReply } from '@runnel/shared/protocol/results.ts';
import { type RequestKind, subjects } from '@runnel/shared/protocol/subjects.ts';
import type { DeviceKey } from './device-key.ts';
import type { Link, LinkOptions } from './link.ts';
import type { Trouble } from './sync-state.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Two unanswered pings end the connection: a dead link is noticed within a minute. */
const PING_INTERVAL_MS = 20_000;
const DRAIN_MS_MAX = 2000;

/** Connects once. Errors: `link_connect`, with the `Trouble` in `fields.trouble`. */
export async function connectLink(options: LinkOptions): Promise<Link> {
  const { agent, credentials, key } = options;
  const tls = tlsOptions(credentials);
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: [...credentials.natsUrls],
      name: `runnel-agent ${agent}`,
      authenticator: (nonce?: string) => sign(credentials.jwt, key, nonce),
      inboxPrefix: subjects.inboxPrefix(agent),
      reconnect: false,
      maxReconnectAttempts: 0,
      ignoreClusterUpdates: true,
      timeout: CONNECT_TIMEOUT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      ...(tls === null ? {} : { tls }),
    });
  } catch (error) {
    throw new RunnelError('link_connect', troubleOf(error).message, {
      retry: 'backoff',
      cause: error,
      fields: { trouble: troubleOf(error) },
    });
  }
  return new NatsLink(connection, options);
}

/** The server takes signatures in base64url. */
function sign(jwt: string, key: DeviceKey, nonce: string | undefined) {
  return { jwt, nkey: key.publicKey, sig: key.proof(nonce ?? '') };
}

/** `tls://` demands an encrypted connection; a private CA replaces the public ones. */
function tlsOptions(credentials: Credentials): { ca?: string } | null {
  if (credentials.natsCa !== null) return { ca: credentials.natsCa };
  return credentials.natsUrls.some((url) => url.startsWith('tls://')) ? {} : null;
}

function troubleOf(error: unknown): Trouble {
  const message = messageOf(error);
  // The library has no class for it: what the server says to a device as it cuts it off.
  if (/authentication revoked/i.test(message)) return { kind: 'revoked', message };
  if (error instanceof errors.UserAuthenticationExpiredError) return { kind: 'expired', message };
  // A server that is too busy to let anybody in says so in words of refusal: nothing is wrong with
  // the credentials, and a fleet that renewed them all would only make it worse.
  if (/authentication timeout/i.test(message)) return { kind: 'network', message };
  if (error instanceof errors.AuthorizationError) return { kind: 'refused', message };
  return { kind: 'network', message };
}

class NatsLink implements Link {
  readonly closed: Promise<Trouble>;
  readonly server: string;
  readonly #connection: NatsConnection;
  readonly #agent: AgentId;
  readonly #clock: Clock;

  constructor(connection: NatsConnection, options: LinkOptions) {
    const { agent, clock, onCommand, onDenied } = options;
    this.#connection = connection;
    this.#agent = agent;
    this.#clock = clock;
    this.server = connection.getServer();
    this.closed = connection
      .closed()
      .then((error) => (error ? troubleOf(error) : { kind: 'network', message: 'closed' }));
    void this.#watch(onDenied);
    const prefix = subjects.commands(agent).slice(0, -1);
    connection.subscribe(subjects.commands(agent), {
      callback: (error, message) => {
        if (error === null) onCommand(message.subject.slice(prefix.length), message.data);
      },
    });
  }

  /** Ends with the connection. */
  async #watch(onDenied: LinkOptions['onDenied']): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type !== 'error') continue;
      if (status.error instanceof errors.PermissionViolationError) onDenied(status.error.message);
    }
  }

  async request(kind: RequestKind, body: Uint8Array, timeoutMs: number): Promise<unknown> {
    this.#checkSize(body);
    let reply: Msg;
    try {
      const subject = subjects.request(this.#agent, kind);
      reply = await this.#connection.request(subject, body, { timeout: timeoutMs });
    } catch (error) {
      throw requestError(kind, error);
    }
    return readReply(kind, reply.data);
  }

  heartbeat(body: Uint8Array): void {
    this.#checkSize(body);
    this.#connection.publish(subjects.heartbeat(this.#agent), body);
  }

  async close(): Promise<void> {
    if (this.#connection.isClosed()) return;
    const deadline = new AbortController();
    // A connection that breaks has nothing left to drain; the sleep rejects when that was in time.
    const drained = this.#connection.drain().catch(() => undefined);
    const timeUp = this.#clock.sleep(DRAIN_MS_MAX, deadline.signal).catch(() => undefined);
    await Promise.race([drained, timeUp]);
    deadline.abort();
    await this.#connection.close();
  }

  #checkSize(body: Uint8Array): void {
    const bytesMax = this.#connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (body.byteLength <= bytesMax) return;
    throw new RunnelError(
      'message_too_large',
      `a message of ${body.byteLength} bytes exceeds the NATS server's ${bytesMax}`,
      { hint: 'raise max_payload in the configuration of the NATS server' },
    );
  }
}

function requestError(kind: RequestKind, error: unknown): RunnelError {
  const unheard =
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders());
  if (unheard) {
    return new RunnelError('no_responders', `no control plane listens for ${kind} requests`, {
      retry: 'backoff',
      cause: error,
    });
  }
  if (error instanceof errors.TimeoutError) {
    return new RunnelError('timeout', `the control plane did not answer a ${kind} request`, {
      retry: 'backoff',
      cause: error,
    });
  }
  return new RunnelError('link_request', `${kind} request: ${messageOf(error)}`, {
    retry: 'reconnect',
    cause: error,
  });
}

/** JSON of a reply; an error reply becomes a `RunnelError` with the code the other side gave. */
function readReply(kind: RequestKind, data: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(data).toString('utf8'));
  } catch (error) {
    throw new RunnelError('protocol', `the reply to a ${kind} request is not JSON`, {
      retry: 'backoff',
      cause: error,
    });
  }
  const failed = errorReply.safeParse(value);
  if (!failed.success) return value;
  const { code, message } = failed.data.error;
  throw new RunnelError(code, message, { retry: 'backoff' });
}
