/** Where a job runs and what is promised of it. */
import { z } from 'zod';
import { NAME } from '../ids.ts';
import { positiveDuration } from './duration.ts';
import { percentage } from './percentage.ts';
import { parseSelector } from './selector.ts';
import { parsedText, strict, withHint } from './strict.ts';

export const selectorText = z.string().superRefine((text, context) => {
  const parsed = parseSelector(text);
  if ('problem' in parsed) {
    context.addIssue({ code: 'custom', message: withHint(parsed.problem, parsed.hint) });
  }
});

export const placementField = strict({
  selector: selectorText.describe(
    'Labels that an agent must have. Terms, joined by commas or `and`, all of which must hold: ' +
      '`role=press`, `role!=press`, `site in (lyon, turin)`, `site notin (lyon)`, `gateway`, ' +
      '`!gateway`. Built in: `name`, `id`, `arch`, `os`, `agentVersion`, and `capability/NAME` ' +
      'for what the agent can do, as `capability/sql` or `!capability/task/command`. ' +
      'Example: `site in (lyon, turin), role=press`.',
  ),
}).describe('Which agents run the job. Default: all of them.');
export type Placement = z.output<typeof placementField>;

const timeOfDay = parsedText<{ readonly hour: number; readonly minute: number }>(
  (text) => {
    const [, hour, minute] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
    if (hour !== undefined && minute !== undefined) {
      return { hour: Number(hour), minute: Number(minute) };
    }
    return { problem: `"${text}" is no time of day`, hint: 'write hours and minutes: 06:00' };
  },
  { description: 'Time of day.', examples: ['06:00'] },
);

const SLA_KINDS = [
  'freshness',
  'deliveryLag',
  'duration',
  'successRate',
  'completeness',
  'deadline',
] as const;
export type SlaKind = (typeof SLA_KINDS)[number];

const slaFields = {
  name: z
    .string()
    .regex(NAME, { error: 'is no name: small letters, digits and dashes' })
    .describe('Name of the promise.'),
  freshness: positiveDuration.optional().describe('Results are never older. Example: `2m`.'),
  deliveryLag: positiveDuration
    .optional()
    .describe('Results reach the control plane within. Example: `30s`.'),
  duration: positiveDuration.optional().describe('A run takes no longer. Example: `10m`.'),
  successRate: percentage
    .optional()
    .describe('Share of records or runs that succeed. Example: `99.5%`.'),
  completeness: percentage
    .optional()
    .describe('Share of the fleet that has reported. Example: `95%`.'),
  deadline: strict({
    at: timeOfDay,
    timezone: z
      .string()
      .default('UTC')
      .refine(isTimeZone, { error: withHint('is no time zone', 'for example Europe/Paris') })
      .describe('IANA time zone.'),
  })
    .optional()
    .describe('A run has ended by this time of day. Example: `{ at: "06:00" }`.'),
  over: positiveDuration
    .prefault('1h')
    .describe('The time that a share is taken over. Example: `1h`.'),
};

export const slaField = z
  .array(
    strict(slaFields).superRefine((sla, context) => {
      const kinds = SLA_KINDS.filter((kind) => sla[kind] !== undefined);
      if (kinds.length === 1) return;
      const message = withHint(
        kinds.length === 0 ? 'promises nothing' : `promises ${kinds.join(' and ')} at once`,
        `one of ${SLA_KINDS.join(', ')}`,
      );
      context.addIssue({ code: 'custom', message });
    }),
  )
  .max(20)
  .superRefine((list, context) => {
    for (const [index, sla] of list.entries()) {
      if (list.findIndex((other) => other.name === sla.name) === index) continue;
      context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is there twice' });
    }
  })
  .describe('What is promised of the job. Example: `[{ name: fresh, freshness: 2m }]`.');
export type Sla = z.output<typeof slaField>[number];

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
