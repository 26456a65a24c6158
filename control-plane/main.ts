/**
 * The control plane, composed: data directory, store, identity, NATS, desired state, intake, HTTP.
 *
 * Started in that order and ended in the opposite one; what fails on the way up takes down what
 * was started before it. Everything that a test wants to own (clock, randomness, log) comes in.
 */
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Logger } from 'pino';
import { type ConnectedNats, connectNats, type NatsChoice, readCa } from './connect-nats.ts';
import { controlVersion } from './control-version.ts';
import { DataDir } from './data-dir.ts';
import { createHttp } from './http/create-http.ts';
import { FleetView } from './http/fleet-view.ts';
import { HostHistory } from './http/host-history.ts';
import type { ReadyCheck } from './http/health.ts';
import { listen } from './http/http-server.ts';
import { Identity } from './identity/identity.ts';
import { AccountPusher } from './nats/account-pusher.ts';
import type { ListenAddress } from './nats/listen-address.ts';
import { DesiredState } from './rollouts/desired-state.ts';
import { openStore, type Store } from './store/open-store.ts';
import { newestResultId } from './store/results.ts';

export interface ControlPlaneOptions {
  readonly dataDir: string;
  /** Port 0 takes any free one. */
  readonly http: ListenAddress;
  readonly publicUrl: string | undefined;
  readonly nats: NatsChoice;
  readonly natsAdvertise: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** Gives up the start when it aborts. */
  readonly signal: AbortSignal;
}

export interface ControlPlane {
  /** `http://…` at which this process serves. */
  readonly url: string;
  /** Only at the first start. */
  readonly signInLink: string | undefined;
  close(): Promise<void>;
}

/** Errors: those of every part, each with a stable code. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const closers = new Closers(options.log);
  try {
    const started = await start(options, closers);
    return { ...started, close: () => closers.close() };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function start(
  options: ControlPlaneOptions,
  closers: Closers,
): Promise<Omit<ControlPlane, 'close'>> {
  const { clock, random, log, signal } = options;
  const dir = await DataDir.take(options.dataDir);
  closers.add('data directory', () => dir.release());
  const store = await openStore(dir.store);
  closers.add('store', () => store.close());
  const { db } = store;
  const pusher = new AccountPusher(log);
  let nats: ConnectedNats | undefined;
  const identity = await Identity.open({
    store,
    keysDir: dir.keys,
    clock,
    random,
    log,
    natsUrls: () => nats?.deviceUrls ?? [],
    natsCa: await readCa(options.nats),
    pushAccount: (jwt) => pusher.push(jwt),
  });
  signal.throwIfAborted();
  nats = await connectNats({
    choice: options.nats,
    dir: dir.nats,
    jwts: () => identity.natsJwts(),
    pusher,
    clock,
    random,
    log,
    env: options.env,
    advertise: options.natsAdvertise,
    publicUrl: options.publicUrl,
  });
  const connected = nats;
  closers.add('NATS', () => connected.close());
  signal.throwIfAborted();
  const hosts = new HostHistory();
  let changed: (agent: string) => void = () => undefined;
  const desired = await DesiredState.open({
    db,
    clock,
    sign: (payload) => identity.signDesired(payload),
    withCurrentKeys: (signed) => identity.withCurrentKeys(signed),
    notifyChanged: () => undefined,
    observedRevision: () => 0,
    changed: (agents) => agents.forEach((agent) => changed(agent)),
    unreadable: (job, error) => log.error({ job, err: error }, 'a stored job cannot be placed'),
  });
  closers.add('desired state', () => desired.settled());
  const fleet = await FleetView.open({
    db,
    desired,
    report: () => ({
      connection: 'never',
      lastSeenAt: null,
      heartbeat: undefined,
      conditions: [],
    }),
    newestHost: (agent) => hosts.newest(agent),
  });
  const http = createHttp({
    db,
    clock,
    random,
    log,
    identity,
    desired,
    fleet,
    hosts,
    checks: readyChecks(store, connected),
    families: () => [],
    publicUrl: options.publicUrl,
    dashboardFolder: dashboardFolder(),
    version: controlVersion,
  });
  changed = (agent) => http.hub.agentChanged(agent);
  const server = await listen(http.app, options.http.host, options.http.port);
  closers.add('HTTP', () => server.close());
  closers.add('live views', () => http.hub.close());
  const url = `http://${hostInUrl(server.host)}:${server.port}`;
  await dir.writeServer({ pid: process.pid, url }, random);
  const signInLink = await firstSignInLink(identity, dir, options.publicUrl ?? url);
  log.info({ url, data: dir.path, nats: connected.deviceUrls }, 'the control plane serves');
  return { url, signInLink };
}

/** At the first start: writes the admin token, and gives a link for the first person. */
async function firstSignInLink(
  identity: Identity,
  dir: DataDir,
  url: string,
): Promise<string | undefined> {
  const token = await identity.ensureAdminToken(dir.adminToken);
  if (token === undefined) return undefined;
  const person = await identity.verifyBearer(token);
  const tokenId = person?.id.replace(/^token:/, '') ?? null;
  const { code } = await identity.createSignInLink('admin', tokenId);
  return `${url}/signin?code=${encodeURIComponent(code)}`;
}

function readyChecks(store: Store, nats: ConnectedNats): ReadyCheck[] {
  return [
    { name: 'store', check: async () => void (await newestResultId(store.db)) },
    {
      name: 'nats',
      check: () => {
        if (!nats.link.connected) throw new RunnelError('nats_disconnected', 'not connected');
      },
    },
  ];
}

/** The built page is beside the bundle; from sources it is where the build puts it. */
function dashboardFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return basename(here) === 'dist' ? join(here, 'dashboard') : join(here, 'dist/dashboard');
}

/** An address that listens everywhere is reached by loopback from here. */
function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

/** Ends parts in the opposite order of their start; one that fails does not spare the others. */
class Closers {
  readonly #log: Logger;
  readonly #closers: { readonly name: string; readonly close: () => Promise<void> | void }[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  add(name: string, close: () => Promise<void> | void): void {
    this.#closers.push({ name, close });
  }

  /** Harmless twice. */
  async close(): Promise<void> {
    for (let part = this.#closers.pop(); part !== undefined; part = this.#closers.pop()) {
      try {
        await part.close();
      } catch (error) {
        this.#log.error({ part: part.name, error: messageOf(error) }, 'a part did not end well');
      }
    }
  }
}
