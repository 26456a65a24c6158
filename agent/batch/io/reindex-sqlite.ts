/** Indexes of a SQLite file, by the child (child/sqlite-reindex.ts). */
import type { ReindexTaskConfig } from '@runnel/shared/definitions/tasks/reindex.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { SqliteReindexAnswer, SqliteReindexRequest } from '../child/sqlite-request.ts';
import type { TaskContext } from '../tasks/task.ts';

export async function reindexSqlite(
  { path, busyTimeout, tables }: NonNullable<ReindexTaskConfig['sqlite']>,
  dryRun: boolean,
  context: TaskContext,
): Promise<Pick<SqliteReindexAnswer, 'problems' | 'repaired'>> {
  const { log, services } = context;
  const request: SqliteReindexRequest = {
    action: 'reindex',
    path: services.policy.path(path),
    busyTimeoutMs: busyTimeout,
    tables: tables ?? null,
    dryRun,
  };
  const answer = (await services.children.run(context, {
    kind: 'sqlite',
    body: request,
    memoryBytesMax: limits.sqliteMemoryBytesMax,
  })) as SqliteReindexAnswer;
  const { found, problems, repaired } = answer;
  for (const problem of found) log.warn(problem);
  return { problems, repaired };
}
