/**
 * aedes, set up as the embedded broker needs it: sessions, subscriptions, retained messages and
 * wills are its; QoS 0 and 1 messages come in beside it (embedded-connection.ts).
 *
 * aedes' guard of `$SYS/` topics stands in its default `authorizePublish`; replacing that hook
 * takes the guard away, so `offer` brings it back (topic-routes.ts).
 */
/* oxlint-disable promise/no-callback-in-promise -- aedes' hooks take callbacks */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Aedes, Client } from 'aedes';
import type { Logger } from 'pino';
import { messageOf } from '@runnel/shared/errors.ts';
import { type MessagePersistence, boundQueues, queueBounds } from './embedded-queues.ts';
import { type ResolveSecret, type SecretRef, resolveSecret } from './mqtt-endpoint.ts';

export interface BrokerLogin {
  readonly username: string;
  readonly password: SecretRef;
}

export interface AedesHooks {
  readonly login: BrokerLogin | undefined;
  readonly resolveSecret: ResolveSecret | undefined;
  readonly log: Logger;
  /** A will or a QoS 2 message: resolves when it is committed. */
  offer(topic: string, payload: Buffer, qos: number, clientId: string): Promise<void>;
  /** A client is logged in. */
  ready(client: Client): void;
  subscribed(filter: string): void;
  failed(client: Client, reason: string): void;
  dropped(reason: string): void;
}

/** A subscriber that takes nothing for so long is cut off. */
const DRAIN_TIMEOUT_MS = 60_000;
const BAD_LOGIN = 4;

export async function startAedes(hooks: AedesHooks): Promise<Aedes> {
  const { Aedes: Broker } = await import('aedes');
  const aedes = await Broker.createBroker({
    drainTimeout: DRAIN_TIMEOUT_MS,
    maxClientsIdLength: 256,
    authenticate: (client, username, password, done) => {
      checkLogin(hooks, username, password).then(
        (allowed) => {
          if (allowed) done(null, true);
          else done(Object.assign(new Error('bad user name or password'), badLogin), false);
        },
        (error: unknown) => {
          hooks.log.error(
            { client: client.id, error: messageOf(error) },
            'login cannot be checked',
          );
          done(null, false);
        },
      );
    },
    authorizePublish: (client, packet, done) => {
      const payload = Buffer.from(packet.payload);
      hooks.offer(packet.topic, payload, packet.qos, client?.id ?? '').then(
        () => done(null),
        (error: unknown) => done(error instanceof Error ? error : new Error(messageOf(error))),
      );
    },
  });
  const { persistence } = aedes as unknown as { readonly persistence: MessagePersistence };
  boundQueues(persistence, queueBounds, (reason) => hooks.dropped(reason));
  aedes.on('clientReady', (client) => hooks.ready(client));
  aedes.on('subscribe', (subscriptions) => {
    for (const { topic } of subscriptions) hooks.subscribed(topic);
  });
  aedes.on('clientError', (client, error) => hooks.failed(client, error.message));
  aedes.on('connectionError', (client, error) => hooks.failed(client, error.message));
  return aedes;
}

const badLogin = { returnCode: BAD_LOGIN };

async function checkLogin(
  { login, resolveSecret: resolve = resolveSecret }: AedesHooks,
  username: string | undefined,
  password: Readonly<Buffer | undefined>,
): Promise<boolean> {
  if (login === undefined) return true;
  const right = sameSecret(password?.toString('utf8') ?? '', await resolve(login.password));
  return sameSecret(username ?? '', login.username) && right;
}

/** In a time that does not tell how much of it is right. */
function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
