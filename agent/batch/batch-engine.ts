/**
 * The batch engine of one agent as others see it: what it is given, and what it does. What does it
 * is batch-runtime.ts, loaded when there is a batch job.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import type { RefusedJob } from '../streams/job-plan.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { BatchCommand, BatchOutcome } from '@runnel/shared/protocol/runs.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Journal } from '../journal/journal.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { Connector } from '../streams/runnable-job.ts';
import type { BatchBudget } from './batch-budget.ts';
import type { Surroundings } from './dag/cheap-window.ts';
import type { RunRecord, TaskRecord } from './records.ts';
import type { BatchStore } from './runs/batch-store.ts';
import type { TaskRunner } from './tasks/task.ts';
import type { DeclaredSource } from './tables/journal-sources.ts';
import type { LaneRecount } from '../outbox/outbox.ts';
import type { StoreCare, TaskPolicy } from './tasks/task-services.ts';
import type { CheckpointStore } from '../checkpoints/checkpoint-store.ts';

type Optional = 'runners' | 'schedules';

/** What the composition root says of the device for its batch jobs. */
export interface BatchSettings {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly budget: BatchBudget;
  readonly policy: TaskPolicy;
  /** MQTT broker of the device for jobs without `url`. */
  readonly broker: unknown;
  /** The built task-child.js; by default it stands beside verify-store.js. */
  readonly childEntry?: string;
  /** Share of the disk under the data directory that is used, 0 to 1, or null. */
  readonly diskShare?: () => number | null;
  /** Power and network, for cheap windows. */
  readonly surroundings?: () => Surroundings;
  readonly runners?: readonly TaskRunner[];
  /** False: runs are made only by commands (`dry-run --execute`). */
  readonly schedules?: boolean;
}

export interface BatchRuntimeOptions
  extends Required<Omit<BatchSettings, Optional>>, Pick<BatchSettings, Optional> {
  readonly store: BatchStore;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly agent: string;
  readonly dataDir: string;
  readonly isClockSynchronised?: (nowMs: number) => boolean;
  /** Sources of the stream jobs here. */
  readonly streamSources: () => readonly DeclaredSource[];
  /** The store itself, for what reads the journal. */
  readonly checkpoints: CheckpointStore;
  /** Drops journal blocks that arrived before, as far as jobs have read them; returns records. */
  readonly purgeJournal: (timeMs: number) => Promise<number>;
  readonly storeCare: StoreCare;
  /** Counts what the lanes of the outbox hold. */
  readonly recountLanes: (mend: boolean) => Promise<LaneRecount>;
  /** The report of a job changed. */
  readonly changed: (job: string) => void;
}

/** One committed change, as `dry-run --execute` prints it. */
export interface RunChange {
  readonly run: RunRecord;
  /** Only those that changed. */
  readonly tasks: readonly TaskRecord[];
}

/** What others use of the batch engine. */
export interface BatchEngine {
  /** Keeps these jobs, and no others. Rejects only when the agent closes. */
  applyJobs(desired: readonly DesiredJob[], refused: readonly RefusedJob[]): Promise<void>;
  /**
   * Does what is asked, once per id: the same id again gives the same answer. Throws a
   * `RunnelError` whose code and message are the answer's.
   */
  command(command: BatchCommand): Promise<BatchOutcome>;
  jobReports(): JobReport[];
  /** Rows of a dataset are in a commit of a stream job: their newest window ends here, or null. */
  datasetUpdated(name: string, end: number | null): void;
  /** Sources that batch jobs of their own have journaled. */
  sources(): readonly Connector[];
  /** How much of the journal its jobs want kept, in milliseconds. */
  readonly historyMs: number;
  counters(): Record<string, number>;
  /** Told of every change of a run when it is on disk; the returned function stops it. */
  onRunChange(listener: (change: RunChange) => void): () => void;
  /** Schedules and runs go on from what is stored. */
  start(): Promise<void>;
  /** Attempts are aborted and count as interrupted. */
  close(): Promise<void>;
}
