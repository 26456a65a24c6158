/** Rollouts on the wire; `satisfies` keeps these and rollout-messages.ts the same. */
import { z } from '@hono/zod-openapi';
import {
  ROLLOUT_DEVICE_STATES,
  ROLLOUT_PHASES,
  type RolloutAgentItem,
  type RolloutItem,
} from '../rollout-messages.ts';

const count = z.number().int();
const time = z.number().nullable();

export const rolloutSchema = z
  .object({
    id: z.string(),
    job: z.string(),
    version: count,
    from: count.nullable().openapi({
      description: 'The last good version, to which a rollback goes; null when there is none.',
    }),
    phase: z.enum(ROLLOUT_PHASES).openapi('RolloutPhase'),
    batch: z.object({ n: count.openapi({ description: 'From 1.' }), of: count }),
    counts: z
      .object({ updated: count, pending: count, unknown: count, failed: count })
      .openapi('RolloutCounts', {
        description: 'Of the version; in a rollback of the version that devices go back to.',
      }),
    reason: z.string().openapi({ description: 'What it waits for, or why it ended as it did.' }),
    startedAt: z.number(),
    endedAt: time,
    since: z.number().openapi({ description: 'In this phase since.' }),
    nextAt: time.openapi({ description: 'When the pause between batches ends.' }),
    by: z.string().openapi({ description: 'Who began it.' }),
    byGate: z.boolean().openapi({ description: 'Its gate suspended it or turned it back.' }),
    stuck: z.boolean().openapi({ description: 'It needs a person.' }),
  })
  .openapi('Rollout') satisfies z.ZodType<RolloutItem>;

export const rolloutAgentSchema = z
  .object({
    agent: z.string(),
    name: z.string(),
    connection: z.enum(['online', 'late', 'offline', 'never']),
    batch: count.nullable(),
    state: z.enum(ROLLOUT_DEVICE_STATES).openapi('RolloutDeviceState'),
    version: count.nullable().openapi({ description: 'What it says it runs.' }),
    desiredVersion: count.nullable().openapi({ description: 'What it is told to run.' }),
    reason: z.string(),
  })
  .openapi('RolloutAgent') satisfies z.ZodType<RolloutAgentItem>;
