/** Keys of a batch job beside `sources` and `tasks`, which are parsed part by part. */
import { z } from 'zod';
import type { Quota } from './batch-job.ts';
import { cheapWindowField } from './cheap-window.ts';
import { positiveDuration } from './duration.ts';
import { parametersField } from './parameters.ts';
import { placementField } from './placement.ts';
import { rolloutField } from './rollout.ts';
import { partitionField, scheduleField } from './schedule-fields.ts';
import { shareField } from './job-share.ts';
import { slaField } from './sla.ts';
import { priorityField, ROW_PRIORITY } from './priority.ts';
import { API_VERSION, metadataField } from './stream-job.ts';
import { strict, withHint } from './strict.ts';

const quotaField = strict({
  runs: z.number().int().min(1).optional().describe('Runs that may start. Example: `24`.'),
  time: positiveDuration
    .optional()
    .describe('Time that the attempts of tasks may take together. Example: `30m`.'),
  per: positiveDuration.describe('In any span of this length. Example: `1d`.'),
})
  .superRefine((given, context) => {
    if (given.runs !== undefined || given.time !== undefined) return;
    context.addIssue({ code: 'custom', message: withHint('bounds nothing', 'set runs or time') });
  })
  .transform(({ runs, time, per }): Quota => ({
    runs: runs ?? null,
    timeMs: time ?? null,
    perMs: per,
  }));

export const batchJobFields = {
  apiVersion: z.literal(API_VERSION).describe('Version of the format.'),
  kind: z.literal('BatchJob').describe('Kind of the document.'),
  metadata: metadataField.describe('Name and labels of the job.'),
  parameters: parametersField.prefault({}),
  placement: placementField.optional(),
  rollout: rolloutField.optional(),
  sla: slaField.prefault([]),
  schedule: scheduleField.optional(),
  partition: partitionField.optional(),
  priority: priorityField.describe(
    `Higher goes first; waiting adds to it. Sending: ${ROW_PRIORITY}`,
  ),
  maxActiveRuns: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe('Runs at the same time. Default: 1; with keys or `overlap: allow` 16.'),
  maxActiveTasks: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe("Tasks at the same time over all runs of the job. Default: the device's bound."),
  share: shareField
    .optional()
    .describe(
      'What its running tasks take together, at most; a task that finds it used up waits. ' +
        'Example: `{ cpu: 50%, memory: 64MiB }`.',
    ),
  cheapWindow: cheapWindowField
    .optional()
    .describe(
      'Runs wait until it costs little: at night, on mains power, without paying by the byte. ' +
        'One that has started goes on when the window closes; one that a person asks for does ' +
        'not wait, and what waits is queued (`overlap`). ' +
        'Example: `{ hours: "22:00-06:00", network: unmetered }`.',
    ),
  quota: quotaField
    .optional()
    .describe(
      'What the job may use; a run that is over it waits. Example: `{ runs: 24, per: 1d }`.',
    ),
  timeout: positiveDuration
    .optional()
    .describe(
      'From the start of the first task to the end of the last; then the run fails. Example: `1h`.',
    ),
  history: positiveDuration
    .optional()
    .describe(
      'How much of the journal a run needs, back from its start; the device keeps it as far as ' +
        'it has room. Default, when a task reads the journal: the partition and an hour, or 25 ' +
        'hours. ' +
        'Example: `26h`.',
    ),
  allowPartial: z
    .boolean()
    .default(false)
    .describe('A run goes on with what the journal still has, instead of failing.'),
};
