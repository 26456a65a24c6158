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
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Alerting } from './alerts/alerting.ts';
import { openAlerting } from './open-alerting.ts';
import { type ConnectedNats, connectNats, type NatsChoice, readCa } from './connect-nats.ts';
import { controlVersion } from './control-version.ts';
import { DataDir } from './data-dir.ts';
import { createHttp, type Http } from './http/create-http.ts';
import { FleetView } from './http/fleet-view.ts';
import { HostHistory } from './http/host-history.ts';
import type { ReadyCheck } from './http/health.ts';
import { listen } from './http/http-server.ts';
import { Identity } from './identity/identity.ts';
import type { ApplyBlock } from './intake/apply-block.ts';
import { EventWriter } from './intake/event-writer.ts';
import { FleetHealth } from './intake/fleet-health.ts';
import { Intake } from './intake/intake.ts';
import { AccountPusher } from './nats/account-pusher.ts';
import type { ListenAddress } from './nats/listen-address.ts';
import { PackageFolder, type PackagesChoice } from './packages/package-folder.ts';
import { DesiredState } from './rollouts/desired-state.ts';
import { openRollouts } from './rollouts/open-rollouts.ts';
import type { Rollouts } from './rollouts/rollouts.ts';
import { DeviceCommands } from './runs/device-commands.ts';
import { RunFacts } from './runs/run-facts.ts';
import { listenTo } from './listen-to.ts';
import { partMetrics } from './part-metrics.ts';
import { slasOf } from './sla/open-slas.ts';
import type { Slas } from './sla/slas.ts';
import { DatasetStats } from './store/dataset-stats.ts';
import { openStore } from './store/open-store.ts';
import { newestResultId } from './store/results.ts';
import { type Keep, KEEP_DEFAULT, Retention } from './store/retention.ts';
import type { Schema } from './store/schema.ts';

export interface ControlPlaneOptions {
  readonly dataDir: string;
  /** Port 0 takes any free one. */
  readonly http: ListenAddress;
  readonly publicUrl: string | undefined;
  /** Where archives of the agent are; without it `packages` in the data directory. */
  readonly packages?: PackagesChoice;
  readonly nats: NatsChoice;
  readonly natsAdvertise: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** What the store keeps; without it the defaults of limits.ts. */
  readonly keep?: Keep;
  /** How often devices say that they are there. */
  readonly heartbeatIntervalMs: number;
  /** How long a device must be offline to be an alert; without it the one of limits.ts. */
  readonly offlineAlertAfterMs?: number;
  /** How a result block changes the store; another one only in tests that plant a bug. */
  readonly applyBlock?: ApplyBlock;
  /** Gives up the start when it aborts, with its reason. */
  readonly signal: AbortSignal;
}

export interface ControlPlane {
  /** `http://…` at which this process serves. */
  readonly url: string;
  /** Only at the first start. */
  readonly signInLink: string | undefined;
  /** Everything that it answers, as its router lists it; middleware has the method `ALL`. */
  readonly routes: readonly { readonly method: string; readonly path: string }[];
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
    // What failed because it was given up is not what went wrong.
    options.signal.throwIfAborted();
    throw error;
  }
}

async function start(
  options: ControlPlaneOptions,
  closers: Closers,
): Promise<Omit<ControlPlane, 'close'>> {
  const { clock, random, log, signal, heartbeatIntervalMs } = options;
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
    heartbeatIntervalMs,
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
    signal,
  });
  const connected = nats;
  closers.add('NATS', () => connected.close());
  signal.throwIfAborted();
  const served = await serveFleet(options, { db, identity, nats: connected, closers });
  // Before anything answers: who sees `/readyz` may read the token's file at once.
  const adminToken = await identity.ensureAdminToken(dir.adminToken);
  const server = await listen(served.app, options.http.host, options.http.port);
  closers.add('HTTP', () => server.close());
  closers.add('live views', () => served.hub.close());
  const url = `http://${hostInUrl(server.host)}:${server.port}`;
  await dir.writeServer({ pid: process.pid, url }, random);
  const signInLink = await firstSignInLink(identity, adminToken, options.publicUrl ?? url);
  log.info({ url, data: dir.path, nats: connected.deviceUrls }, 'the control plane serves');
  return { url, signInLink, routes: served.app.routes };
}

interface Foundation {
  readonly db: Kysely<Schema>;
  readonly identity: Identity;
  readonly nats: ConnectedNats;
  readonly closers: Closers;
}

/** Desired state, views and intake know each other; what is not there yet is not told yet. */
interface Later {
  desired?: DesiredState;
  fleet?: FleetView;
  http?: Http;
  intake?: Intake;
  slas?: Slas;
}

/** What agents report comes in, what is desired of them goes out, and both can be seen. */
async function serveFleet(options: ControlPlaneOptions, parts: Foundation): Promise<Http> {
  const { clock, random, log } = options;
  const { db, identity, nats, closers } = parts;
  const hosts = new HostHistory();
  const events = new EventWriter(db, log);
  closers.add('events', () => events.settled());
  const health = await FleetHealth.open({ db, clock, log, events });
  closers.add('fleet health', () => health.stop());
  const later: Later = {};
  const rollouts = await openRollouts({ db, clock, random, log, health, events, later });
  const desired = await openDesired(options, parts, { health, events, later, rollouts });
  later.desired = desired;
  closers.add('desired state', () => desired.settled());
  const report = (agent: string) => health.report(agent);
  const newestHost = (agent: string) => hosts.newest(agent);
  const rollout = (job: string) => rollouts.item(job);
  const facts = (agent: string) => health.facts(agent);
  const fleet = await FleetView.open({ db, desired, report, newestHost, rollout, facts });
  later.fleet = fleet;
  const commands = new DeviceCommands({
    clock,
    random,
    publish: (subject, text) => nats.link.publish(subject, text),
    connection: report,
  });
  const runs = await RunFacts.open(db, { fleet, health, commands });
  const slas = await openSlas(options, parts, { health, desired, fleet, later });
  const judged = { slas: slas.board, rollouts };
  const alerting = await openAlerting({ ...options, db, fleet, health, events, ...judged });
  closers.add('alerts', () => alerting.stop());
  const needs = { health, desired, fleet, commands, runs, alerting, later };
  const intake = startIntake(options, parts, needs);
  later.intake = intake;
  closers.add('intake', () => intake.stop());
  closers.add('device commands', () => commands.close());
  const datasets = new DatasetStats(db, () => clock.sleep(0));
  const retention = startRetention(options, parts, datasets);
  const http = createHttp({
    ...{ db, clock, random, log, identity, desired, rollouts, fleet, hosts, datasets, commands },
    alerting,
    slas: slas.board,
    forget: (agent) => slas.forget(agent),
    checks: readyChecks(db, nats),
    families: () =>
      partMetrics({ fleet, health, intake, events, retention, nats, runs, slas, alerting }),
    publicUrl: options.publicUrl,
    packages: packagesOf(options, identity),
    dashboardFolder: dashboardFolder(),
    version: controlVersion,
  });
  later.http = http;
  const { hub } = http;
  listenTo({ health, hosts, hub, slas, rollouts, alerting, desired, log });
  rollouts.onChange(() => {
    hub.jobsChanged();
    alerting.poke();
  });
  health.start();
  alerting.start();
  rollouts.start();
  closers.add('rollouts', () => rollouts.stop());
  return http;
}

function packagesOf(options: ControlPlaneOptions, identity: Identity): PackageFolder {
  return new PackageFolder({
    folder: join(options.dataDir, 'packages'),
    releaseKey: undefined,
    publicCa: undefined,
    ...options.packages,
    publicUrl: options.publicUrl,
    sign: (payload) => identity.signDesired(payload),
  });
}

async function openDesired(
  { clock, log, heartbeatIntervalMs }: ControlPlaneOptions,
  { db, identity }: Foundation,
  {
    health,
    events,
    later,
    rollouts,
  }: { health: FleetHealth; events: EventWriter; later: Later; rollouts: Rollouts },
): Promise<DesiredState> {
  return await DesiredState.open({
    db,
    clock,
    heartbeatIntervalMs,
    sign: (payload) => identity.signDesired(payload),
    notifyChanged: (agent, revision) => later.intake?.notifyChanged(agent, revision),
    observedRevision: (agent) => health.observedRevision(agent),
    facts: (agent) => health.facts(agent),
    reportsStored: () => health.write(),
    blocked: (agent, { name, version, verdict, reasons }) => {
      const message = `${name} version ${version} is not placed: ${reasons.join('; ')}`;
      const data = { version, verdict, reasons };
      const told = { type: 'placement', severity: 'warning', message, data } as const;
      events.append({ at: clock.now(), agent, job: name, ...told });
    },
    assignment: (job) => rollouts.assignment(job),
    changed: (agents) => {
      for (const agent of agents) later.http?.hub.agentChanged(agent);
      void later.slas?.placed(agents);
    },
    unreadable: (job, error) => log.error({ job, err: error }, 'a stored job cannot be placed'),
  });
}

async function openSlas(
  { clock, log }: ControlPlaneOptions,
  { db, closers }: Foundation,
  { later, ...fleet }: Pick<IntakeNeeds, 'health' | 'desired' | 'fleet' | 'later'>,
): Promise<Slas> {
  const slas = await slasOf({ db, clock, log, ...fleet });
  later.slas = slas;
  closers.add('promises', () => slas.stop());
  return slas;
}

interface IntakeNeeds {
  readonly health: FleetHealth;
  readonly desired: DesiredState;
  readonly fleet: FleetView;
  readonly commands: DeviceCommands;
  readonly runs: RunFacts;
  readonly alerting: Alerting;
  readonly later: Later;
}

function startIntake(
  { clock, log, applyBlock }: ControlPlaneOptions,
  { db, identity, nats }: Foundation,
  { health, desired, fleet, commands, runs, alerting, later }: IntakeNeeds,
): Intake {
  return Intake.start({
    db,
    link: nats.link,
    clock,
    log,
    health,
    isApproved: (agent) => fleet.isApproved(agent),
    desired: (request) => desired.reply(request),
    renew: (agent) => identity.renewOverNats(agent),
    answered: (answer) => commands.answered(answer),
    stored: (block, applied) => {
      later.http?.hub.resultsChanged();
      later.slas?.stored(block, applied);
      if (applied.rows.some(({ kind }) => kind === 'alert')) alerting.rowsStored();
      if (applied.runs === undefined) return;
      runs.stored(applied.runs.changes);
      alerting.runsStored(applied.runs.changes);
      later.http?.hub.runsChanged(applied.runs.changes);
    },
    ...(applyBlock === undefined ? {} : { apply: applyBlock }),
  });
}

function startRetention(
  { clock, log, keep = KEEP_DEFAULT }: ControlPlaneOptions,
  { db, closers }: Foundation,
  datasets: DatasetStats,
): Retention {
  const retention = new Retention({ db, clock, log, datasets, keep });
  closers.add('retention', () => retention.stop());
  retention.start();
  return retention;
}

/** At the first start, when the admin token is new: a link for the first person. */
async function firstSignInLink(
  identity: Identity,
  token: string | undefined,
  url: string,
): Promise<string | undefined> {
  if (token === undefined) return undefined;
  const person = await identity.verifyBearer(token);
  const { code } = await identity.createSignInLink('admin', person?.tokenId ?? null);
  return `${url}/signin?code=${encodeURIComponent(code)}`;
}

function readyChecks(db: Kysely<Schema>, nats: ConnectedNats): ReadyCheck[] {
  return [
    { name: 'store', check: async () => void (await newestResultId(db)) },
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
