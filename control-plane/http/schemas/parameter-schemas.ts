/** Parameters on the wire; `satisfies` keeps these and parameter-messages.ts the same. */
import { z } from '@hono/zod-openapi';
import type {
  AgentJobParameters,
  AgentParameters,
  JobParameters,
  ParameterDeclaration,
} from '../parameter-messages.ts';

const text = z.string().nullable();
const SCOPE = '`fleet`, `label:<selector>`, `site:<name>` or `agent:<id>`';

const declarationSchema = z
  .object({
    name: z.string(),
    type: text,
    schema: z.unknown(),
    default: z.unknown().optional(),
    description: text,
    min: z.number().nullable(),
    max: z.number().nullable(),
    values: z.array(z.unknown()).readonly().nullable(),
  })
  .openapi('ParameterDeclaration') satisfies z.ZodType<ParameterDeclaration>;

const layerSchema = z
  .object({
    scope: z.string().openapi({ description: SCOPE, example: 'site:lyon' }),
    kind: z.enum(['fleet', 'label', 'site', 'agent']),
    agentName: text,
    agents: z.number().int().openapi({ description: 'Approved agents that it applies to.' }),
    values: z
      .array(
        z.object({
          name: z.string(),
          value: z.unknown(),
          setAt: z.number(),
          setBy: z.string(),
          problem: text.openapi({ description: 'Why the current version cannot use it.' }),
        }),
      )
      .readonly(),
  })
  .openapi('ParameterLayer');

export const jobParametersSchema = z
  .object({
    job: z.string(),
    version: z.number().int(),
    declared: z.array(declarationSchema).readonly(),
    layers: z.array(layerSchema).readonly().openapi({ description: 'Weakest first.' }),
  })
  .openapi('JobParameters') satisfies z.ZodType<JobParameters>;

const effectiveSchema = z
  .object({
    value: z.unknown(),
    origin: z.string().openapi({ description: '`default`, or the scope of a layer.' }),
    overridden: z
      .array(z.object({ origin: z.string(), value: z.unknown(), tied: z.boolean() }))
      .readonly()
      .openapi({ description: 'Values that it hides, strongest first.' }),
  })
  .openapi('EffectiveParameter');

export const agentJobParametersSchema = z
  .object({
    job: z.string(),
    version: z.number().int(),
    agent: z.string(),
    agentName: z.string(),
    parameters: z.record(z.string(), effectiveSchema),
    problems: z
      .array(z.string())
      .readonly()
      .openapi({ description: 'Why the job cannot run there with these values.' }),
  })
  .openapi('AgentJobParameters') satisfies z.ZodType<AgentJobParameters>;

export const agentParametersSchema = z
  .object({
    agent: z.string(),
    agentName: z.string(),
    jobs: z.array(agentJobParametersSchema).readonly(),
  })
  .openapi('AgentParameters') satisfies z.ZodType<AgentParameters>;

export const parameterChangeSchema = z
  .strictObject({
    scope: z
      .string()
      .max(4096)
      .openapi({ description: `${SCOPE}; an agent by name or id`, example: 'site:lyon' }),
    set: z
      .record(z.string(), z.unknown())
      .default({})
      .openapi({ example: { limit: 0.9 } }),
    unset: z.array(z.string().max(63)).max(1000).default([]),
  })
  .openapi('ParameterChange');
