/** `output:` of a task that makes a table: the rows as a dataset, as results, or as a file. */
import type { TableOutput } from '@runnel/shared/definitions/table-output.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { TableRef } from '../records.ts';
import type { ResultRow, TaskContext, TaskSuccess } from '../tasks/task.ts';
import { placeFile } from '../tables/place-file.ts';
import { SentRows } from './sent-rows.ts';

/** What the output adds to the task's success, and to its `output`. */
export interface WrittenOutput {
  readonly success: Pick<TaskSuccess, 'datasets' | 'results'>;
  readonly facts: Readonly<Record<string, Json>>;
}

export async function writeOutput(
  output: TableOutput | undefined,
  table: TableRef,
  context: TaskContext,
): Promise<WrittenOutput> {
  if (output === undefined) return { success: {}, facts: {} };
  const { dataset, deliver, results, key, jsonl } = output;
  if (dataset !== undefined) {
    return { success: { datasets: [{ dataset, table, deliver }] }, facts: { dataset } };
  }
  if (results !== undefined) {
    const rows = await resultRows(results, key, table, context);
    return { success: { results: rows }, facts: { results } };
  }
  const path = jsonl!;
  const { policy, tables } = context.services;
  const bytes = await placeFile(tables.pathOf(table), policy.path(path), { keep: true });
  return { success: {}, facts: { file: path, bytes } };
}

/**
 * Their time is `_time` where they have one, else the end of the partition. Throws a `TaskError`
 * (`resources`) beyond what one task may send.
 */
export async function resultRows(
  dataset: string,
  key: string | undefined,
  table: TableRef,
  context: TaskContext,
): Promise<ResultRow[]> {
  const sent = new SentRows();
  sent.expect(table.rows);
  const { start, end } = context.scope.partition;
  const rows: ResultRow[] = [];
  for await (const chunk of context.services.tables.read(table)) {
    for (const row of chunk) {
      const time = typeof row['_time'] === 'number' ? row['_time'] : Math.max(start, end - 1);
      const rowKey = key === undefined ? null : (row[key] ?? null);
      sent.add(dataset, rows.length + 1, rowKey, row);
      rows.push({ dataset, key: rowKey, time, value: row });
    }
  }
  return rows;
}
