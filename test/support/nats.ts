/** A real nats-server for tests: found or fetched once, on a free port, ended with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type NatsConnection, connect, jwtAuthenticator } from '@nats-io/transport-node';
import { createUser } from '@nats-io/nkeys';
import pino from 'pino';
import { onTestFinished } from 'vitest';
import { Identity } from '@runnel/control-plane/identity/identity.ts';
import { AccountPusher } from '@runnel/control-plane/nats/account-pusher.ts';
import { findNatsServer } from '@runnel/control-plane/nats/find-nats-server.ts';
import { greets } from '@runnel/control-plane/nats/listen-address.ts';
import type { ServerJwts } from '@runnel/control-plane/nats/nats-config.ts';
import { NatsLink } from '@runnel/control-plane/nats/nats-link.ts';
import { NatsServer } from '@runnel/control-plane/nats/nats-server.ts';
import { type Store, openStore } from '@runnel/control-plane/store/open-store.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import {
  type Credentials,
  type EnrolRequest,
  type Labels,
  enrolmentProof,
} from '@runnel/shared/protocol/enrolment.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { limits } from '@runnel/shared/limits.ts';
import { freePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

export const silentLog = pino({ level: process.env.TEST_LOG ?? 'silent' });

/** The path of a nats-server that is new enough. */
export async function natsServerPath(): Promise<string> {
  const found = await findNatsServer({ clock: systemClock, env: process.env });
  return found.path;
}

/** Ended when the test is finished; `dir` may be given to start one again on the same files. */
export async function startNats(options: {
  readonly jwts: () => Promise<ServerJwts>;
  readonly dir?: string;
  readonly port?: number;
}): Promise<NatsServer> {
  const server = await NatsServer.start({
    dir: options.dir ?? tempDir('nats'),
    program: await natsServerPath(),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    jwts: options.jwts,
    listen: { host: '127.0.0.1', port: options.port ?? (await freePort()) },
  });
  onTestFinished(() => server.stop());
  return server;
}

/** Identity, nats-server and the control plane's two connections, as the server composes them. */
export interface ControlSide {
  readonly store: Store;
  readonly identity: Identity;
  readonly server: NatsServer;
  readonly link: NatsLink;
  readonly pusher: AccountPusher;
}

export async function openControlSide(
  options: {
    readonly storePath?: string;
    readonly keysDir?: string;
    readonly natsDir?: string;
    readonly port?: number;
    readonly credentialsMs?: number;
  } = {},
): Promise<ControlSide> {
  const store = await openStore(options.storePath ?? ':memory:');
  onTestFinished(() => store.close());
  const pusher = new AccountPusher(silentLog);
  const port = options.port ?? (await freePort());
  const identity = await Identity.open({
    heartbeatIntervalMs: limits.heartbeatIntervalMs,
    store,
    keysDir: options.keysDir ?? tempDir('keys'),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    natsUrls: () => [`nats://127.0.0.1:${port}`],
    natsCa: null,
    pushAccount: (jwt) => pusher.push(jwt),
    ...(options.credentialsMs === undefined ? {} : { credentialsMs: options.credentialsMs }),
  });
  const jwts = await identity.natsJwts();
  const server = await startNats({
    jwts: () => identity.natsJwts(),
    port,
    ...(options.natsDir === undefined ? {} : { dir: options.natsDir }),
  });
  const common = { urls: [server.url], clock: systemClock, log: silentLog };
  const asSystem = { ...common, credentials: jwts.systemUser, name: 'system' };
  await pusher.connect(asSystem, jwts.account.jwt);
  onTestFinished(() => pusher.close());
  const link = await NatsLink.connect({
    ...common,
    credentials: jwts.controlUser,
    name: 'control-plane',
  });
  onTestFinished(() => link.close());
  return { store, identity, server, link, pusher };
}

/** A device's own key and what it signs with it. */
export interface DeviceKey {
  readonly publicKey: string;
  readonly seed: Uint8Array;
  readonly prove: (text: string) => string;
}

export function newDeviceKey(): DeviceKey {
  const pair = createUser();
  return {
    publicKey: pair.getPublicKey(),
    seed: pair.getSeed(),
    prove: (text) => Buffer.from(pair.sign(Buffer.from(text))).toString('base64url'),
  };
}

export function enrolRequestOf(
  key: DeviceKey,
  token: string,
  described: { readonly name?: string; readonly labels?: Labels } = {},
): EnrolRequest {
  const name = described.name ?? `device-${key.publicKey.slice(-6)}`;
  const at = 1_700_000_000_000;
  return {
    v: 1,
    token,
    publicKey: key.publicKey,
    name,
    labels: described.labels ?? {},
    agentVersion: '0.1.0',
    platform: { os: 'linux', arch: 'x64', node: '20' },
    at,
    proof: key.prove(enrolmentProof({ token, publicKey: key.publicKey, name, at })),
  };
}

export interface EnrolledDevice {
  readonly agent: string;
  readonly key: DeviceKey;
  readonly credentials: Credentials;
}

/** Enrols a new device with a join token of its own. */
export async function enrolledDevice({ identity }: ControlSide): Promise<EnrolledDevice> {
  const everything = { labels: {}, usesMax: null, expiresMs: null, createdBy: 'test' };
  const { token } = await identity.createJoinToken(everything);
  const key = newDeviceKey();
  const { agent, credentials } = await identity.enrol(enrolRequestOf(key, token));
  if (credentials === null) throw new Error('waits for approval');
  return { agent, key, credentials };
}

/** Connects as a device would; closed with the test. Never reconnects by itself. */
export async function connectDevice(
  credentials: Credentials,
  key: DeviceKey,
  agent: string,
): Promise<NatsConnection> {
  const connection = await openConnection(credentials, key, agent);
  onTestFinished(() => connection.close());
  return connection;
}

/** As `connectDevice`, and whoever asks for it closes it. */
export async function openConnection(
  { natsUrls, natsCa, jwt }: Credentials,
  key: DeviceKey,
  agent: string,
): Promise<NatsConnection> {
  return await connect({
    servers: natsUrls,
    authenticator: jwtAuthenticator(jwt, key.seed),
    inboxPrefix: `_INBOX.${agent}`,
    reconnect: false,
    timeout: 5000,
    ...(natsCa === null ? {} : { tls: { ca: natsCa } }),
  });
}

/** A nats-server that others run, from a text of configuration; ended with the test. */
export async function startForeignNats(config: string, port: number): Promise<ChildProcess> {
  const path = join(tempDir('foreign'), 'nats.conf');
  writeFileSync(path, config);
  const child = spawn(await natsServerPath(), ['-c', path], { stdio: 'ignore' });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await gone;
  });
  const address = { host: '127.0.0.1', port };
  await waitFor('the foreign server', () => greets(address, 1000, systemClock));
  return child;
}
