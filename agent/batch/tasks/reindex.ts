/** Checks and rebuilds indexes: of the store (runs/index-care.ts), of databases (io/reindex-*). */
import type { ReindexTaskConfig } from '@runnel/shared/definitions/tasks/reindex.ts';
import { assert } from '@runnel/shared/errors.ts';
import { defineTaskRunner, type TaskContext } from './task.ts';

export const reindexTask = defineTaskRunner<ReindexTaskConfig>({
  kind: 'reindex',
  async run(config, context) {
    context.signal.throwIfAborted();
    return { output: { ...(await reindex(config, context)) } };
  },
});

async function reindex(
  { store, sqlite, postgres, dryRun }: ReindexTaskConfig,
  context: TaskContext,
): Promise<Readonly<Record<string, number>>> {
  const { log, services, signal } = context;
  if (store === true) {
    const report = await services.index.rebuild(dryRun, signal);
    const { checked, missing, orphaned, wrong, repaired } = report;
    const told = `${checked} records: ${missing} missing, ${orphaned} orphaned, ${wrong} wrong`;
    if (missing + orphaned + wrong === 0) log.info(told);
    else log.warn(`${told}; ${repaired} repaired`);
    return { ...report };
  }
  if (sqlite !== undefined) {
    const { reindexSqlite } = await import('../io/reindex-sqlite.ts');
    return { ...(await reindexSqlite(sqlite, dryRun, context)) };
  }
  assert(postgres !== undefined, 'a reindex task without a target passed its schema');
  const { reindexPostgres } = await import('../io/reindex-postgres.ts');
  return { ...(await reindexPostgres(postgres, dryRun, context)) };
}
