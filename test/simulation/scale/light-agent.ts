/**
 * A light agent: the real sync of an agent (state machine, connection, heartbeats, results sender)
 * around a job that runs nothing and makes a row now and then. So it asks, verifies, reports,
 * resends and backs off exactly as a device does, at a hundredth of its memory.
 */
import type { Logger } from 'pino';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { type AgentState, HeartbeatLoop } from '@runnel/agent/sync/heartbeat.ts';
import { ResultsSender } from '@runnel/agent/sync/results-sender.ts';
import { SyncLoop } from '@runnel/agent/sync/sync-loop.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { DesiredDocument, DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { RequestKind } from '@runnel/shared/protocol/subjects.ts';
import type { Random } from '@runnel/shared/random.ts';
import { MemoryCredentials, MemoryDesired } from './device-memory.ts';
import type { EnrolledDevice } from './enrol-device.ts';
import { FlakyNetwork, type Gate, type NetworkCounters } from './flaky-network.ts';
import { LightOutbox } from './light-outbox.ts';
import type { Moment } from './worker-messages.ts';

export interface LightWorld {
  /** The device's own, which may be skewed. */
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly heartbeatMs: number;
  /** Between two rows of the job. */
  readonly resultsMs: number;
  readonly duplicates: number;
  readonly gate: Gate;
  readonly counters: NetworkCounters & { restarts: number; rowsSent: number; blocksSent: number };
  readonly tell: (moment: Moment['what']) => void;
}

/** A stream job is compiled and begins within this time. */
const START_MS_MAX = 40;

export class LightAgent {
  readonly outbox: LightOutbox;
  readonly network: FlakyNetwork;
  readonly device: EnrolledDevice;
  readonly #world: LightWorld;
  readonly #credentials: MemoryCredentials;
  readonly #desired: MemoryDesired;
  #job: { readonly desired: DesiredJob; readonly running: boolean } | null = null;
  #running: { readonly loop: SyncLoop; readonly sender: ResultsSender } | null = null;
  #cancelRow: () => void = () => undefined;
  #recordsOut = 0;

  constructor(device: EnrolledDevice, world: LightWorld) {
    const { agent, index, credentials, rootFingerprint, sequence } = device;
    const pinned = { rootFingerprint, sequence };
    this.device = device;
    this.#world = world;
    this.#credentials = new MemoryCredentials(pinned, credentials);
    this.#desired = new MemoryDesired(agent, pinned);
    this.outbox = new LightOutbox(agent, index);
    const { random, counters, duplicates, gate } = world;
    const asking = (kind: RequestKind) => this.#asking(kind);
    this.network = new FlakyNetwork({ random, counters, duplicates, gate, asking });
  }

  /** Power-on: a process with an epoch of its own. */
  start(): void {
    const { clock, random, log, heartbeatMs } = this.#world;
    const { agent, key, post } = this.device;
    const epoch = randomId(random, 10);
    this.outbox.begin(epoch);
    const conditions = new Conditions(clock);
    const sender = new ResultsSender({ outbox: this.outbox, clock, random, log, bucket: null });
    const heartbeat = new HeartbeatLoop({
      ...{ agent, epoch, clock, random, log },
      startedAt: clock.now(),
      intervalMs: heartbeatMs,
      read: () => Promise.resolve(this.#state(conditions)),
      sent: () => undefined,
    });
    const loop = new SyncLoop({
      ...{ agent, clock, random, log, conditions, key, post, heartbeat, sender },
      connect: this.network.connect,
      credentials: this.#credentials,
      desired: this.#desired,
      apply: (document) => this.#apply(document, heartbeat),
      batchCommand: () => Promise.reject(new RunnelError('job_unknown', 'no batch jobs here')),
    });
    this.#running = { loop, sender };
    loop.start();
    this.#makeRows(this.#world.resultsMs * random.next());
  }

  /** Power-off; rows that are not acknowledged stay. */
  async stop(): Promise<void> {
    this.quiet();
    const running = this.#running;
    this.#running = null;
    if (running === null) return;
    await running.loop.stop();
    await running.sender.close();
    this.#world.counters.rowsSent += running.sender.counters.rowsSent;
    this.#world.counters.blocksSent += running.sender.counters.blocksSent;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#world.counters.restarts += 1;
    this.start();
  }

  /** Makes no more rows. */
  quiet(): void {
    this.#cancelRow();
  }

  #asking(kind: RequestKind): () => void {
    const { tell } = this.#world;
    if (kind === 'desired') return () => tell('synced');
    const version = this.#job?.running === true ? this.#job.desired.version : null;
    if (kind === 'state' && version !== null) return () => tell(`running ${version}`);
    return () => undefined;
  }

  /** The one job of the simulation; a new version takes over where the old one was. */
  async #apply(document: DesiredDocument, heartbeat: HeartbeatLoop): Promise<void> {
    const desired = document.jobs[0];
    if (desired === undefined || desired.version === this.#job?.desired.version) return;
    this.#job = { desired, running: false };
    await this.#world.clock.sleep(START_MS_MAX * this.#world.random.next());
    this.#job = { desired, running: true };
    heartbeat.jobChanged();
  }

  #makeRows(afterMs: number): void {
    const { clock, resultsMs } = this.#world;
    this.#cancelRow = clock.after(afterMs, () => {
      this.#makeRow();
      this.#makeRows(resultsMs);
    });
  }

  #makeRow(): void {
    if (this.#job?.running !== true) return;
    const { clock, resultsMs } = this.#world;
    const at = clock.now();
    const { name, version } = this.#job.desired;
    this.#recordsOut += 1;
    this.outbox.append({
      ...{ kind: 'result', job: name, version, step: 'readings', dataset: name, key: null },
      ...{ windowStart: at - resultsMs, windowEnd: at, time: at, revision: 1, at },
    });
  }

  #state(conditions: Conditions): AgentState {
    return {
      observedRevision: this.#desired.revision,
      observedHash: this.#desired.hash,
      capabilities: ['stream'],
      conditions: conditions.list(),
      jobs: this.#job === null ? [] : [this.#jobReport(this.#job.desired, this.#job.running)],
      sources: [],
      outbox: { rows: this.outbox.waiting, bytes: 0, oldestAt: null, lost: 0 },
      counters: { 'commits.total': this.#recordsOut, 'records.total': this.#recordsOut * 5 },
      host: {
        cpuPercent: Math.round(100 * this.#world.random.next()),
        memoryUsedBytes: 500e6,
        memoryTotalBytes: 1e9,
        diskUsedBytes: 4e9,
        diskTotalBytes: 16e9,
        temperatureCelsius: 40,
        load1: 0.5,
        agentRssBytes: 60e6,
        agentCpuPercent: 1,
      },
    };
  }

  #jobReport({ name, version }: DesiredJob, running: boolean): JobReport {
    return {
      name,
      version: running ? version : null,
      phase: running ? 'running' : 'starting',
      attempted: null,
      watermark: this.#world.clock.now(),
      lagRecords: 0,
      recordsIn: this.#recordsOut * 5,
      recordsOut: this.#recordsOut,
      ...{ late: 0, deadLetters: 0, dropped: {}, stateKeys: 1 },
    };
  }
}
