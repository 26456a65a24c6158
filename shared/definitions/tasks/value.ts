/**
 * A value for the tasks behind it: a list to go through, a number to decide on.
 */
import { z } from 'zod';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';

export const valueTask = defineTask({
  kind: 'value',
  summary: 'Makes a value of parameters, the partition and what earlier tasks gave.',
  guarantees: ['Does nothing but compute: the same run gives the same value.'],
  output: 'The value itself.',
  fields: {
    value: z
      .unknown()
      .describe('Any value; texts in it are rendered. Example: `{ lines: ["l1", "l2"] }`.'),
  },
  examples: [
    { title: 'A list for forEach', yaml: '- { id: lines, value: { value: ["l1", "l2"] } }' },
  ],
});

export type ValueTaskConfig = ConfigOf<typeof valueTask>;
