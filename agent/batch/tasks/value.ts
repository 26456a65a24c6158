/** A value for the tasks behind it: the rendered config is all there is to it. */
import type { ValueTaskConfig } from '@runnel/shared/definitions/tasks/value.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { defineTaskRunner } from './task.ts';

export const valueTask = defineTaskRunner<ValueTaskConfig>({
  kind: 'value',
  async run({ value }) {
    return { output: (value ?? null) as Json };
  },
});
