/** Agents on the wire; `satisfies` keeps these and live-messages.ts the same. */
import { z } from '@hono/zod-openapi';
import { HEALTH_AXES, HEALTH_STATES } from '@runnel/shared/health/device-health.ts';
import { AXES, SEVERITIES } from '@runnel/shared/protocol/condition.ts';
import type {
  AgentDetail,
  AgentItem,
  AgentJobDetail,
  AgentJobItem,
  HostPoint,
} from '../live-messages.ts';
import { batchSchema } from './run-schemas.ts';

const count = z.number().int();
const counters = z.record(z.string(), z.number());

export const conditionSchema = z
  .object({
    type: z.string(),
    axis: z.enum(AXES),
    severity: z.enum(SEVERITIES),
    reason: z.string(),
    message: z.string(),
    since: z.number(),
  })
  .openapi('Condition');

export const connectionSchema = z.enum(['online', 'late', 'offline', 'never']);

export const attemptedSchema = z
  .object({ version: count, phase: z.string(), reason: z.string(), at: z.number() })
  .nullable()
  .openapi({ description: 'What was last tried; differs from what runs while it cannot start.' });

const agentJobFields = {
  name: z.string(),
  version: count.nullable().openapi({ description: 'The version that runs, null when none does.' }),
  phase: z.string().openapi({ example: 'running' }),
  desiredVersion: count.nullable(),
  attempted: attemptedSchema,
  notPlaced: z.string().nullable().openapi({
    description: 'Why it is not placed there although its selector chooses the device.',
  }),
  failedRun: z
    .object({ run: z.string(), partition: z.string(), endedAt: z.number() })
    .nullable()
    .openapi({ description: 'The newest run of a batch job that ended, when it failed.' }),
};

const agentJobSchema = z
  .object(agentJobFields)
  .openapi('AgentJob') satisfies z.ZodType<AgentJobItem>;

const agentJobDetailSchema = z
  .object({
    ...agentJobFields,
    watermark: z.number().nullable(),
    lagRecords: count,
    recordsIn: count,
    recordsOut: count,
    late: count,
    deadLetters: count,
    deadLettersBy: counters.openapi({ description: 'By step and reason: `<step>: <reason>`.' }),
    dropped: counters,
    stateKeys: count,
    batch: batchSchema,
  })
  .openapi('AgentJobDetail') satisfies z.ZodType<AgentJobDetail>;

export const outboxSchema = z.object({
  rows: count,
  bytes: count,
  oldestAt: z.number().nullable(),
  lost: count,
});

const axisHealth = {
  state: z.enum(HEALTH_STATES),
  since: z.number().nullable(),
  cause: z.string().openapi({ description: 'Empty where all is well.' }),
};

const healthSchema = z
  .object({
    ...axisHealth,
    axis: z
      .enum(HEALTH_AXES)
      .nullable()
      .openapi({ description: 'The worst one, which state, since and cause are of.' }),
    axes: z.record(z.enum(HEALTH_AXES), z.object(axisHealth)),
  })
  .openapi('Health');

const platformSchema = z.object({ os: z.string(), arch: z.string(), node: z.string() });

const agentFields = {
  id: z.string(),
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  status: z.enum(['approved', 'pending', 'revoked']),
  connection: connectionSchema,
  version: z.string().openapi({ description: 'Release of the agent itself.' }),
  platform: platformSchema,
  enrolledAt: z.number(),
  lastSeenAt: z.number().nullable(),
  health: healthSchema,
  conditions: z.array(conditionSchema).readonly(),
  outbox: outboxSchema.nullable(),
  desiredRevision: count,
  observedRevision: count.nullable(),
};

export const agentSchema = z
  .object({ ...agentFields, jobs: z.array(agentJobSchema).readonly() })
  .openapi('Agent') satisfies z.ZodType<AgentItem>;

const reading = z.number().nullable();

export const hostPointSchema = z
  .object({
    at: z.number(),
    cpuPercent: reading,
    memoryUsedBytes: reading,
    memoryTotalBytes: reading,
    diskUsedBytes: reading,
    diskTotalBytes: reading,
    temperatureCelsius: reading,
    load1: reading,
    agentRssBytes: reading,
    agentCpuPercent: reading,
  })
  .openapi('HostPoint') satisfies z.ZodType<HostPoint>;

const sourceSchema = z.object({
  id: z.string(),
  kind: z.string(),
  label: z.string().nullable().openapi({ description: 'What it reads: a topic, a path.' }),
  connected: z.boolean(),
  records: count,
  bytes: count,
  redelivered: count,
  dropped: counters,
  error: z.string().nullable(),
});

export const agentDetailSchema = z
  .object({
    ...agentFields,
    jobs: z.array(agentJobDetailSchema).readonly(),
    sources: z.array(sourceSchema).readonly(),
    counters,
    capabilities: z.array(z.string()).readonly(),
    startedAt: z.number().nullable(),
    fixedLabels: z.array(z.string()).readonly(),
    credentialsExpireAt: z.number().nullable(),
    revokedAt: z.number().nullable(),
    host: hostPointSchema.nullable(),
  })
  .openapi('AgentDetail') satisfies z.ZodType<AgentDetail>;
