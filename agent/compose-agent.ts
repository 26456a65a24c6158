/**
 * Puts one agent together from its parts. `main.ts` gives the real ones; a test gives its own
 * where it plants a bug or owns the clock. Nothing in here asks which.
 *
 * Order of starting: the runtime opens its store, the desired state on disk is verified and
 * applied, and only then the link, status and metrics begin: a device that powers on without a
 * network runs its jobs first (I4). Order of ending: the link, then the jobs.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DesiredDocument, DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { Heartbeat, JobReport, SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { BatchCommand, BatchOutcome } from '@runnel/shared/protocol/runs.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { AgentConfig } from './config/agent-config.ts';
import type { AgentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { dataFiles } from './config/data-files.ts';
import type { DeviceIdentity } from './config/device-identity.ts';
import { gateJobs, type JobRefusal } from './config/job-gate.ts';
import { policyReportText } from './config/policy-report-text.ts';
import type { Conditions } from './resources/conditions.ts';
import { type HostSample, HostSampler } from './resources/host-readings.ts';
import { LossWatch } from './resources/loss-watch.ts';
import { ResourceWatch } from './resources/resource-watch.ts';
import { CredentialStore } from './sync/credential-store.ts';
import { DesiredStore } from './sync/desired.ts';
import { type AgentState, HeartbeatLoop } from './sync/heartbeat.ts';
import type { PostJson } from './sync/http-json.ts';
import type { Connector } from './sync/link.ts';
import { type OutboxLanes, ResultsSender } from './sync/results-sender.ts';
import { SyncLoop } from './sync/sync-loop.ts';
import { TokenBucket } from './sync/token-bucket.ts';

/** What runs the jobs, as the rest of the agent sees it. */
export interface JobRuntime {
  /** Random id of this process; outbox rows carry it. */
  readonly epoch: string;
  readonly outbox: OutboxLanes;
  /** Rejects when the store cannot be written; all else is contained in reports. */
  applyJobs(jobs: readonly DesiredJob[], refused: readonly JobRefusal[]): Promise<void>;
  jobReports(): readonly JobReport[];
  slaReports(): readonly SlaReport[] | undefined;
  sourceReports(): readonly SourceReport[];
  outboxReport(): Heartbeat['outbox'];
  counters(): Readonly<Record<string, number>>;
  /** Throws a `RunnelError` whose code and message are the answer's. */
  batchCommand(command: BatchCommand): Promise<BatchOutcome>;
  /** The returned function stops it. */
  onJobChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** The embedded broker listens while jobs run: what no job takes yet it would only acknowledge. */
export interface BrokerSwitch {
  /** What it dropped or refused, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  open(): void;
  stop(): Promise<void>;
}

export interface AgentParts {
  readonly dataDir: string;
  readonly config: AgentConfig;
  readonly policy: AgentPolicy;
  readonly identity: DeviceIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly runtime: JobRuntime;
  /** Null when the device's default broker is another program. */
  readonly broker: BrokerSwitch | null;
  readonly connect: Connector;
  readonly post: PostJson;
  /** What this agent offers, for placement. */
  readonly capabilities: readonly string[];
}

const RESOURCES_EVERY_MS = 10_000;
const APPLY_AGAIN_MS = 5000;

export interface RunningAgent {
  readonly startedAt: number;
  readonly sync: SyncLoop;
  /** What a heartbeat says, read now. */
  state(): Promise<AgentState>;
  /** What `status` shows. */
  status(): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export async function composeAgent(parts: AgentParts): Promise<RunningAgent> {
  const agent = new ComposedAgent(parts);
  await agent.start();
  return agent;
}

class ComposedAgent implements RunningAgent {
  readonly sync: SyncLoop;
  readonly #parts: AgentParts;
  readonly startedAt: number;
  readonly #desired: DesiredStore;
  readonly #credentials: CredentialStore;
  readonly #heartbeat: HeartbeatLoop;
  readonly #sender: ResultsSender;
  readonly #sampler: HostSampler;
  readonly #watch: ResourceWatch;
  readonly #losses: LossWatch;
  readonly #stop = new AbortController();
  readonly #unlisten: (() => void)[] = [];
  #watching: Promise<void> = Promise.resolve();
  #observed = { revision: 0, hash: '' };
  /** At most one interval old: rates over one period, however often somebody asks. */
  #host: HostSample | null = null;
  #retryApply: () => void = () => undefined;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    const { clock, conditions, config, dataDir, identity, log, policy, random, runtime } = parts;
    const agent = config.identity.agent as AgentId;
    const files = dataFiles(dataDir);
    const { trust, key, credentials: current } = identity;
    this.startedAt = clock.now();
    this.#sampler = new HostSampler({ clock, diskPath: dataDir });
    const memoryBytesMax = policy.budgets.memory ?? null;
    this.#watch = new ResourceWatch({ clock, conditions, memoryBytesMax });
    this.#losses = new LossWatch({ clock, conditions });
    this.#desired = new DesiredStore({ agent, trust, path: files.desired });
    const desired = this.#desired;
    this.#credentials = new CredentialStore({ files, current, trust });
    const bucket = linkBucket(parts);
    this.#sender = new ResultsSender({ outbox: runtime.outbox, clock, random, log, bucket });
    this.#heartbeat = new HeartbeatLoop({
      agent,
      epoch: runtime.epoch,
      startedAt: clock.now(),
      clock,
      random,
      log,
      intervalMs: limits.heartbeatIntervalMs,
      policy: policyReportText(policy, dataDir, Object.keys(config.batch.pools)),
      read: () => this.state(),
      sent: (bytes) => bucket?.spend(bytes),
    });
    this.sync = new SyncLoop({
      agent,
      clock,
      random,
      log,
      conditions,
      key,
      connect: parts.connect,
      post: parts.post,
      credentials: this.#credentials,
      desired,
      heartbeat: this.#heartbeat,
      sender: this.#sender,
      apply: (document) => this.#apply(document),
      batchCommand: (command) => runtime.batchCommand(command),
    });
  }

  async start(): Promise<void> {
    const { conditions, runtime } = this.#parts;
    const changed = (): void => this.#heartbeat.jobChanged();
    this.#unlisten.push(runtime.onJobChange(changed), conditions.onChange(changed));
    this.#checkLosses();
    await this.#applyStored();
    this.#parts.broker?.open();
    this.sync.start();
    this.#watching = this.#watchResources();
  }

  async state(): Promise<AgentState> {
    const { capabilities, conditions, runtime } = this.#parts;
    this.#host ??= await this.#sampler.sample();
    return {
      observedRevision: this.#observed.revision,
      observedHash: this.#observed.hash,
      capabilities,
      conditions: conditions.list(),
      jobs: runtime.jobReports(),
      slas: runtime.slaReports(),
      sources: runtime.sourceReports(),
      outbox: runtime.outboxReport(),
      counters: this.#counters(),
      host: this.#host,
    };
  }

  async status(): Promise<Record<string, unknown>> {
    const { config, runtime } = this.#parts;
    const { state } = this.sync;
    const current = this.#credentials.current;
    return {
      running: true,
      pid: process.pid,
      ...config.identity,
      controlPlane: config.servers.controlPlane,
      startedAt: this.startedAt,
      epoch: runtime.epoch,
      link: {
        state: state.kind,
        server: this.sync.server,
        trouble: 'trouble' in state ? state.trouble : null,
        credentialsExpireAt: current?.expiresAt ?? null,
      },
      ...(await this.state()),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#retryApply();
    for (const unlisten of this.#unlisten) unlisten();
    await this.#watching;
    await this.sync.stop();
    await this.#sender.close();
    await this.#parts.broker?.stop();
    await this.#parts.runtime.close();
  }

  /** Power-on: what was accepted last runs again, network or not. */
  async #applyStored(): Promise<void> {
    const { conditions, log } = this.#parts;
    let document: DesiredDocument | null;
    try {
      document = await this.#desired.load();
    } catch (error) {
      log.error({ err: error }, 'desired state on disk');
      conditions.set({
        type: 'desired/stored',
        axis: 'storage',
        severity: 'error',
        reason: 'Unreadable',
        message: messageOf(error),
      });
      return;
    }
    if (document !== null) await this.#apply(document);
  }

  async #apply(document: DesiredDocument): Promise<void> {
    this.#retryApply();
    const { clock, conditions, config, dataDir, log, policy, runtime } = this.#parts;
    const pools = Object.keys(config.batch.pools);
    const hash = this.#desired.hash;
    this.#heartbeat.setIntervalMs(document.heartbeatIntervalMs);
    const { admitted, refused } = await gateJobs(document.jobs, policy, dataDir, pools);
    for (const { name, version, reason } of refused)
      log.warn({ name, version, reason }, 'job refused');
    try {
      await runtime.applyJobs(admitted, refused);
    } catch (error) {
      // A store that cannot be written: what ran goes on, and this is tried again.
      log.error({ err: error }, 'desired state could not be applied');
      const message = messageOf(error);
      const reason = 'ApplyFailed';
      conditions.set({ type: 'desired/apply', axis: 'jobs', severity: 'error', reason, message });
      this.#retryApply = clock.after(APPLY_AGAIN_MS, () => this.#applyAgain());
      return;
    }
    this.#checkLosses();
    this.#observed = { revision: document.revision, hash };
    conditions.clear('desired/stored');
    conditions.clear('desired/apply');
    log.info({ revision: document.revision, jobs: document.jobs.length }, 'desired state applied');
    this.#heartbeat.jobChanged();
  }

  #counters(): Record<string, number> {
    const { broker, runtime } = this.#parts;
    const counters: Record<string, number> = { ...runtime.counters(), ...this.#sender.counters };
    for (const [reason, count] of Object.entries(broker?.dropped ?? {})) {
      counters[`broker_${reason}`] = count;
    }
    return counters;
  }

  #checkLosses(): void {
    const { runtime } = this.#parts;
    const jobs = runtime.jobReports();
    this.#losses.check({ jobs, sources: runtime.sourceReports(), counters: this.#counters() });
  }

  #applyAgain(): void {
    const document = this.#desired.current;
    if (document !== null) this.sync.apply(document);
  }

  async #watchResources(): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        this.#host = await this.#sampler.sample();
        this.#watch.check(this.#host);
        this.#checkLosses();
        await clock.sleep(RESOURCES_EVERY_MS, signal);
      } catch (error) {
        if (!signal.aborted) log.error({ err: error }, 'watching resources');
      }
    }
  }
}

/** The stricter of what agent.yaml asks for and policy.yaml grants. */
function linkBucket({ clock, config, policy }: AgentParts): TokenBucket | null {
  const rates = [config.link.bytesPerSecond, policy.budgets.bytesPerSecond];
  const given = rates.filter((rate) => rate !== undefined);
  return given.length === 0 ? null : new TokenBucket({ clock, bytesPerSecond: Math.min(...given) });
}
