/** Runs on the wire; `satisfies` keeps these and run-messages.ts the same. */
import { z } from '@hono/zod-openapi';
import {
  logLine,
  RUN_STATES,
  RUN_TRIGGERS,
  runError,
  TASK_STATES,
} from '@runnel/shared/protocol/runs.ts';
import type { BatchItem, RunDetail, RunItem, TaskInstanceItem } from '../run-messages.ts';

const count = z.number().int();
const time = z.number().nullable();
const counters = z.record(z.string(), z.number());

// Made anew: what shared has made before this library was loaded knows nothing of `openapi`.
const stateSchema = z.enum(RUN_STATES).openapi('RunState');
const taskStateSchema = z.enum(TASK_STATES).openapi('TaskState');
const errorSchema = runError.nullable();

const taskFields = {
  id: z.string(),
  kind: z.string().openapi({ example: 'sql' }),
  state: taskStateSchema.nullable().openapi({ description: 'Null: nothing was reported of it.' }),
  instances: z.object({ succeeded: count, reported: count }).nullable().openapi({
    description: 'Of a `forEach`.',
  }),
};

const runFields = {
  run: z.string(),
  agent: z.string(),
  agentName: z.string(),
  job: z.string(),
  version: count,
  key: z.string().openapi({ example: 'nightly-rollup/2026-11-22' }),
  partition: z.string().openapi({ example: '2026-11-22' }),
  partitionStart: z.number(),
  partitionEnd: z.number().openapi({ description: 'Exclusive.' }),
  trigger: z.enum(RUN_TRIGGERS).openapi('RunTrigger'),
  state: stateSchema,
  cancelling: z.boolean().openapi({ description: 'Told to end, and has not ended yet.' }),
  at: z.number().openapi({ description: 'The time that the run stands for.' }),
  queuedAt: z.number(),
  startedAt: time,
  endedAt: time,
  tries: count.openapi({ description: 'From 1; one more with every rerun.' }),
  error: errorSchema,
  affected: z.object({
    tasks: z.array(z.string()).readonly(),
    jobs: z.array(z.string()).readonly(),
  }),
  receivedAt: z.number(),
};

export const runSchema = z
  .object({ ...runFields, tasks: z.array(z.object(taskFields)).readonly() })
  .openapi('Run') satisfies z.ZodType<RunItem>;

const instanceSchema = z
  .object({
    task: z.string(),
    index: count.nullable().openapi({ description: 'Position in the list of `forEach`.' }),
    state: taskStateSchema,
    attempt: count,
    startedAt: time,
    endedAt: time,
    nextAttemptAt: time,
    output: z.unknown(),
    error: errorSchema,
  })
  .openapi('TaskInstance') satisfies z.ZodType<TaskInstanceItem>;

export const runDetailSchema = z
  .object({
    ...runFields,
    tasks: z.array(z.object({ ...taskFields, needs: z.array(z.string()).readonly() })).readonly(),
    parameters: z.record(z.string(), z.unknown()),
    origins: z.record(z.string(), z.string()),
    instances: z.array(instanceSchema).readonly(),
    truncated: z.boolean().openapi({ description: 'There are more instances than are listed.' }),
  })
  .openapi('RunDetail') satisfies z.ZodType<RunDetail>;

export const batchSchema = z
  .object({
    nextAt: time.openapi({ description: 'When its schedule fires next.' }),
    activeRuns: count,
    queuedRuns: count,
    waits: z.string().optional().openapi({
      description: 'Why the first of those waits: its partition and the reason.',
      example: '2026-12-01: waits for mains power',
    }),
    lastRun: z
      .object({ run: z.string(), partition: z.string(), state: stateSchema, endedAt: z.number() })
      .nullable(),
    lastSuccessAt: time,
    skipped: counters.openapi({ description: 'Times that started no run, by reason.' }),
    ended: counters.openapi({ description: 'Runs that ended, by state.' }),
  })
  .nullable()
  .openapi({
    description: 'Of a batch job, as the agent last said.',
  }) satisfies z.ZodType<BatchItem | null>;

const madeRunSchema = z.object({ run: z.string(), partition: z.string(), state: stateSchema });

/** What a backfill has passed by so far. */
const skippedSchema = z
  .object({
    count,
    partitions: z
      .array(z.object({ partition: z.string(), reason: z.enum(['done', 'active']) }))
      .readonly()
      .openapi({ description: 'The first of them.' }),
  })
  .nullable()
  .openapi({ description: 'Partitions that a backfill passes by: done meanwhile, or under way.' });

export const backfillReplySchema = z
  .object({
    agent: z.string(),
    runs: z.array(madeRunSchema).readonly(),
    skipped: skippedSchema,
  })
  .openapi('BackfillReply');

/** What one agent said to a command that went to many. */
export const agentAnswerSchema = z
  .object({
    agent: z.string(),
    name: z.string(),
    status: z.enum(['accepted', 'refused', 'timeout', 'unreachable']).openapi({
      description: '`timeout`: it was asked, gave no answer, and may still do it.',
    }),
    reason: z.string().nullable(),
    runs: z.array(madeRunSchema).readonly(),
    partitions: z.array(z.string()).readonly().openapi({
      description: 'Of a backfill, or its dry run: what it makes, in order.',
    }),
    backfill: z.string().nullable().openapi({
      description: 'Id of a backfill that began: `/backfills/{backfill}/cancel` stops it.',
    }),
    skipped: skippedSchema,
  })
  .openapi('AgentAnswer');

export const actionReplySchema = z
  .object({ agent: z.string(), runs: z.array(madeRunSchema).readonly() })
  .openapi('RunActionReply');

export const logPageSchema = z
  .object({
    items: z.array(z.object(logLine.shape).openapi('LogLine')).readonly(),
    next: count.openapi({ description: 'Pass as `after` for the lines that follow.' }),
    open: z.boolean().openapi({ description: 'The run may still write more.' }),
  })
  .openapi('LogPage');
