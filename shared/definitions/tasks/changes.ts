/**
 * What has changed in a table since it was looked at last, as change events for other systems.
 */
import { z } from 'zod';
import { columnField, datasetField, exactlyOne, taskField } from '../rows-input.ts';
import type { ConfigOf } from '../source-definition.ts';
import { strict } from '../strict.ts';
import { tableOutputField } from '../table-output.ts';
import { defineTask } from '../task-definition.ts';

const against = strict({
  dataset: datasetField
    .optional()
    .describe(
      "Dataset of this task's own: the state that was committed last, of whatever partition, is " +
        "the state before, and the present state becomes the run's, in the commit of the " +
        'events. Without one before all rows are read (`r`). Example: `parts-state`.',
    ),
  task: taskField
    .optional()
    .describe('Task whose table is the state before; among `needs`. Example: `yesterday`.'),
}).superRefine((from, context) => {
  const problem = exactlyOne(from, ['dataset', 'task']);
  if (problem !== undefined) {
    context.addIssue({ code: 'custom', path: [problem[0]], message: problem[1] });
  }
});

const sourceName = z.string().min(1).max(256);

export const changesTask = defineTask({
  kind: 'changes',
  summary: 'Compares rows with a state before by key, and gives change events as Debezium does.',
  guarantees: [
    'Each row of the table is an envelope `{ before, after, source, transaction, op, ts_ms }`: ' +
      '`c` for a key that is new, `u` for one whose row is another, `d` for one that is gone. ' +
      'Without a state before, and with `fullRefresh`, all rows are `r`, keys that are gone `d`.',
    'A run that is made again with the same rows gives the same events. With other rows, or ' +
      'where the state it was compared with is gone, it gives new ones, which lead from the last ' +
      'state.',
    '`source.sequence` grows from commit to commit and from event to event, so that `load` with ' +
      '`mode: changes` tells an old event from a new one.',
    'Runs of any order may be at work at once: the one whose state before is the last no more ' +
      'fails at its commit (class `other`, `state_moved`), and is right with its next attempt.',
    'Of a dataset the states of the last 32 runs are kept. A task behind this one that fails has ' +
      'its events from this run only, and as long as the run is kept (the last 200 of the job): ' +
      '`runnel rerun` it from that task, the order is in the events.',
    'A column that is null and one that is not there are the same. Rows without a key are dead ' +
      'letters; two rows with the same key fail the attempt (class `data`).',
    'Memory is bounded: the states are compared in parts, on disk.',
  ],
  output:
    '`{ rowCount, columns, rows?, read, created, updated, deleted, unchanged, deadLetters }`. ' +
    'Deletes come first.',
  fields: {
    input: taskField.describe('Task whose table is the present state; among `needs`.'),
    key: z
      .array(columnField)
      .min(1)
      .max(32)
      .describe('Columns by which a row is known. Example: `[id]`.'),
    against: against
      .optional()
      .describe('The state before. Default: none, and every row is an event `r`.'),
    name: sourceName.optional().describe('`source.name` of the events. Default: the job.'),
    db: sourceName.optional().describe('`source.db` of the events. Default: the device.'),
    table: sourceName
      .optional()
      .describe('`source.table` of the events. Default: the dataset of `against`, else `input`.'),
    output: tableOutputField
      .optional()
      .describe('Where the events go beside the tasks behind this one.'),
  },
  reads: ({ input, against: from }) => (from?.task === undefined ? [input] : [input, from.task]),
  datasets: ({ output, against: from }) =>
    [output?.dataset, from?.dataset].filter((name) => name !== undefined),
  problem: ({ output, against: from }) =>
    from?.dataset !== undefined && output?.dataset === from.dataset
      ? ['output', `writes ${from.dataset}, which against keeps the state in`]
      : undefined,
  examples: [
    {
      title: 'Everything that is there, as a snapshot',
      yaml: '- { id: snapshot, needs: [parts], changes: { input: parts, key: [id] } }',
    },
    {
      title: 'Changes of a machine database, to a broker',
      yaml: [
        '- { id: parts, extract: { sqlite: { path: mes.db, query: SELECT * FROM parts } } }',
        '- id: changed',
        '  needs: [parts]',
        '  changes: { input: parts, key: [id], against: { dataset: parts-state } }',
        '- id: tell',
        '  needs: [changed]',
        '  publish: { from: changed, mqtt: { topic: "mes/parts/changes" } }',
      ].join('\n'),
    },
  ],
});

export type ChangesTaskConfig = ConfigOf<typeof changesTask>;
