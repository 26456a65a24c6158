/**
 * How a new version of a job reaches its agents: in batches, under a gate, within a budget, with or
 * without a person. What each key does at the control plane is in
 * control-plane/rollouts/rollout-state.ts.
 */
import { z } from 'zod';
import { NAME } from '../ids.ts';
import { duration, positiveDuration } from './duration.ts';
import { percentage } from './percentage.ts';
import { selectorText } from './placement.ts';
import { strict, withHint } from './strict.ts';

const agents = z
  .number()
  .int()
  .min(1)
  .max(1_000_000)
  .transform((count) => ({ agents: count }));
const share = percentage.transform((part) => ({ share: part }));

const batch = z.union(
  [
    agents,
    share,
    strict({
      selector: selectorText.describe('Those of the agents that match. Example: `site=lyon`.'),
    }),
  ],
  {
    error: withHint(
      'is neither a number of agents, nor a percentage, nor a selector',
      'for example 1, 10% or { selector: "site=lyon" }',
    ),
  },
);

export const rolloutField = strict({
  batches: z
    .array(batch)
    .min(1)
    .max(20)
    .describe(
      'Agents that have the new version after each batch: numbers, or shares of all; or the ' +
        'agents that a selector names. Who is left comes in a last batch. ' +
        'Example: `[1, 10%, 100%]`, `[{ selector: "site=lyon" }, 100%]`.',
    ),
  pauseBetween: duration
    .prefault('0s')
    .describe(
      'Pause after each batch, in which the gate must hold; after the last one too: only then ' +
        'is the version good. Example: `10m`.',
    ),
  deviceTimeout: positiveDuration
    .prefault('10m')
    .describe(
      'An agent that is connected and does not run the version this long after it was told to ' +
        'has failed. Example: `5m`.',
    ),
  maxUnavailable: z
    .union([agents, share], {
      error: withHint('is neither a number of agents nor a percentage', 'for example 2 or 10%'),
    })
    .optional()
    .describe(
      'Disruption budget: how many agents may at once be changing or have failed, as a number or ' +
        'a share of all (at least 1). Default: a whole batch. Example: `2`.',
    ),
  approval: z
    .enum(['auto', 'manual'])
    .default('auto')
    .describe(
      'With `manual` a person approves each batch after the first ' +
        '(`runnel rollout approve JOB`); the first one begins when the job is applied.',
    ),
  gate: strict({
    minHealthy: percentage
      .prefault('100%')
      .describe('Share of the agents changed so far that must be healthy. Example: `90%`.'),
    sla: z
      .union([z.literal('all'), z.array(z.string().regex(NAME)).min(1).max(20)], {
        error: withHint('is neither `all` nor a list of names of SLAs', 'for example [fresh]'),
      })
      .optional()
      .describe(
        'SLAs of the job, by name or `all`: an agent that breaches one after it was changed is ' +
          'not healthy. Default: none. Example: `[fresh]`.',
      ),
  })
    .prefault({})
    .describe('What must hold before the next batch begins.'),
  onFailure: z
    .enum(['rollback', 'pause', 'continue'])
    .default('rollback')
    .describe(
      'What happens when the gate does not hold: every agent goes back to the last good version, ' +
        'or the rollout waits for a person, or it goes on.',
    ),
}).describe('How a new version reaches the agents. Default: all at once.');
export type Rollout = z.output<typeof rolloutField>;
