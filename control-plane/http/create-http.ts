/**
 * Puts the HTTP side together: resources, the application, the live hub. The composition root
 * gives it the rest of the control plane and gets back what to call when something changed.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Alerting } from '../alerts/alerting.ts';
import { Definitions } from '../definitions/definitions.ts';
import { JobParameterLayers } from '../definitions/job-parameters.ts';
import type { Identity } from '../identity/identity.ts';
import type { PackageFolder } from '../packages/package-folder.ts';
import type { DesiredState } from '../rollouts/desired-state.ts';
import type { Rollouts } from '../rollouts/rollouts.ts';
import type { DeviceCommands } from '../runs/device-commands.ts';
import { RunControl } from '../runs/run-control.ts';
import type { SlaBoard } from '../sla/sla-board.ts';
import type { DatasetStats } from '../store/dataset-stats.ts';
import { newestResultId, pageResults } from '../store/results.ts';
import { runsOf } from '../store/runs.ts';
import type { Schema } from '../store/schema.ts';
import { agentRoutes } from './agents.ts';
import { alertRoutes } from './alerts.ts';
import { type App, createApp } from './app.ts';
import type { AuthenticateOptions } from './authenticate.ts';
import { datasetRoutes } from './datasets.ts';
import { enrolRoutes } from './enrol.ts';
import { eventRoutes } from './events.ts';
import type { FleetView } from './fleet-view.ts';
import { healthRoutes, type ReadyCheck } from './health.ts';
import type { HostHistory } from './host-history.ts';
import { attentionItem } from './attention-view.ts';
import { HttpMetrics } from './http-metrics.ts';
import { jobRoutes } from './jobs.ts';
import { LiveHub } from './live-hub.ts';
import { liveRoutes } from './live.ts';
import type { MetricFamily } from './metrics.ts';
import { parameterRoutes } from './parameters.ts';
import { RateLimit } from './rate-limit.ts';
import { receiverRoutes } from './receivers.ts';
import { roleGuards } from './role-guards.ts';
import { runCommandRoutes } from './run-commands.ts';
import { rolloutRoutes } from './rollouts.ts';
import { runDetail, runItems } from './run-view.ts';
import { findRun, runRoutes } from './runs.ts';
import { resultItem } from './schemas/result-schemas.ts';
import { packageRoutes } from './packages.ts';
import { meRoutes, signInRoutes } from './sign-in.ts';
import { slaRoutes } from './slas.ts';
import { tokenRoutes } from './tokens.ts';

export interface CreateHttpParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly identity: Identity;
  readonly desired: DesiredState;
  readonly rollouts: Rollouts;
  readonly fleet: FleetView;
  readonly hosts: HostHistory;
  readonly datasets: DatasetStats;
  readonly commands: DeviceCommands;
  readonly slas: SlaBoard;
  readonly alerting: Alerting;
  /** An agent was deleted: what is known of it goes. */
  readonly forget: (agent: string) => void;
  readonly checks: readonly ReadyCheck[];
  /** Metrics of the other parts. */
  readonly families: () => readonly MetricFamily[];
  /** How the world reaches us, when it is not how a request did. */
  readonly publicUrl: string | undefined;
  /** Archives of the agent for devices. */
  readonly packages: PackageFolder;
  readonly dashboardFolder: string;
  readonly version: string;
}

export interface Http {
  readonly app: App;
  readonly hub: LiveHub;
  /** After an agent's row changed. */
  agentChanged(agent: string): Promise<void>;
}

/** A site of a few hundred devices can enrol at once from one address. */
const RATE_LIMIT = { burst: 500, perSecond: 50 };
/** Results in one message of the websocket. */
const LIVE_RESULTS_MAX = 1000;

export function createHttp(parts: CreateHttpParts): Http {
  const { clock, random, log, identity, fleet } = parts;
  const metrics = new HttpMetrics();
  const auth = authentication(parts, (reason) => metrics.refused.add([reason]));
  const guards = roleGuards(auth.failed);
  const rateLimit = new RateLimit(clock, RATE_LIMIT);
  const hub = liveHub(parts, metrics);
  for (const source of [parts.slas, parts.alerting.book, parts.rollouts]) {
    source.onChange(() => hub.attentionChanged());
  }
  const agentChanged = async (agent: string): Promise<void> => {
    await fleet.refreshAgent(agent);
    hub.agentChanged(agent);
    parts.alerting.agentChanged(agent);
    hub.attentionChanged();
  };
  const enrolled = async (agent: string): Promise<void> => {
    await agentChanged(agent);
    await parts.desired.recompute(agent);
  };
  const parameters = parametersOf(parts);
  const { cookieName } = auth;
  const secureCookie = parts.publicUrl?.startsWith('https:') ?? false;
  const now = (): number => clock.now();
  const signIn = { identity, cookieName, secureCookie, now, rateLimit, metrics };
  const shared = { ...parts, guards, agentChanged, metrics, rateLimit };
  const families = (): MetricFamily[] => [...metrics.families(), ...parts.families()];
  const app = createApp({
    clock,
    random,
    log,
    metrics,
    authenticate: auth,
    dashboardFolder: parts.dashboardFolder,
    version: parts.version,
    root: [
      healthRoutes({ checks: parts.checks, families, guards }),
      signInRoutes(signIn),
      packageRoutes(shared),
    ],
    api: [
      agentRoutes(shared),
      jobRoutes({ ...shared, parameters, definitions: definitionsOf(parts) }),
      parameterRoutes({ ...shared, parameters }),
      rolloutRoutes(shared),
      runRoutes(shared),
      runCommandRoutes({ ...shared, control: new RunControl(parts) }),
      datasetRoutes(shared),
      slaRoutes(shared),
      alertRoutes(shared),
      receiverRoutes(shared),
      eventRoutes(shared),
      tokenRoutes({ ...shared, publicUrl: publicUrlOf(parts.publicUrl) }),
      enrolRoutes({ ...shared, enrolled }),
      meRoutes(signIn, guards),
      liveRoutes({
        hub,
        guards,
        stillAllowed: (request) => isStillAllowed(identity, request, auth),
        failed: (error) => log.error({ err: error }, 'a live request failed'),
      }),
    ],
  });
  return { app, hub, agentChanged };
}

function liveHub(parts: CreateHttpParts, metrics: HttpMetrics): LiveHub {
  const { db, clock, fleet, log } = parts;
  return new LiveHub({
    clock,
    fleet,
    metrics,
    failed: (error) => log.error({ err: error }, 'the live view failed'),
    newestCursor: () => newestResultId(db),
    results: async (dataset, after) => {
      const page = { kind: 'result', dataset, after, limit: LIVE_RESULTS_MAX } as const;
      const { items, next } = await pageResults(db, page, () => clock.sleep(0));
      return { items: items.map(resultItem), next };
    },
    runs: {
      read: async (keys) => runItems(parts, await runsOf(db, keys)),
      detail: async (run, agent) => runDetail(parts, await findRun(parts, run, agent)),
    },
    attention: () => attentionItem(parts),
  });
}

function definitionsOf({ db, clock, rollouts }: CreateHttpParts): Definitions {
  return new Definitions({
    db,
    clock,
    changed: (job, actor) => rollouts.jobChanged(job, actor),
    retry: (job, version, actor) => rollouts.retry(job, version, actor),
  });
}

function parametersOf({ db, clock, fleet, desired }: CreateHttpParts): JobParameterLayers {
  return new JobParameterLayers({
    db,
    clock,
    agents: () =>
      fleet
        .agents()
        .filter(({ status }) => status === 'approved')
        .map((record) => fleet.placeable(record)),
    changed: () => desired.recomputeAll(),
  });
}

function authentication(
  parts: CreateHttpParts,
  failed: (reason: string) => void,
): AuthenticateOptions {
  const { identity, publicUrl } = parts;
  return {
    authenticator: {
      bearer: (token) => identity.verifyBearer(token),
      session: (secret) => identity.verifySession(secret),
    },
    // Browsers share cookies between the ports of a host: each control plane has its own name.
    cookieName: `runnel_session_${identity.rootFingerprint.slice(0, 8)}`,
    origins: publicUrl === undefined ? [] : [new URL(publicUrl).origin],
    failed,
  };
}

function publicUrlOf(publicUrl: string | undefined): (requestUrl: string) => string {
  return (requestUrl) => publicUrl ?? new URL(requestUrl).origin;
}

/** The proof that opened a websocket, judged again. */
async function isStillAllowed(
  identity: Identity,
  request: Request,
  { cookieName }: AuthenticateOptions,
): Promise<boolean> {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  if (bearer !== undefined) return (await identity.verifyBearer(bearer)) !== undefined;
  const secret = cookieOf(request.headers.get('cookie') ?? '', cookieName);
  return secret !== undefined && (await identity.verifySession(secret)) !== undefined;
}

function cookieOf(header: string, name: string): string | undefined {
  const prefix = `${name}=`;
  const pair = header.split(/; */).find((part) => part.startsWith(prefix));
  return pair === undefined ? undefined : decodeURIComponent(pair.slice(prefix.length));
}
