/**
 * What a task made, for others: as a dataset, or as messages.
 */
import { z } from 'zod';
import { NAME } from '../../ids.ts';
import { checked, mqttTargetFields, mqttTargetProblem, oneOf } from '../database-fields.ts';
import { brokerProblem } from '../mqtt-fields.ts';
import { ROW_NAMES, rowExpressionIssues } from '../row-expression.ts';
import type { ConfigOf } from '../source-definition.ts';
import { withHint } from '../strict.ts';
import { defineTask } from '../task-definition.ts';

export const publishTask = defineTask({
  kind: 'publish',
  summary: "Makes a task's rows a dataset, which other jobs wait for, or messages at a broker.",
  guarantees: [
    "A dataset's partition is replaced whole, in the commit in which the task succeeds; the same " +
      'rows again are no update and start nobody.',
    'With `deliver` the rows are in the outbox by that same commit, and stored exactly once.',
    'Messages go out at QoS 1, at least once: an attempt that is made again sends them again, ' +
      'with the same `id`.',
  ],
  output: '`{ rowCount, dataset }`, or `{ rowCount, messages }` for mqtt.',
  fields: {
    from: z
      .string()
      .regex(NAME, 'is no id of a task')
      .describe('Task whose table it is; among `needs`. Example: `daily`.'),
    dataset: z
      .string()
      .regex(NAME, {
        error: withHint('is no name', 'small letters, digits and dashes, at most 63'),
      })
      .optional()
      .describe('Dataset that the rows become. Example: `daily-rms`.'),
    key: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Column that is the key of a row at the control plane. Example: `machine`.'),
    deliver: z.boolean().default(false).describe('Whether the rows go to the control plane too.'),
    mqtt: checked(
      mqttTargetFields,
      (target: Parameters<typeof brokerProblem>[0] & Parameters<typeof mqttTargetProblem>[0]) =>
        brokerProblem(target) ?? mqttTargetProblem(target),
    )
      .optional()
      .describe('Messages instead: each row as JSON with an `id` of its own.'),
  },
  raw: ['mqtt.topicOf'],
  reads: ({ from }) => [from],
  datasets: ({ dataset }) => (dataset === undefined ? [] : [dataset]),
  problem: (config) => {
    const target = oneOf(config, ['dataset', 'mqtt']);
    if (typeof target !== 'string') return target;
    if (target === 'dataset') return undefined;
    if (config.key !== undefined) return ['key', 'goes with dataset'];
    return config.deliver ? ['deliver', 'goes with dataset'] : undefined;
  },
  issues: ({ mqtt }, parameters) =>
    rowExpressionIssues(
      [{ path: ['mqtt', 'topicOf'], source: mqtt?.topicOf, names: ROW_NAMES }],
      parameters,
    ),
  examples: [
    {
      title: 'A dataset that starts other jobs on this device, and goes to the control plane',
      yaml: [
        '- id: share',
        '  needs: [daily]',
        '  publish: { from: daily, dataset: daily-rms, key: machine, deliver: true }',
      ].join('\n'),
    },
    {
      title: 'One message a row',
      yaml: [
        '- id: panels',
        '  needs: [daily]',
        '  publish:',
        '    from: daily',
        `    mqtt: { topicOf: "'panel/' + row.machine + '/daily'", retain: true }`,
      ].join('\n'),
    },
  ],
});

export type PublishTaskConfig = ConfigOf<typeof publishTask>;
