/** A check in SQL: every row that the query gives is a violation. `rows` is the table. */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { TableRef } from '../records.ts';
import { runQuery } from '../tables/run-query.ts';
import type { TaskContext } from '../tasks/task.ts';
import { shortened } from './judge-rows.ts';

/** `input` is the task that the rows are of. */
export async function sqlViolations(
  sql: string,
  { input, rows }: { readonly input: string; readonly rows: TableRef },
  context: TaskContext,
): Promise<{ readonly violations: number; readonly examples: readonly Json[] }> {
  const { program, scope, services } = context;
  const asked: TaskContext = {
    ...context,
    table: (task) => (task === input ? rows : context.table(task)),
  };
  const { text, values } = program.bind(sql.replace(/;\s*$/, ''), scope);
  const { table } = await runQuery(asked, {
    text: `WITH rows AS (SELECT * FROM task('${input}')) SELECT * FROM (\n${text}\n)`,
    values,
    memoryBytesMax: limits.sqlCheckMemoryBytesMax,
    tempBytesMax: limits.sqlCheckTempBytesMax,
  });
  const examples: Json[] = [];
  for await (const chunk of services.tables.read(table)) {
    for (const row of chunk) examples.push({ value: shortened(row) });
    if (examples.length >= limits.qualityExamplesMax) break;
  }
  return { violations: table.rows, examples: examples.slice(0, limits.qualityExamplesMax) };
}
