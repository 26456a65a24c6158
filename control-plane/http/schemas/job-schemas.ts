/** Jobs and versions on the wire; `satisfies` keeps these and live-messages.ts the same. */
import { z } from '@hono/zod-openapi';
import { limits } from '@runnel/shared/limits.ts';
import type { JobAgentItem, JobAgents, JobDetail, JobItem } from '../live-messages.ts';
import type { PlacementReport } from '../parameter-messages.ts';
import { attemptedSchema, connectionSchema } from './agent-schemas.ts';
import { rolloutSchema } from './rollout-schemas.ts';
import { batchSchema } from './run-schemas.ts';

const count = z.number().int();

export const jobAgentsSchema = z
  .object({ desired: count, running: count, failed: count, unknown: count })
  .openapi('JobAgents') satisfies z.ZodType<JobAgents>;

const jobFields = {
  name: z.string(),
  kind: z.string().openapi({ example: 'StreamJob' }),
  version: count,
  hash: z.string(),
  labels: z.record(z.string(), z.string()),
  selector: z.string().nullable().openapi({ description: 'Null means every agent.' }),
  paused: z.boolean(),
  generation: count,
  updatedAt: z.number(),
  rollout: rolloutSchema.nullable().openapi({ description: 'The newest one.' }),
};

export const jobSchema = z
  .object({ ...jobFields, agents: jobAgentsSchema })
  .openapi('Job') satisfies z.ZodType<JobItem>;

const jobAgentSchema = z
  .object({
    agent: z.string(),
    name: z.string(),
    connection: connectionSchema,
    version: count.nullable(),
    phase: z.string(),
    desiredVersion: count.nullable(),
    attempted: attemptedSchema,
    notPlaced: z.string().nullable().openapi({
      description: 'Why it is not placed there although the selector chooses the agent.',
    }),
    batch: batchSchema,
  })
  .openapi('JobAgent') satisfies z.ZodType<JobAgentItem>;

export const jobDetailSchema = z
  .object({
    ...jobFields,
    counts: jobAgentsSchema,
    document: z.unknown(),
    source: z.string(),
    agents: z.array(jobAgentSchema).readonly(),
    datasets: z.array(z.string()).readonly(),
  })
  .openapi('JobDetail') satisfies z.ZodType<JobDetail>;

const versionFields = {
  job: z.string(),
  version: count,
  hash: z.string(),
  createdAt: z.number(),
  createdBy: z.string(),
  current: z.boolean(),
};

export const jobVersionSchema = z.object(versionFields).openapi('JobVersion');

export const jobVersionDetailSchema = z
  .object({ ...versionFields, document: z.unknown(), source: z.string() })
  .openapi('JobVersionDetail');

const verdictSchema = z.enum(['ok', 'unknown', 'blocked', 'refused']);

const placementReportSchema = z
  .object({
    counts: z.object({ ok: count, unknown: count, blocked: count, refused: count }),
    items: z
      .array(
        z.object({
          agent: z.string(),
          name: z.string(),
          verdict: verdictSchema,
          reasons: z.array(z.string()).readonly(),
        }),
      )
      .readonly()
      .openapi({
        description: `Those that cannot run it first; at most ${limits.placementsToldMax}.`,
      }),
  })
  .openapi('PlacementReport') satisfies z.ZodType<PlacementReport>;

export const applyReplySchema = z
  .object({
    name: z.string(),
    kind: z.string(),
    version: count,
    hash: z.string(),
    generation: count,
    created: z.boolean().openapi({ description: 'A new immutable version was stored.' }),
    changed: z.boolean().openapi({
      description:
        'What is to run changed. Applying the content of an earlier version makes that one ' +
        'current again under its old number: changed, and not created.',
    }),
    retried: z.boolean().openapi({
      description: 'Its rollout had not succeeded, and begins anew. Never in a dry run.',
    }),
    dryRun: z.boolean(),
    agents: z.object({ desired: count }),
    warnings: z.array(z.string()).readonly().openapi({
      description: 'Agents that the selector chooses and that cannot run it, with the reason.',
    }),
    placements: placementReportSchema.openapi({
      description: 'Whether it can run on each agent that the selector chooses, and why not.',
    }),
  })
  .openapi('ApplyReply');

export const issueSchema = z
  .object({
    path: z.string(),
    message: z.string(),
    line: count.optional(),
    column: count.optional(),
    hint: z.string().optional(),
  })
  .openapi('DefinitionIssue');

export const validateReplySchema = z
  .object({
    valid: z.boolean(),
    name: z.string().nullable(),
    kind: z.string().nullable(),
    hash: z.string().nullable(),
    issues: z.array(issueSchema).readonly(),
  })
  .openapi('ValidateReply');
