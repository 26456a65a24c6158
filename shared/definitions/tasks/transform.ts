/**
 * The stream engine's steps over rows that are all there: what a stream job does with records as
 * they come, for a day that has passed.
 */
import { z } from 'zod';
import { transformIssues } from '../compile-transform.ts';
import { duration } from '../duration.ts';
import { datasetField, exactlyOne, journalField, taskField } from '../rows-input.ts';
import type { ConfigOf } from '../source-definition.ts';
import { name } from '../stream-job.ts';
import { tableOutputField } from '../table-output.ts';
import { defineTask } from '../task-definition.ts';

export const transformTask = defineTask({
  kind: 'transform',
  summary: 'Runs the steps of a stream job over a table, the journal or a dataset.',
  guarantees: [
    'The same operators, compiled by the same code, as in a stream job.',
    'Rows go through in the order of event time whatever order they are in, equal times in the ' +
      'order of the rows, so that no record is late; at the end all windows are closed.',
    'A record that a step cannot take is a dead letter of the run, with step and reason.',
    'Memory is bounded as in a stream job (keys, windows); rows are sorted on disk.',
  ],
  output:
    '`{ rowCount, columns, rows?, recordsIn, late, deadLetters, dropped }`. A row has the ' +
    "columns of the step's output and `_time`; of a window also `key`, `windowStart`, " +
    '`windowEnd`, and `revision` beyond 1.',
  fields: {
    input: taskField
      .optional()
      .describe('Task whose table is read; among `needs`. Example: `daily`.'),
    journal: journalField
      .optional()
      .describe('Source whose journal is read: an alias, or `job/alias`. Example: `readings`.'),
    dataset: datasetField.optional().describe('Dataset that is read. Example: `hourly-rms`.'),
    all: z
      .boolean()
      .default(false)
      .describe(
        "Journal and dataset: everything that is kept, and not only what lies in the run's " +
          'partition. A job without periods reads everything anyway.',
      ),
    time: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Event time of a row: an expression over `payload` that gives epoch milliseconds or an ' +
          'ISO 8601 text. Default: its `_time`, else the start of the partition. ' +
          'Example: `payload.ts`.',
      ),
    order: z
      .enum(['time', 'input'])
      .default('time')
      .describe(
        'In which order rows are taken: by event time, or as they stand, with the late records ' +
          'that a stream job would have had.',
      ),
    maxOutOfOrderness: duration
      .prefault('0s')
      .describe('With `order: input`: how far behind the latest event time a row may be.'),
    steps: z
      .array(z.unknown())
      .min(1)
      .max(100)
      .describe(
        'Steps as in a stream job; the first takes the rows: `payload` is a row without `_time` ' +
          'and `_topic`, which are `time` and `topic`.',
      ),
    from: name
      .optional()
      .describe('Step whose output becomes the table, or `late`. Default: the last step.'),
    output: tableOutputField
      .optional()
      .describe('Where the rows go beside the tasks behind this one.'),
  },
  raw: ['time', 'steps'],
  reads: ({ input }) => (input === undefined ? [] : [input]),
  journals: ({ journal }) => (journal === undefined ? [] : [journal]),
  datasets: ({ output }) => (output?.dataset === undefined ? [] : [output.dataset]),
  problem: (config) => {
    const problem = exactlyOne(config, ['input', 'journal', 'dataset']);
    if (problem !== undefined) return problem;
    if (config.all && config.input !== undefined) return ['all', 'goes with journal or dataset'];
    if (config.maxOutOfOrderness > 0 && config.order === 'time') {
      return ['maxOutOfOrderness', 'goes with order: input'];
    }
    return undefined;
  },
  issues: transformIssues,
  examples: [
    {
      title: "The day's readings in windows of a minute",
      yaml: [
        '- id: minutes',
        '  transform:',
        '    journal: readings',
        '    time: payload.ts',
        '    steps:',
        "      - filter: payload.status == 'ok'",
        '      - window: { tumbling: 1m, by: payload.machine }',
        '        aggregate: { rms: avg(payload.rms), n: count() }',
      ].join('\n'),
    },
    {
      title: 'Rows of an earlier task, as a dataset',
      yaml: [
        '- id: hot',
        '  needs: [daily]',
        '  transform:',
        '    input: daily',
        '    steps: [{ filter: payload.rms > 5 }]',
        '    output: { dataset: hot-machines }',
      ].join('\n'),
    },
  ],
});

export type TransformTaskConfig = ConfigOf<typeof transformTask>;
