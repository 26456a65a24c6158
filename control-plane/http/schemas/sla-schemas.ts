/** SLAs on the wire; `satisfies` keeps these and sla-messages.ts the same. */
import { z } from '@hono/zod-openapi';
import { SLA_KINDS } from '@runnel/shared/definitions/sla.ts';
import {
  SLA_VERDICTS,
  type SlaComplianceItem,
  type SlaIntervalItem,
  type SlaItem,
} from '../sla-messages.ts';

const count = z.number().int();
const time = z.number();

export const slaVerdictSchema = z.enum(SLA_VERDICTS).openapi('SlaVerdict', {
  description: 'An unreachable device is not the same as a late one: nobody here can say.',
});

const promise = {
  job: z.string(),
  agent: z.string().nullable().openapi({ description: 'Null: of the whole fleet.' }),
  sla: z.string().openapi({ example: 'fresh' }),
};
const kind = z.enum(SLA_KINDS).openapi('SlaKind');

export const slaSchema = z
  .object({
    ...promise,
    agentName: z.string().nullable(),
    kind,
    verdict: slaVerdictSchema,
    since: time,
    cause: z.string().openapi({ example: 'no result for 3m10s, promised every 2m' }),
    target: z.string().openapi({ example: '2m' }),
    deviceVerdict: slaVerdictSchema.nullable().openapi({
      description: 'What the device said last, while it cannot be reached.',
    }),
  })
  .openapi('Sla') satisfies z.ZodType<SlaItem>;

export const slaComplianceSchema = z
  .object({
    ...promise,
    kind,
    compliance: z.number().nullable().openapi({
      description: 'Share of the known time in which it was met or at risk; null: none is known.',
    }),
    objective: z.number(),
    budgetLeft: z.number().nullable().openapi({ description: 'Below 0 when it is overspent.' }),
    breaches: count,
    breachedMs: time,
    unreachableMs: time.openapi({
      description: 'In which the device could not be heard and did not tell later.',
    }),
    knownMs: time,
    from: time,
    to: time,
  })
  .openapi('SlaCompliance') satisfies z.ZodType<SlaComplianceItem>;

export const slaIntervalSchema = z
  .object({
    ...promise,
    verdict: slaVerdictSchema,
    cause: z.string(),
    from: time,
    to: time.nullable().openapi({ description: 'Exclusive; null: it lasts.' }),
    judge: z.enum(['device', 'control-plane']),
  })
  .openapi('SlaInterval') satisfies z.ZodType<SlaIntervalItem>;
