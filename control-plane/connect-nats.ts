/**
 * How the control plane gets its NATS: a child of its own, or a server that others run. Either
 * way there are two connections: the control plane's, and the system user's that pushes the
 * account with its revocations.
 *
 * A given server is best started from what `runnel-control nats-config` prints: it trusts our
 * operator, so our own keys sign in and everything works as with the child. With `credsFile` the
 * server has another operator. That one must have taken our account with its device signer
 * (`nats-config` prints its JWT), and there is no system user of ours there: revocations are not
 * pushed, so a revoked device is refused by the control plane at once but stays connected until
 * its credentials end, 7 days at most.
 */
import { networkInterfaces } from 'node:os';
import { readFile } from 'node:fs/promises';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Logger } from 'pino';
import type { NatsJwts, UserCredentials } from './identity/nats-jwts.ts';
import type { AccountPusher } from './nats/account-pusher.ts';
import { findNatsServer } from './nats/find-nats-server.ts';
import type { ListenAddress } from './nats/listen-address.ts';
import type { NatsTls } from './nats/nats-config.ts';
import { NatsLink } from './nats/nats-link.ts';
import { NatsServer } from './nats/nats-server.ts';

/** A server of our own, or one that is given. */
export type NatsChoice =
  | {
      readonly kind: 'own';
      /** Default 127.0.0.1:4222, else a free port that is kept; port 0 is a free one too. */
      readonly listen?: ListenAddress;
      readonly tls?: NatsTls;
    }
  | {
      readonly kind: 'given';
      readonly url: string;
      /** A NATS credentials file instead of the control plane's own user. */
      readonly credsFile?: string;
      readonly caFile?: string;
    };

export interface ConnectNatsParts {
  readonly choice: NatsChoice;
  readonly dir: string;
  readonly jwts: () => Promise<NatsJwts>;
  readonly pusher: AccountPusher;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** How devices reach it, when that is not how we do. */
  readonly advertise: string | undefined;
  readonly publicUrl: string | undefined;
  /** Ends what is under way when it aborts. */
  readonly signal: AbortSignal;
}

export interface ConnectedNats {
  readonly link: NatsLink;
  /** Addresses that devices are given. */
  readonly deviceUrls: readonly string[];
  /** Undefined when the server is given. */
  readonly server: NatsServer | undefined;
  close(): Promise<void>;
}

/** Errors: those of the finder, the server and the link; `nats_creds`. */
export async function connectNats(parts: ConnectNatsParts): Promise<ConnectedNats> {
  const { choice, clock, log, pusher } = parts;
  const server = choice.kind === 'own' ? await startOwn(parts, choice) : undefined;
  let link: NatsLink | undefined;
  try {
    const url = server?.url ?? (choice as { url: string }).url;
    const jwts = await parts.jwts();
    const ca = await readCa(choice);
    const common = { urls: [url], clock, log, ...(ca === null ? {} : { ca }) };
    const credentials = await controlCredentials(choice, jwts);
    link = await NatsLink.connect({ ...common, credentials, name: 'runnel-control' });
    if (choice.kind === 'own' || choice.credsFile === undefined) {
      const asSystem = { ...common, credentials: jwts.systemUser, name: 'runnel-accounts' };
      await pusher.connect(asSystem, jwts.account.jwt);
    } else {
      log.warn('with --nats-creds revoked devices stay connected until their credentials end');
    }
    const connected = link;
    return {
      link: connected,
      deviceUrls: [parts.advertise ?? deviceUrl(parts, server, url)],
      server,
      close: async () => {
        await connected.close();
        await pusher.close();
        await server?.stop();
      },
    };
  } catch (error) {
    await link?.close();
    await pusher.close();
    await server?.stop();
    throw error;
  }
}

async function startOwn(
  parts: ConnectNatsParts,
  choice: Extract<NatsChoice, { kind: 'own' }>,
): Promise<NatsServer> {
  const { clock, random, log, dir, jwts, env, signal } = parts;
  const found = await findNatsServer({
    clock,
    env,
    signal,
    log: (line) => log.info({ part: 'nats-server' }, line),
  });
  log.info({ path: found.path, version: found.version, from: found.from }, 'nats-server found');
  return await NatsServer.start({
    dir,
    program: found.path,
    clock,
    random,
    log,
    jwts,
    signal,
    ...(choice.listen === undefined ? {} : { listen: choice.listen }),
    ...(choice.tls === undefined ? {} : { tls: choice.tls }),
  });
}

/** PEM of a private CA: devices need it as much as we do. Errors: `nats_ca`. */
export async function readCa(choice: NatsChoice): Promise<string | null> {
  const file = choice.kind === 'own' ? choice.tls?.caFile : choice.caFile;
  if (file === undefined) return null;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new RunnelError('nats_ca', `cannot read the NATS CA: ${messageOf(cause)}`, { cause });
  }
}

async function controlCredentials(choice: NatsChoice, jwts: NatsJwts): Promise<UserCredentials> {
  if (choice.kind === 'own' || choice.credsFile === undefined) return jwts.controlUser;
  const text = await readFile(choice.credsFile, 'utf8').catch((cause: unknown) => {
    throw new RunnelError('nats_creds', `cannot read the NATS credentials: ${messageOf(cause)}`, {
      cause,
    });
  });
  const [jwt, seed] = [...text.matchAll(/-{3,}BEGIN [^-]+-{3,}\s+([^\s-]\S*)\s+-{3,}END/g)].map(
    (match) => match[1]!,
  );
  if (jwt !== undefined && seed !== undefined) return { jwt, seed };
  throw new RunnelError('nats_creds', `${choice.credsFile} is not a NATS credentials file`);
}

/** A server on every interface is advertised by the name that the world has for this machine. */
function deviceUrl(parts: ConnectNatsParts, server: NatsServer | undefined, url: string): string {
  if (server === undefined) return url;
  const { host, port } = server.address;
  if (host !== '0.0.0.0' && host !== '::') return url;
  const scheme = url.slice(0, url.indexOf('://'));
  const name = parts.publicUrl === undefined ? ownAddress() : new URL(parts.publicUrl).hostname;
  return `${scheme}://${name}:${port}`;
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = all.find((address) => address.family === 'IPv4' && !address.internal);
  return outside?.address ?? '127.0.0.1';
}
