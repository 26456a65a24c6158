/** Rows into a SQLite table, by the child (child/sqlite-load.ts). */
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { ChangesFile, ReadChanges } from '../changes/read-changes.ts';
import type { SqliteLoadAnswer, SqliteLoadRequest } from '../child/sqlite-request.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import { ledgerRow, loadColumns } from './load-input.ts';

export async function loadIntoSqlite(
  config: NonNullable<LoadTaskConfig['sqlite']>,
  table: TableRef,
  changes: ReadChanges | null,
  context: TaskContext,
): Promise<SqliteLoadAnswer> {
  const { services } = context;
  const columns = changes?.columns ?? loadColumns(table, config.columns);
  const request: SqliteLoadRequest = {
    action: 'load',
    path: services.policy.path(config.path),
    busyTimeoutMs: config.busyTimeout,
    table: config.table,
    mode: config.mode,
    key: config.key ?? [],
    where: config.where ?? null,
    columns,
    create: config.create,
    inputs: services.tables.pathsOf(table),
    changes: changes === null ? null : changesFor(changes),
    run: await ledgerRow(context, table, columns, config.table),
  };
  const answer = await services.children.run(context, {
    kind: 'sqlite',
    body: request,
    memoryBytesMax: limits.sqliteMemoryBytesMax,
  });
  return answer as SqliteLoadAnswer;
}

function changesFor({ file, forgetBefore, isRefresh, isWhole }: ReadChanges): ChangesFile {
  return { file, forgetBefore, isRefresh, isWhole };
}
