/**
 * What is stored of a batch job beside its runs (`['job', name]` and what goes with it), and the
 * keys of everything in the database `batch` (records.ts).
 */
import type { BatchOutcome, RunReport, RunState } from '@runnel/shared/protocol/runs.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import type { BatchKey } from './batch-store.ts';

export interface BatchJobRecord {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  /** Of document and effective parameters: what is stored as the version. */
  readonly content: string;
  readonly paused: boolean;
  /** Number that the next run gets. */
  readonly nextRun: number;
  /** Runs below this number are no longer kept. */
  readonly firstRun: number;
  /** Times that started no run, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Runs that ended, by state. */
  readonly ended: Readonly<Partial<Record<RunState, number>>>;
  readonly lastRun: {
    readonly run: string;
    readonly partition: string;
    readonly state: RunState;
    readonly endedAt: number;
  } | null;
  readonly lastSuccessAt: number | null;
  /** Rows that went to the dead letters, all and by `<task>: <reason>`. */
  readonly deadLetters: number;
  readonly deadLettersBy: Readonly<Record<string, number>>;
  /** A version that could not be taken, and why. */
  readonly attempted: {
    readonly version: number;
    readonly phase: 'refused' | 'failed';
    readonly reason: string;
    readonly at: number;
  } | null;
}

/** `['given', run]`: the parameters of a run, as they were when it was made. */
export interface RunParametersRecord {
  /** Effective. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Where each value came from: `default`, `device`, `run`. */
  readonly origins: Readonly<Record<string, string>>;
  readonly tasks: RunReport['tasks'];
}

/** `['upstream', job]`: a run that should have updated what the job waits for failed. */
export interface UpstreamRecord {
  /** The job of that run, and the run by its key. */
  readonly job: string;
  readonly run: string;
  readonly at: number;
  /** The job whose dataset it waits for, where that is another one, which waits itself. */
  readonly via?: string;
}

/** `['backfill', id]` */
export interface BackfillRecord {
  readonly id: string;
  readonly job: string;
  readonly version: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly which: 'none' | 'failed' | 'all';
  readonly order: 'oldest' | 'newest';
  readonly maxActive: number;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly madeAt: number;
  /** The last, in order, that was looked at: a list that is another one goes on behind it. */
  readonly reached: Pick<Partition, 'end' | 'id' | 'start'> | null;
  readonly total: number;
  readonly started: number;
  /** What was to run and was passed by; the first of them by name. */
  readonly skipped: NonNullable<BatchOutcome['skipped']>;
  /** Why it makes no further runs; null while it does. */
  readonly stopped: string | null;
}

export const keys = {
  job: (name: string): BatchKey => ['job', name],
  /** The newest time that was known. */
  time: ['time'] as BatchKey,
  schedule: (name: string): BatchKey => ['schedule', name],
  version: (name: string, version: number): BatchKey => ['version', name, version],
  run: (id: string): BatchKey => ['run', id],
  task: (run: string, task: string, index: number | null): BatchKey => [
    'task',
    run,
    task,
    index ?? -1,
  ],
  numbered: (job: string, n: number): BatchKey => ['runs', job, n],
  /** Of runs that have not ended. */
  open: (run: string): BatchKey => ['open', run],
  given: (run: string): BatchKey => ['given', run],
  partition: (job: string, id: string): BatchKey => ['partition', job, id],
  /** Which one is whose: cursor-place.ts. */
  cursor: (job: string, task: string, key: string, item: string): BatchKey => [
    'cursor',
    job,
    task,
    key,
    item,
  ],
  breaker: (job: string, task: string): BatchKey => ['breaker', job, task],
  quality: (
    job: string,
    task: string,
    key: string,
    item: string,
    of: 'live' | 'backfill',
  ): BatchKey => ['quality', job, task, key, item, of],
  dataset: (name: string, partition: string): BatchKey => ['dataset', name, partition],
  sent: (
    job: string,
    partition: string,
    task: string,
    index: number | null,
    dataset: string,
  ): BatchKey => ['results', job, partition, task, index ?? -1, dataset],
  upstream: (job: string): BatchKey => ['upstream', job],
  command: (id: string): BatchKey => ['command', id],
  backfill: (id: string): BatchKey => ['backfill', id],
} as const;
