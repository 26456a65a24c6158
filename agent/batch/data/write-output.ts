/** `output:` of a task that makes a table: the rows as a dataset, as results, or as a file. */
import { open, rename, rm, copyFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TableOutput } from '@runnel/shared/definitions/table-output.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { syncDirectory } from '../../config/durable-file.ts';
import type { TableRef } from '../records.ts';
import type { ResultRow, TaskContext, TaskSuccess } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';

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
  await writeFile(context.services.policy.path(path), table, context);
  return { success: {}, facts: { file: path, bytes: table.bytes } };
}

async function resultRows(
  dataset: string,
  key: string | undefined,
  table: TableRef,
  context: TaskContext,
): Promise<ResultRow[]> {
  if (table.rows > limits.tableResultsMax) {
    const message = `${table.rows} rows are more than the ${limits.tableResultsMax} of one task`;
    throw new TaskError('resources', 'results_max', message, { hint: 'Aggregate first.' });
  }
  const { start, end } = context.scope.partition;
  const rows: ResultRow[] = [];
  for await (const chunk of context.services.tables.read(table)) {
    for (const row of chunk) {
      const time = typeof row['_time'] === 'number' ? row['_time'] : Math.max(start, end - 1);
      rows.push({ dataset, key: key === undefined ? null : (row[key] ?? null), time, value: row });
    }
  }
  return rows;
}

/** Written beside and renamed: who reads it sees the old rows or the new ones. */
async function writeFile(target: string, table: TableRef, context: TaskContext): Promise<void> {
  const beside = `${target}.${context.effectKey.slice(0, 12)}.new`;
  await mkdir(dirname(target), { recursive: true });
  try {
    await copyFile(context.services.tables.pathOf(table), beside);
    const file = await open(beside, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    context.signal.throwIfAborted();
    await rename(beside, target);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(target));
}
