/**
 * A device on a directory of this machine that runs one batch job when asked: the agent's own
 * runtime, store, journal and tasks, with no schedule, no link and no sources that connect.
 *
 * What a directory holds from before (cursors, datasets, completions) counts, as on a device.
 */
import { availableParallelism } from 'node:os';
import { pino } from 'pino';
import { BatchStore } from '../../batch/runs/batch-store.ts';
import { BATCH_BUDGET } from '../../batch/batch-budget.ts';
import type { BatchEngine, RunChange } from '../../batch/batch-engine.ts';
import type { RunRecord } from '../../batch/records.ts';
import type { CheckpointStore } from '../../checkpoints/checkpoint-store.ts';
import { lockDataDir } from '../../checkpoints/data-dir-lock.ts';
import { openStore } from '../../checkpoints/recover-store.ts';
import { gateJobs } from '../../config/job-gate.ts';
import { Conditions } from '../../resources/conditions.ts';
import { AgentRuntime } from '../../streams/agent-runtime.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { DryRunClock } from './dry-run-clock.ts';
import { fillJournal, type JournalInput } from './fill-journal.ts';
import { IdleSource } from './idle-source.ts';
import { desiredJob, type JournalSources } from './journal-inputs.ts';
import type { LocalPolicy } from './local-policy.ts';

/** What the composition root gives. */
export interface LocalWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly verifyEntry: string;
  /** By default task-child.js beside verify-store.js. */
  readonly childEntry?: string;
}

export interface LocalDeviceOptions extends LocalWorld {
  readonly dataDir: string;
  readonly name: string;
  readonly sources: JournalSources;
  /** As given: a run has no values of its own. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly policy: LocalPolicy;
  readonly atMs: number;
  readonly inputs: readonly JournalInput[];
  /** More that is in the store from the start. */
  readonly prepare?: (store: CheckpointStore) => Promise<void>;
  /** Told of every change that is on disk. */
  readonly changed: (change: RunChange, nowMs: number) => void;
}

/** The agent of a dry run, as jobs and policy see it. */
export const LOCAL_AGENT = { id: 'dry-run', name: 'dry-run', labels: {} } as const;
/** Room for what a person gives; a device has its own bound. */
const STORE_BYTES_MAX = 16 * 1024 ** 3;

export class LocalDevice {
  readonly runtime: AgentRuntime;
  /** Reads what is committed. */
  readonly records: BatchStore;
  readonly #options: LocalDeviceOptions;
  readonly #clock: DryRunClock;
  readonly #engine: BatchEngine;
  readonly #open = new Set<string>();
  readonly #waiting = new Map<string, (run: RunRecord) => void>();
  readonly #ended = new Map<string, RunRecord>();
  #interrupts = 0;

  /** Throws `data_dir_locked`, `refused` (with every reason of the policy), `input_invalid`. */
  static async open(options: LocalDeviceOptions): Promise<LocalDevice> {
    const { dataDir, clock, random, inputs, sources, name, parameters, atMs } = options;
    const job = { ...desiredJob(name, sources.document), parameters };
    if (options.policy.gate !== undefined) await refuse(job, options.policy.gate, dataDir);
    const lock = lockDataDir(dataDir, random);
    try {
      const { verifyEntry } = options;
      const unclean = lock.takenOver !== undefined;
      const opened = await openStore({
        dataDir,
        bytesMax: STORE_BYTES_MAX,
        clock,
        unclean,
        verifyEntry,
      });
      try {
        await fillJournal(opened.store, inputs);
        await options.prepare?.(opened.store);
      } finally {
        await opened.store.close();
      }
    } finally {
      lock.release();
    }
    const dryRunClock = new DryRunClock(clock, atMs);
    const { runtime, store } = await openRuntime(options, dryRunClock);
    try {
      await runtime.applyJobs([job, ...sources.others]);
      return new LocalDevice(options, runtime, store, dryRunClock);
    } catch (error) {
      await runtime.close();
      throw error;
    }
  }

  private constructor(
    options: LocalDeviceOptions,
    runtime: AgentRuntime,
    store: CheckpointStore,
    clock: DryRunClock,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.runtime = runtime;
    this.#engine = runtime.batch;
    const nothing = (): void => {};
    this.records = new BatchStore({ store, row: nothing, deadLetter: nothing, wake: nothing });
    this.#engine.onRunChange((change) => this.#changed(change));
  }

  /** Runs the job for one partition to its end. Throws what refuses the run. */
  async run(partition: Partition, fullRefresh: boolean): Promise<RunRecord> {
    return this.runJob(this.#options.name, partition.id, fullRefresh);
  }

  /** The same of any job here; without a partition for the newest. */
  async runJob(name: string, partition: string | null, fullRefresh = false): Promise<RunRecord> {
    const { random, atMs } = this.#options;
    this.#clock.hold(Math.max(atMs, this.#clock.now()));
    const outcome = await this.#engine.command({
      v: 1,
      id: randomId(random),
      action: 'run',
      job: name,
      partition,
      parameters: {},
      fullRefresh,
    });
    this.#clock.go();
    const id = outcome.runs[0]?.run ?? '';
    const ended = this.#ended.get(id);
    if (ended !== undefined) return ended;
    this.#open.add(id);
    if (this.#interrupts > 0) this.#cancel(id);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  /** Cancels what runs: tasks end and teardown tasks run; asked for again, those end too. */
  interrupt(): void {
    this.#interrupts += 1;
    for (const id of this.#open) this.#cancel(id);
  }

  get interrupted(): boolean {
    return this.#interrupts > 0;
  }

  async close(): Promise<void> {
    await this.runtime.close();
  }

  #cancel(run: string): void {
    const id = randomId(this.#options.random);
    this.#engine.command({ v: 1, id, action: 'cancel', run }).catch((error: unknown) => {
      // It has ended meanwhile.
      if (!(error instanceof RunnelError)) throw error;
    });
  }

  #changed(change: RunChange): void {
    this.#options.changed(change, this.#clock.now());
    const { run } = change;
    if (run.state === 'queued' || run.state === 'running') return;
    this.#ended.set(run.id, run);
    this.#open.delete(run.id);
    this.#waiting.get(run.id)?.(run);
  }
}

async function openRuntime(
  options: LocalDeviceOptions,
  clock: DryRunClock,
): Promise<{ readonly runtime: AgentRuntime; readonly store: CheckpointStore }> {
  const { dataDir, random, verifyEntry, childEntry, policy } = options;
  let store: CheckpointStore | undefined;
  const runtime = await AgentRuntime.open({
    dataDir,
    clock,
    random,
    log: pino({ level: 'silent' }),
    agent: LOCAL_AGENT.id,
    conditions: new Conditions(clock),
    verifyEntry,
    wrapStore: (opened) => (store = opened),
    budgets: {
      storeBytesMax: STORE_BYTES_MAX,
      journalBytesMax: Infinity,
      journalAgeMsMax: Infinity,
    },
    batch: {
      name: LOCAL_AGENT.name,
      labels: LOCAL_AGENT.labels,
      budget: { ...BATCH_BUDGET, cpu: Math.max(1, availableParallelism()) },
      policy: policy.tasks,
      broker: { kind: 'external', endpoint: { url: 'mqtt://127.0.0.1:1883' } },
      schedules: false,
      ...(childEntry === undefined ? {} : { childEntry }),
    },
    createSource: ({ id }) => new IdleSource(id),
    createSink({ kind }) {
      throw new RunnelError('sink_unknown', `a dry run has no sink ${kind}`);
    },
  });
  return { runtime, store: store! };
}

async function refuse(
  job: ReturnType<typeof desiredJob>,
  policy: NonNullable<LocalPolicy['gate']>,
  dataDir: string,
): Promise<void> {
  const { refused: found } = await gateJobs([job], policy, dataDir);
  const [refused] = found;
  if (refused === undefined) return;
  throw new RunnelError('usage', `the policy refuses the job: ${refused.reason}`, {
    hint: 'Change the job, or allow it in the policy file.',
  });
}
