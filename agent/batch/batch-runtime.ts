/**
 * The batch engine of one agent, from a due time to a committed run: schedules, runs, attempts and
 * what they leave behind. It needs no network and no control plane.
 *
 * Guarantees: a run is one per (job, partition) among those that are queued or running; every
 * change of a run or task is in one commit with its effect (outbox rows, cursor, dataset,
 * completion); an attempt starts when that is on disk, so that after a crash what was running is
 * known and is made again; nothing that the engine drops (missed times, old runs, lines of logs)
 * goes uncounted.
 */
import { join } from 'node:path';
import { messageOf } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { BatchCommand, BatchOutcome } from '@runnel/shared/protocol/runs.ts';
import type { RefusedJob } from '../streams/job-plan.ts';
import type { Connector } from '../streams/runnable-job.ts';
import type { BatchEngine, BatchRuntimeOptions, RunChange } from './batch-engine.ts';
import { TaskChildren } from './child/children.ts';
import type { RunRecord, TaskRecord } from './records.ts';
import { Backfills } from './runs/backfills.ts';
import { BatchSpace } from './runs/batch-space.ts';
import { batchCounters } from './runs/batch-counters.ts';
import { batchJobReports } from './runs/batch-job-report.ts';
import { type BatchJobHost, BatchJobs } from './runs/batch-jobs.ts';
import type { BatchTx } from './runs/batch-store.ts';
import { Commands } from './runs/commands.ts';
import { Datasets, type DatasetUpdate } from './runs/datasets.ts';
import { keys } from './runs/job-record.ts';
import { StoreIndex } from './runs/index-care.ts';
import { Retention } from './runs/retention.ts';
import { RunLogs } from './runs/run-logs.ts';
import { RunEnd } from './runs/run-end-effects.ts';
import { RunSet } from './runs/run-set.ts';
import { Schedules } from './runs/schedules.ts';
import { SuccessEffects } from './runs/success-effects.ts';
import { TaskStarter } from './runs/task-starter.ts';
import { Upkeep } from './runs/upkeep.ts';
import { UpstreamFailures } from './runs/upstream-failures.ts';
import { BatchClock } from './schedule/batch-clock.ts';
import { EngineTime } from './schedule/engine-time.ts';
import { StoredJournal } from './tables/stored-journal.ts';
import { TableFiles } from './tables/table-files.ts';
import { taskRunners } from './tasks/registry.ts';
import type { TaskServices } from './tasks/task-services.ts';

export class BatchRuntime implements BatchEngine {
  readonly #options: BatchRuntimeOptions;
  readonly #batchDir: string;
  readonly #files: TableFiles;
  readonly #time: EngineTime;
  readonly #jobs: BatchJobs;
  readonly #logs: RunLogs;
  readonly #runs: RunSet;
  readonly #schedules: Schedules;
  readonly #starter: TaskStarter;
  readonly #backfills: Backfills;
  readonly #commands: Commands;
  readonly #retention: Retention;
  readonly #space: BatchSpace;
  readonly #upkeep: Upkeep;
  readonly #ends: RunEnd;
  readonly #upstream: UpstreamFailures;
  readonly #listeners = new Set<(change: RunChange) => void>();
  readonly #gone = new Set<string>();
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: BatchRuntimeOptions) {
    this.#options = options;
    const { store, clock, random, log, conditions, dataDir, agent, name, labels } = options;
    this.#batchDir = join(dataDir, 'batch');
    const batchDir = this.#batchDir;
    const files = new TableFiles(dataDir);
    this.#files = files;
    const facts = { id: agent, name, labels };
    const time = this.#engineTime();
    this.#time = time;
    const now = (): number => time.now();
    const shared = { store, clock, time, random, log };
    this.#jobs = new BatchJobs({
      store,
      now,
      changed: (job, host) => this.#jobChanged(job, host),
    });
    const jobs = this.#jobs;
    this.#logs = new RunLogs({ batchDir, clock, log, conditions });
    const logs = this.#logs;
    this.#runs = new RunSet({
      ...shared,
      jobs,
      agent: facts,
      logs,
      admit: (at) => this.#starter.admit(this.#runs, at),
      ended: (tx, run, affected) => this.#ended(tx, run, affected),
      committed: (run, tasks) => this.#committed(run, tasks),
    });
    const runs = this.#runs;
    const datasets = new Datasets(store, files);
    this.#upstream = new UpstreamFailures(store, conditions);
    const upstream = this.#upstream;
    this.#backfills = new Backfills({ store, jobs, runs, now });
    this.#starter = this.#taskStarter(datasets);
    this.#schedules = new Schedules({
      ...shared,
      jobs,
      runs,
      conditions,
      upstream,
      agent,
      diskShare: options.diskShare,
    });
    this.#retention = new Retention(store, jobs, files);
    this.#space = this.#batchSpace();
    this.#commands = new Commands({
      store,
      jobs,
      runs,
      backfills: this.#backfills,
      now,
      batchDir,
      logs,
    });
    this.#upkeep = new Upkeep({
      ...shared,
      jobs,
      runs,
      files,
      batchDir,
      retention: this.#retention,
      space: this.#space,
      trimAnswers: (tx, at) => this.#commands.trim(tx, at),
    });
    this.#ends = new RunEnd({ store, jobs, upstream, log, now });
  }

  async applyJobs(desired: readonly DesiredJob[], refused: readonly RefusedJob[]): Promise<void> {
    this.#time.look();
    for (const name of await this.#jobs.apply(desired, refused)) await this.#remove(name);
    for (const { name } of desired) {
      // It comes back while its last runs are being ended: its schedule was taken off.
      if (this.#gone.delete(name)) this.#jobChanged(name, this.#jobs.hosts.get(name));
    }
  }

  async command(command: BatchCommand): Promise<BatchOutcome> {
    this.#time.look();
    return this.#commands.command(command);
  }

  jobReports(): JobReport[] {
    return batchJobReports(this.#jobs, this.#runs, this.#schedules, this.#starter.runs);
  }

  datasetUpdated(name: string, end: number | null): void {
    if (this.#jobs.waitingFor(name).length === 0) return;
    const { store } = this.#options;
    this.#time.look();
    // Called as that commit is made: the runs that it starts must not come in a later one.
    this.#quietly(store.commit((tx) => this.#schedules.datasetUpdated(tx, name, end), true));
  }

  sources(): readonly Connector[] {
    return this.#jobs.sources().map(({ connector, definition }) => ({ id: connector, definition }));
  }

  get historyMs(): number {
    let most = 0;
    for (const { facts } of this.#jobs.hosts.values()) {
      most = Math.max(most, facts?.historyMs ?? 0);
    }
    return most;
  }

  counters(): Record<string, number> {
    return batchCounters({
      store: this.#options.store,
      runs: this.#runs,
      starter: this.#starter,
      logs: this.#logs,
      space: this.#space,
      retention: this.#retention,
      upkeep: this.#upkeep,
      commands: this.#commands,
    });
  }

  onRunChange(listener: (change: RunChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    this.#starting ??= this.#start();
    await this.#starting;
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #start(): Promise<void> {
    const { log, schedules = true } = this.#options;
    this.#runs.load();
    this.#backfills.load();
    this.#upstream.load();
    try {
      await this.#upkeep.sweep();
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'files of earlier attempts were not removed');
    }
    if (this.#closing !== undefined) return;
    this.#runs.start();
    this.#quietly(this.#options.store.commit((tx) => this.#backfills.resume(tx)));
    if (schedules) {
      // Of what was stored nothing has changed, so nobody was told.
      for (const [name, host] of this.#jobs.hosts) this.#schedules.jobChanged(name, host);
      this.#schedules.start();
    }
    this.#upkeep.start();
  }

  async #close(): Promise<void> {
    this.#schedules.stop();
    this.#upkeep.stop();
    await this.#starting;
    await this.#space.close();
    await this.#starter.stop(this.#runs);
    this.#runs.close();
    await this.#logs.settled();
  }

  #batchSpace(): BatchSpace {
    const { budget, clock, conditions, log, store } = this.#options;
    return new BatchSpace({
      store,
      jobs: this.#jobs,
      runs: this.#runs,
      retention: this.#retention,
      files: this.#files,
      clock,
      log,
      conditions,
      batchDir: this.#batchDir,
      filesBytesMax: budget.filesBytes,
    });
  }

  #taskStarter(datasets: Datasets): TaskStarter {
    const { store, clock, random, log, budget, runners, surroundings } = this.#options;
    return new TaskStarter({
      store,
      clock,
      time: this.#time,
      random,
      log,
      jobs: this.#jobs,
      files: this.#files,
      effects: new SuccessEffects(store, datasets, this.#files),
      budget,
      attempts: {
        clock,
        services: this.#services(datasets),
        runners: new Map((runners ?? taskRunners).map((each) => [each.kind, each])),
        scratchRoot: join(this.#batchDir, 'scratch'),
      },
      isHeld: () => this.#space.isHeld,
      surroundings,
      backfillMaxOf: (id) => this.#backfills.maxOf(id),
      updated: (tx, updates) => this.#datasetsUpdated(tx, updates),
    });
  }

  #services(datasets: Datasets): TaskServices {
    const { log, checkpoints, policy, childEntry, clock, storeCare, broker } = this.#options;
    const { streamSources, purgeJournal, store, recountLanes } = this.#options;
    return {
      log,
      tables: this.#files,
      journal: new StoredJournal({
        store: checkpoints,
        sources: () => [...streamSources(), ...this.#jobs.sources()],
        purgeBefore: purgeJournal,
        historyFromMs: () => this.#options.journal.historyFromMs,
      }),
      datasets,
      policy,
      children: new TaskChildren({ entry: childEntry, clock }),
      store: storeCare,
      index: new StoreIndex({ store, jobs: this.#jobs, runs: this.#runs, clock, recountLanes }),
      broker,
    };
  }

  #jobChanged(name: string, host: BatchJobHost | undefined): void {
    const { schedules = true } = this.#options;
    if (host === undefined) this.#upstream.untell(name);
    if (schedules) this.#schedules.jobChanged(name, host);
    this.#runs.pump();
    this.#options.changed(name);
  }

  /** Its runs are cancelled; when the last has ended, all of the job is forgotten. */
  async #remove(name: string): Promise<void> {
    this.#gone.add(name);
    this.#schedules.jobChanged(name, undefined);
    const { store } = this.#options;
    await store.commit((tx) => this.#backfills.forget(tx, name));
    const reason = 'the job was taken from the device';
    for (const open of this.#runs.open(name)) {
      const { id, cancelling } = this.#runs.runOf(open);
      // A second cancel would end its teardown tasks too.
      if (cancelling === null) await this.#cancel(id, reason);
    }
    await this.#forgetGone(name);
  }

  /** One that has ended meanwhile, or cannot be compiled and so has ended, needs no cancel. */
  async #cancel(run: string, reason: string): Promise<void> {
    try {
      await this.#runs.command(run, { kind: 'cancel', reason });
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code !== 'run_ended' && code !== 'run_unknown') throw error;
    }
  }

  async #forgetGone(name: string): Promise<void> {
    if (!this.#gone.has(name) || this.#runs.open(name).length > 0) return;
    const { store } = this.#options;
    const ids = store.list<string>(['runs', name]).map(({ value }) => value);
    this.#gone.delete(name);
    await store.commit((tx) => {
      for (const id of ids) {
        const run = store.get<RunRecord>(keys.run(id));
        if (run !== undefined) this.#retention.forget(tx, run);
      }
      this.#jobs.forget(tx, name);
    });
    // A line that comes later would make the log again.
    await this.#logs.settled();
    await this.#retention.removeFiles(this.#batchDir, ids);
  }

  #ended(tx: BatchTx, run: RunRecord, affectedTasks: readonly string[]): void {
    const host = this.#jobs.hosts.get(run.job);
    if (host === undefined) return;
    this.#ends.ended(tx, host, run, affectedTasks);
    if (!this.#gone.has(run.job)) this.#backfills.ended(tx, run);
    const gone = this.#retention.trim(tx, host, this.#time.now());
    // After the commit that is being gathered.
    this.#quietly(Promise.resolve().then(() => this.#afterEnd(run.job, gone)));
  }

  async #afterEnd(job: string, gone: readonly string[]): Promise<void> {
    this.#options.changed(job);
    if (gone.length > 0) {
      await this.#options.store.commit(() => undefined);
      await this.#retention.removeFiles(this.#batchDir, gone);
    }
    await this.#forgetGone(job);
    this.#space.check();
  }

  #committed(run: RunRecord, tasks: readonly TaskRecord[]): void {
    for (const listener of this.#listeners) listener({ run, tasks });
  }

  #datasetsUpdated(tx: BatchTx, updates: readonly DatasetUpdate[]): void {
    for (const { record } of updates) {
      this.#schedules.datasetUpdated(tx, record.name, record.end);
    }
  }

  #quietly(done: Promise<unknown>): void {
    done.catch((error: unknown) => {
      const { code } = error as { code?: unknown };
      if (code === 'agent_closing') return;
      this.#options.log.error({ error: messageOf(error) }, 'batch upkeep failed');
    });
  }

  #engineTime(): EngineTime {
    const { clock, journal, log, schedules, store } = this.#options;
    const lastMs = Math.max(store.get<number>(keys.time) ?? 0, journal.now ?? 0);
    const batchClock = new BatchClock({
      clock,
      // A run that is asked for stands for the time that its clock says.
      lastMs: schedules === false || lastMs === 0 ? null : lastMs,
      isSynchronised: this.#options.isClockSynchronised ?? (() => true),
      onJump: ({ fromMs, toMs }) => log.warn({ from: fromMs, to: toMs }, 'the clock jumped'),
    });
    const stepped = (deltaMs: number): void => {
      this.#runs.redate(deltaMs);
      this.#starter.redate(deltaMs);
    };
    return new EngineTime({ clock, batchClock, stepped });
  }
}
