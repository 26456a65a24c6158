/**
 * Runs of batch jobs on the wire.
 *
 * Up: every change of a run or of a task instance is an outbox row (results.ts) of kind `run` or
 * `task`, in the order of the changes. A row holds the whole of what is known, so the last one
 * counts. Its lane follows the job's priority (results.ts); of one job nothing overtakes, so the
 * last to come is the newest.
 *
 * Down: `fleet.<agent>.cmd.batch` carries one `batchCommand`; the agent answers on
 * `cp.<agent>.answer` with the command's id. A command may come twice (the answer was lost): its id
 * makes it count once. A device that is not connected cannot be commanded.
 */
import { z } from 'zod';
import { versionField } from './version.ts';

export const RUN_STATES = ['queued', 'running', 'success', 'failed', 'cancelled'] as const;
export const runState = z.enum(RUN_STATES);
export type RunState = z.infer<typeof runState>;
/** A run in one of them goes on only by a rerun. */
export const ENDED_RUN_STATES = ['success', 'failed', 'cancelled'] as const;

export function hasEnded(state: RunState): boolean {
  return ENDED_RUN_STATES.some((ended) => ended === state);
}

export const TASK_STATES = [
  /** Its rule does not hold yet. */
  'waiting',
  /** Its rule holds; it waits for a slot, the budget, or the pause of its retry. */
  'ready',
  'running',
  'success',
  'failed',
  'skipped',
  'upstream_failed',
  'cancelled',
] as const;
export const taskState = z.enum(TASK_STATES);
export type TaskState = z.infer<typeof taskState>;

export const RUN_TRIGGERS = [
  'schedule',
  'catchUp',
  'dataset',
  'startup',
  'disk',
  'manual',
  'backfill',
] as const;
export const runTrigger = z.enum(RUN_TRIGGERS);
export type RunTrigger = z.infer<typeof runTrigger>;

export const runError = z.object({ code: z.string(), class: z.string(), message: z.string() });
export type RunError = z.infer<typeof runError>;

/** `value` of a row of kind `run`; the row's `job` and `version` are the run's. */
export const runReport = z.object({
  run: z.string(),
  /** `<job>/<partition id>`: completion is judged by it. */
  key: z.string(),
  partition: z.string(),
  partitionStart: z.number(),
  partitionEnd: z.number(),
  trigger: runTrigger,
  state: runState,
  /** The time that the run stands for. */
  at: z.number(),
  queuedAt: z.number(),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  /** From 1; one more with every rerun. */
  tries: z.number().int(),
  /** Effective, and where each value came from. */
  parameters: z.record(z.string(), z.unknown()),
  origins: z.record(z.string(), z.string()),
  /** Ids of the tasks in the order of the document. */
  tasks: z.array(z.object({ id: z.string(), kind: z.string(), needs: z.array(z.string()) })),
  error: runError.nullable(),
  /** It was told to end, by a person, its timeout or another run, and has not ended yet. */
  cancelling: z.literal(true).optional(),
  /**
   * Tasks that did not run because something before them failed; jobs that wait for its datasets.
   */
  affected: z.object({ tasks: z.array(z.string()), jobs: z.array(z.string()) }),
});
export type RunReport = z.infer<typeof runReport>;

/** `value` of a row of kind `task`: one instance. */
export const taskReport = z.object({
  run: z.string(),
  task: z.string(),
  /** Position in the list of `forEach`, else null. */
  index: z.number().int().nullable(),
  state: taskState,
  attempt: z.number().int(),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  /** When a failed attempt is made again. */
  nextAttemptAt: z.number().nullable(),
  /** At most 4 KiB as JSON; a larger one is `{ "truncated": true, "bytes": n }`. */
  output: z.unknown(),
  error: runError.nullable(),
});
export type TaskReport = z.infer<typeof taskReport>;

/** In a heartbeat, of a job that is a batch job. */
export const batchReport = z.object({
  nextAt: z.number().nullable(),
  activeRuns: z.number().int(),
  queuedRuns: z.number().int(),
  /** Why the first of those waits: its partition and the reason, for people. */
  waits: z.string().optional(),
  lastRun: z
    .object({ run: z.string(), partition: z.string(), state: runState, endedAt: z.number() })
    .nullable(),
  lastSuccessAt: z.number().nullable(),
  /** Times that started no run, by reason: `misfire`, `overlap`, `paused`, `catch_up_window`,
   * `cheap_window`, …. */
  skipped: z.record(z.string(), z.number().int()),
  /** Runs that ended, by state, since the job came to this device. */
  ended: z.record(z.string(), z.number().int()),
});
export type BatchReport = z.infer<typeof batchReport>;

export const BACKFILL_WHICH = ['none', 'failed', 'all'] as const;
export const BACKFILL_ORDERS = ['oldest', 'newest'] as const;

const commandHead = { v: versionField, id: z.string() };

export const batchCommand = z.discriminatedUnion('action', [
  z.object({
    ...commandHead,
    action: z.literal('run'),
    job: z.string(),
    /** Id of a partition, or null for the newest whole one. */
    partition: z.string().nullable(),
    parameters: z.record(z.string(), z.unknown()),
    fullRefresh: z.boolean().default(false),
  }),
  z.object({
    ...commandHead,
    action: z.literal('backfill'),
    job: z.string(),
    /** Epoch ms; partitions that begin in `[from, to)`. */
    from: z.number(),
    to: z.number(),
    /** Partitions without a run that succeeded or failed; also failed ones; all. */
    which: z.enum(BACKFILL_WHICH),
    order: z.enum(BACKFILL_ORDERS),
    maxActive: z.number().int().positive(),
    parameters: z.record(z.string(), z.unknown()),
    dryRun: z.boolean(),
  }),
  z.object({ ...commandHead, action: z.literal('cancel'), run: z.string() }),
  z.object({
    ...commandHead,
    action: z.literal('rerun'),
    run: z.string(),
    /** Task from which on everything runs again; null: all that did not succeed. */
    from: z.string().nullable(),
    /** Every task, whatever became of it; `from` is null. Absent: false. */
    all: z.boolean().optional(),
    fullRefresh: z.boolean().default(false),
  }),
  z.object({
    ...commandHead,
    action: z.literal('markSuccess'),
    run: z.string(),
    /** Null: the run with all its tasks. */
    task: z.string().nullable(),
  }),
  z.object({ ...commandHead, action: z.literal('clear'), run: z.string(), task: z.string() }),
  z.object({
    ...commandHead,
    action: z.literal('logs'),
    run: z.string(),
    task: z.string().nullable(),
    /** Lines after this number; 0 from the start. */
    after: z.number().int(),
    linesMax: z.number().int().positive(),
  }),
]);
export type BatchCommand = z.infer<typeof batchCommand>;
export type BatchAction = BatchCommand['action'];

export const logLine = z.object({
  /** Counts up from 1 within the run; lines that were dropped leave a gap. */
  n: z.number().int(),
  at: z.number(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  task: z.string().nullable(),
  index: z.number().int().nullable(),
  attempt: z.number().int(),
  text: z.string(),
});
export type LogLine = z.infer<typeof logLine>;

/** What a command gives when it did what was asked. */
export const batchOutcome = z.object({
  /** Runs that were made or changed. */
  runs: z.array(z.object({ run: z.string(), partition: z.string(), state: runState })),
  /** `backfill` with `dryRun`: what would run, in order. */
  partitions: z.array(z.string()),
  /** `logs`: at most `linesMax`, and whether the run may still write more. */
  lines: z.array(logLine),
  open: z.boolean(),
  /** `backfill`: its id, which `cancel` takes in place of a run's. Older agents do not say. */
  backfill: z.string().optional(),
  /**
   * `backfill` and its `cancel`: partitions that were to run and were passed by so far, the first
   * `limits.backfillSkippedNamedMax` by name. `done`: completed meanwhile; `active`: another run is
   * making it. Older agents do not say.
   */
  skipped: z
    .object({
      count: z.number().int(),
      partitions: z.array(z.object({ partition: z.string(), reason: z.enum(['done', 'active']) })),
    })
    .optional(),
});
export type BatchOutcome = z.infer<typeof batchOutcome>;

/** Request on `cp.<agent>.answer`. Exactly one of `outcome` and `error` is set. */
export const commandAnswer = z.object({
  v: versionField,
  agent: z.string(),
  id: z.string(),
  outcome: batchOutcome.nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type CommandAnswer = z.infer<typeof commandAnswer>;
