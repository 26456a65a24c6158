/**
 * The task `sql`: a query in the child process (tables/run-query.ts), and its rows where the job
 * wants them.
 */
import type { SqlTaskConfig } from '@runnel/shared/definitions/tasks/sql.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { resultRows } from '../data/write-output.ts';
import type { TableRef } from '../records.ts';
import { placeFile } from '../tables/place-file.ts';
import { runQuery } from '../tables/run-query.ts';
import { tableOutput } from '../tables/table-output.ts';
import { defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';

type Output = NonNullable<SqlTaskConfig['output']>;
/** Of the places for rows, the ones that the commit fills. */
type Committed = Pick<TaskSuccess, 'datasets' | 'results'>;

export const sqlTask = defineTaskRunner<SqlTaskConfig>({
  kind: 'sql',
  async run({ query, output, memory, temp }, context) {
    const { services, program, scope } = context;
    const { text, values } = program.bind(query, scope);
    const target = targetOf(output, context);
    const { table, inputs, copied } = await runQuery(context, {
      text,
      values,
      memoryBytesMax: memory,
      tempBytesMax: temp,
      copyAs:
        output?.parquet !== undefined ? 'parquet' : output?.csv === undefined ? undefined : 'csv',
    });
    const shown: Record<string, Json> = { ...(await tableOutput(services.tables, table)), inputs };
    if (target !== undefined) {
      const keep = copied === undefined;
      const from = copied ?? services.tables.pathOf(table);
      shown.bytes = await placeFile(from, target.path, { keep });
      shown.file = target.name;
    }
    if (output?.dataset !== undefined) shown.dataset = output.dataset;
    return { output: shown, table, ...(await committed(output, table, context)) };
  },
});

/** Judged before the work begins. */
function targetOf(
  output: Output | undefined,
  { services }: TaskContext,
): { readonly name: string; readonly path: string } | undefined {
  const name = output?.parquet ?? output?.csv ?? output?.jsonl;
  return name === undefined ? undefined : { name, path: services.policy.path(name) };
}

async function committed(
  output: Output | undefined,
  table: TableRef,
  context: TaskContext,
): Promise<Committed> {
  const { dataset, results, deliver, key } = output ?? {};
  if (dataset !== undefined) {
    const write = { dataset, table, deliver: deliver ?? false };
    return { datasets: [key === undefined ? write : { ...write, key }] };
  }
  return results === undefined ? {} : { results: await resultRows(results, key, table, context) };
}
