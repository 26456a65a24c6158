/**
 * The running core of an agent, composed: store, journal, commit cycle, jobs, sources, outbox and
 * local delivery. main.ts gives it the real clock, sources and sinks; tests give it their own.
 *
 * `open` takes the lock of the data directory, checks and opens the store, and starts nothing;
 * `applyJobs` makes the given jobs run and no others. `close` ends cleanly: everything taken in is
 * committed, and the lock is released, which is how the next start knows.
 */
import type { Logger } from 'pino';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { JobReport, SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import type { BatchCommand, BatchOutcome } from '@runnel/shared/protocol/runs.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { CheckpointStore, ReplaceableStore } from '../checkpoints/checkpoint-store.ts';
import { type DataDirLock, lockDataDir } from '../checkpoints/data-dir-lock.ts';
import { openStore } from '../checkpoints/recover-store.ts';
import type { BatchEngine, BatchSettings } from '../batch/batch-engine.ts';
import { Journal } from '../journal/journal.ts';
import { DeadLetters } from '../outbox/dead-letters.ts';
import { Delivery } from '../outbox/delivery.ts';
import { Outbox, type OutboxDepth } from '../outbox/outbox.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Source } from '../sources/source.ts';
import { batchSlotOf } from './batch-parts.ts';
import type { BatchSlot } from './batch-slot.ts';
import { BUDGETS, type Budgets } from './budgets.ts';
import { type ClockWatch, clockWatchOf } from './clock-watch.ts';
import { CommitCycle, type CommitCycleOptions } from './commit-cycle.ts';
import { JobCompiler } from './job-compiler.ts';
import type { JobHost } from './job-host.ts';
import { compileRecord, JobPlan, type RefusedJob, usedSources } from './job-plan.ts';
import { jobReport } from './job-report.ts';
import { readJobs } from './job-record.ts';
import { JobSet, type JobSetOptions } from './job-set.ts';
import type { CompileJob, Connector } from './runnable-job.ts';
import { SlaSlot } from './sla-slot.ts';
import { SourceGarbage } from './source-garbage.ts';
import { SourceSet } from './source-set.ts';
import { tellRecovered } from './storage-condition.ts';
import { countDeath } from './unclean-deaths.ts';
import { VersionSwitch } from './version-switch.ts';
import { wantedSources } from './wanted-sources.ts';

export interface AgentRuntimeOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The agent's id. */
  readonly agent: string;
  readonly conditions: Conditions;
  /** `connector.id` names the source. */
  readonly createSource: (connector: Connector) => Source | Promise<Source>;
  readonly createSink: (definition: SinkDefinition, job: string) => Sink | Promise<Sink>;
  /** The built verify-store.js. */
  readonly verifyEntry: string;
  readonly budgets?: Partial<Budgets>;
  /** What batch jobs may use of the device; without it they are not run. */
  readonly batch?: BatchSettings;
  /** Whether the clock can be believed; without it, it always can. */
  readonly isClockSynchronised?: (nowMs: number) => boolean;
  readonly compile?: CompileJob;
  /** For tests that plant a fault: what stands between the runtime and its store. */
  readonly wrapStore?: (store: CheckpointStore) => CheckpointStore;
  readonly acknowledge?: CommitCycleOptions['acknowledge'];
}

export class AgentRuntime {
  /** Random id of this process; outbox rows keep the one in which they were made. */
  readonly epoch: string;
  readonly outbox: Outbox;
  readonly deadLetters: DeadLetters;
  readonly delivery: Delivery;
  readonly journal: Journal;
  readonly #options: AgentRuntimeOptions;
  readonly #lock: DataDirLock;
  readonly #store: CheckpointStore;
  readonly #sources: SourceSet;
  readonly #jobs: JobSet;
  readonly #cycle: CommitCycle;
  readonly #plan: JobPlan;
  readonly #compiler: JobCompiler;
  readonly #garbage: SourceGarbage;
  readonly #clockWatch: ClockWatch | undefined;
  readonly #batch: BatchSlot;
  readonly #slas: SlaSlot;
  readonly #listeners = new Set<(job: string) => void>();
  /** Changes of jobs, one after the other. */
  #changes: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** Throws `data_dir_locked`, `store_format_newer`. */
  static async open(options: AgentRuntimeOptions): Promise<AgentRuntime> {
    const { dataDir, clock, random, verifyEntry } = options;
    const lock = lockDataDir(dataDir, random);
    try {
      const bytesMax = options.budgets?.storeBytesMax ?? BUDGETS.storeBytesMax;
      const unclean = lock.takenOver !== undefined;
      const opened = await openStore({ dataDir, bytesMax, clock, unclean, verifyEntry });
      const { store, recovered } = opened;
      if (recovered !== undefined) tellRecovered(options, recovered);
      return await AgentRuntime.#over(options, lock, store);
    } catch (error) {
      lock.release('unclean');
      throw error;
    }
  }

  static async #over(
    options: AgentRuntimeOptions,
    lock: DataDirLock,
    store: ReplaceableStore,
  ): Promise<AgentRuntime> {
    try {
      if (lock.takenOver !== undefined) await countDeath(store, options.log);
      const compiler = await JobCompiler.over(store, options.compile);
      return new AgentRuntime(options, lock, store, compiler);
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  private constructor(
    options: AgentRuntimeOptions,
    lock: DataDirLock,
    care: ReplaceableStore,
    compiler: JobCompiler,
  ) {
    const store = options.wrapStore?.(care) ?? care;
    this.#options = options;
    this.#compiler = compiler;
    this.#lock = lock;
    this.#store = store;
    this.epoch = randomId(options.random);
    const { agent, clock, random, log, conditions, dataDir, createSource, createSink } = options;
    const budgets = { ...BUDGETS, ...options.budgets };
    const { compile } = compiler;
    const shared = { store, clock, random, log, conditions, agent, epoch: this.epoch, dataDir };
    const commit = () => this.#cycle.request(false);
    this.journal = new Journal(store, {
      bytesMax: budgets.journalBytesMax,
      ageMsMax: budgets.journalAgeMsMax,
    });
    const { outboxBytesMax: bytesMax } = budgets;
    this.outbox = new Outbox({
      ...{ ...shared, bytesMax, commit },
      unsendable: (...row) => this.deadLetters.addUnsendable(...row),
    });
    this.deadLetters = new DeadLetters(store, budgets.deadLettersMax);
    this.delivery = new Delivery({
      ...{ ...shared, deadLetters: this.deadLetters, createSink, commit },
      laneBytesMax: budgets.sinkBytesMax,
    });
    this.#sources = new SourceSet({ ...shared, create: createSource });
    const { journal } = this;
    const { stateBytesMax } = budgets;
    this.#jobs = this.#jobSet({ ...shared, journal, stateBytesMax }, compile);
    this.#clockWatch = clockWatchOf(options, (entry) => this.#cycle.control(entry));
    const watches = this.#clockWatch === undefined ? [] : [this.#clockWatch];
    this.#batch = this.#batchSlot(care);
    this.#slas = new SlaSlot({
      ...{ ...options, store, journal, outbox: this.outbox, jobs: this.#jobs },
      batch: () => this.#batch,
      wake: () => this.#cycle.wake(),
      changed: (job) => this.#tell(job),
    });
    this.#cycle = new CommitCycle({
      ...{ ...shared, journal, jobs: this.#jobs, sources: this.#sources },
      pace: budgets.pace,
      bounds: budgets.gather,
      others: [
        this.#batch.writes,
        this.#slas,
        this.outbox,
        this.delivery,
        this.deadLetters,
        ...watches,
      ],
      ...(options.acknowledge !== undefined && { acknowledge: options.acknowledge }),
    });
    this.#jobs.attach(this.#cycle);
    this.#sources.attach(this.#cycle);
    const versions = new VersionSwitch({ store, journal, cycle: this.#cycle, jobs: this.#jobs });
    this.#plan = new JobPlan({
      ...{ ...shared, versions, compile, cycle: this.#cycle, jobs: this.#jobs },
      changed: (job) => this.#changed(job),
    });
    this.#garbage = this.#sourceGarbage(compile);
    this.#load(compile);
    this.delivery.start();
  }

  #sourceGarbage(compile: CompileJob): SourceGarbage {
    const store = this.#store;
    const ofBatch = (): string[] => (this.#batch.engine?.sources() ?? []).map(({ id }) => id);
    return new SourceGarbage({
      store,
      log: this.#options.log,
      used: () => new Set([...usedSources(compile, readJobs(store)), ...ofBatch()]),
      commit: async (write) => {
        this.#jobs.once(write);
        await this.#cycle.request(true);
      },
    });
  }

  #batchSlot(care: ReplaceableStore): BatchSlot {
    return batchSlotOf(this.#options, {
      store: this.#store,
      care,
      journal: this.journal,
      outbox: this.outbox,
      deadLetters: this.deadLetters,
      jobs: this.#jobs,
      cycle: () => this.#cycle,
      exclusive: (change) => this.#change(() => this.#cycle.exclusive(change)),
      changed: (job) => this.#changed(job),
    });
  }

  #jobSet(
    options: Omit<JobSetOptions, 'targets' | 'compile' | 'giveUp' | 'changed'>,
    compile: CompileJob,
  ): JobSet {
    return new JobSet({
      ...options,
      targets: {
        alert: (text) => this.outbox.add('alerts', text),
        row: (origin, text) => this.outbox.addOf(origin, text),
        local: (job, sink, text) => this.delivery.add(job, sink, text),
        deadLetter: (job, version, letter) => this.deadLetters.add(job, version, letter),
        lettersDropped: (count) => this.deadLetters.countDropped(count),
        updated: (dataset, end) => this.#batch.engine?.datasetUpdated(dataset, end),
      },
      compile: (record) => compileRecord(compile, record),
      giveUp: (host, error) => void this.#giveUp(host, error),
      changed: (host) => this.#changed(host.record.name),
    });
  }

  async #giveUp(host: JobHost, error: unknown): Promise<void> {
    try {
      await this.#change(async () => {
        await this.#plan.giveUp(host, error);
        await this.#runSources();
      });
    } catch (failure) {
      const { log } = this.#options;
      log.error({ job: host.record.name, error: messageOf(failure) }, 'no way back');
    }
  }

  /**
   * Makes these jobs run, and no others; `refused` ones are reported with their reason. What a job
   * cannot do is contained in its report; rejects only when the store cannot be written.
   */
  async applyJobs(
    desired: readonly DesiredJob[],
    refused: readonly RefusedJob[] = [],
  ): Promise<void> {
    await this.#change(async () => {
      await this.#batch.load(desired);
      const own = this.#batch.split(desired, refused);
      if (own.desired.stream.length > 0) await this.#compiler.load();
      await this.#plan.apply(own.desired.stream, own.refused.stream);
      await this.#batch.apply(own.desired.batch, own.refused.batch);
      this.journal.keepMs(this.#batch.engine?.historyMs ?? 0);
      await this.#runSources();
      this.delivery.applied();
      this.#clockWatch?.applied();
      await this.#slas.apply(desired);
    });
  }

  jobReports(): JobReport[] {
    const { recordsTotal } = this.journal;
    const running = [...this.#jobs.hosts.values()].map((host) => jobReport(host, recordsTotal));
    return [...running, ...this.#plan.reports(), ...(this.#batch.engine?.jobReports() ?? [])];
  }

  /** The engine of batch jobs; throws `job_unknown` while there is none of them. */
  get batch(): BatchEngine {
    return this.#batch.required();
  }

  async batchCommand(command: BatchCommand): Promise<BatchOutcome> {
    return this.batch.command(command);
  }

  slaReports(): readonly SlaReport[] | undefined {
    return this.#slas.reports();
  }

  sourceReports(): SourceReport[] {
    return this.#sources.reports();
  }

  outboxReport(): OutboxDepth {
    return this.outbox.depth();
  }

  counters(): Record<string, number> {
    const local = this.delivery.depth();
    return {
      ...this.#cycle.metrics.counters(),
      journal_bytes: this.journal.bytes,
      journal_records: this.journal.recordsTotal,
      store_bytes: this.#store.usedBytes(),
      state_cache_bytes: this.#jobs.stateBytes,
      dead_letters: this.deadLetters.rows,
      dead_letters_dropped: this.deadLetters.dropped,
      sink_rows: local.rows,
      sink_bytes: local.bytes,
      sink_rows_lost: local.lost,
      outbox_gap_rows: this.outbox.gapRows,
      ...this.outbox.lost.counters(),
      run_ms: Math.round(this.#cycle.runMs),
      ...this.#batch.engine?.counters(),
    };
  }

  /** Told the name of a job whose phase or version changed; the returned function stops it. */
  onJobChange(listener: (job: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Commits what came in, closes everything and releases the lock. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    await this.#changes.catch((error: unknown) => {
      this.#options.log.warn({ error: messageOf(error) }, 'the last change of jobs failed');
    });
    this.#clockWatch?.stop();
    this.#slas.stop();
    await this.#batch.close();
    await this.#sources.stop();
    await this.#cycle.close();
    this.#batch.writes.close();
    this.#jobs.close();
    await this.delivery.close();
    await this.#store.close();
    this.#lock.release();
  }

  async #change<T>(change: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new RunnelError('agent_closing', 'the agent is closing');
    const next = this.#changes.then(change, change);
    this.#changes = next;
    return await next;
  }

  /** What is stored, as hosts that wait for `applyJobs`. */
  #load(compile: CompileJob): void {
    for (const record of readJobs(this.#store)) {
      try {
        const runnable = compileRecord(compile, record);
        this.#jobs.hosts.set(record.name, this.#jobs.host(record, runnable));
        this.delivery.configure(record.name, runnable.sinks);
      } catch (error) {
        const { log } = this.#options;
        log.error({ job: record.name, error: messageOf(error) }, 'a stored job does not compile');
        this.#plan.cannotCompile(record);
      }
    }
  }

  #changed(job: string): void {
    const host = this.#jobs.hosts.get(job);
    this.delivery.configure(job, host?.runnable.sinks ?? []);
    this.#tell(job);
  }

  #tell(job: string): void {
    for (const listener of this.#listeners) listener(job);
  }

  async #runSources(): Promise<void> {
    const ofBatch = this.#batch.engine?.sources() ?? [];
    const { wanted, blocking } = wantedSources(this.#jobs.hosts.values(), ofBatch);
    await this.#sources.run(wanted, blocking);
    await this.#garbage.collect(new Set(wanted.keys()));
  }
}
