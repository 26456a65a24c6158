/** What a load takes: a task's table, or rows that stand in the document. */
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import type { ColumnType, TableRef } from '../records.ts';
import type { LedgerRow } from '../child/sqlite-request.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import { contentHash } from './content-hash.ts';
import type { Row } from '../tasks/task-services.ts';

/** Throws a `TaskError` (`definition`) when the task made none. */
export function tableOf(task: string, context: TaskContext): TableRef {
  const table = context.table(task);
  if (table !== undefined) return table;
  throw new TaskError('definition', 'no_table', `the task ${task} made no table`, {
    hint: 'Name a task that gives rows, such as sql, extract or transform.',
  });
}

export async function loadInput(config: LoadTaskConfig, context: TaskContext): Promise<TableRef> {
  if (config.input !== undefined) return tableOf(config.input, context);
  return context.services.tables.write(context, (config.rows ?? []) as readonly Row[]);
}

export interface LoadColumn {
  /** In the target. */
  readonly to: string;
  /** In the input. */
  readonly from: string;
  readonly type: ColumnType;
}

/** Throws a `TaskError` (`definition`) where `columns` names what the input has not. */
export function loadColumns(
  table: TableRef,
  wanted: Readonly<Record<string, string>> | undefined,
): LoadColumn[] {
  if (wanted === undefined) {
    return table.columns.map(({ name, type }) => ({ to: name, from: name, type }));
  }
  const types = new Map(table.columns.map(({ name, type }) => [name, type]));
  return Object.entries(wanted).map(([to, from]) => {
    const type = types.get(from);
    if (type !== undefined || table.rows === 0) return { to, from, type: type ?? 'json' };
    const there = table.columns.map(({ name }) => name).join(', ');
    const told = `the input has no column ${from}; it has ${there}`;
    throw new TaskError('definition', 'load_columns', told);
  });
}

/** `target` names the table: the same rows in another one are not there yet. */
export async function ledgerRow(
  context: TaskContext,
  table: TableRef,
  columns: readonly LoadColumn[],
  target: string,
): Promise<LedgerRow> {
  const { scope, effectKey, task, tries, clock } = context;
  const taken = columns.map(({ to, from }) => [to, from]);
  const content = await contentHash(table, context, { target, columns: taken });
  return {
    effectKey,
    job: scope.job.name,
    partition: scope.partition.id,
    task: scope.index === null ? task : `${task}[${scope.index}]`,
    tries,
    loadedAt: new Date(clock.now()).toISOString(),
    content,
  };
}
