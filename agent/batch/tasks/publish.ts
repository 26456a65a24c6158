/** A task's rows for others: a dataset in the commit of the success, or messages now. */
import type { PublishTaskConfig } from '@runnel/shared/definitions/tasks/publish.ts';
import { assert } from '@runnel/shared/errors.ts';
import { tableOf } from '../io/load-input.ts';
import { defineTaskRunner } from './task.ts';
import { TaskError } from './task-error.ts';

export const publishTask = defineTaskRunner<PublishTaskConfig>({
  kind: 'publish',
  async run({ from, dataset, key, deliver, mqtt }, context) {
    const table = tableOf(from, context);
    if (mqtt !== undefined) {
      const { sendRows } = await import('../io/send-mqtt.ts');
      const messages = await sendRows(mqtt, table, context);
      return { output: { rowCount: table.rows, messages } };
    }
    assert(dataset !== undefined, 'a publish task without a target passed its schema');
    const columns = table.columns.map(({ name }) => name);
    if (key !== undefined && table.rows > 0 && !columns.includes(key)) {
      const told = `the rows of ${from} have no column ${key}; they have ${columns.join(', ')}`;
      throw new TaskError('definition', 'publish_key', told);
    }
    return {
      output: { rowCount: table.rows, dataset },
      datasets: [{ dataset, table, deliver, ...(key !== undefined && { key }) }],
    };
  },
});
