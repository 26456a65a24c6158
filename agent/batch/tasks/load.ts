/**
 * Rows to elsewhere; what each connector does, and how it is safe to do again, is in ../io. A
 * connector is loaded when the first task uses it.
 */
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import { assert } from '@runnel/shared/errors.ts';
import { loadInput } from '../io/load-input.ts';
import type { TableRef } from '../records.ts';
import { defineTaskRunner, type TaskContext } from './task.ts';

export const loadTask = defineTaskRunner<LoadTaskConfig>({
  kind: 'load',
  async run(config, context) {
    const table = await loadInput(config, context);
    return { output: { rowCount: table.rows, ...(await load(config, table, context)) } };
  },
});

async function load(
  { file, http, sqlite, postgres, mqtt }: LoadTaskConfig,
  table: TableRef,
  context: TaskContext,
): Promise<Readonly<Record<string, string | number | boolean>>> {
  if (file !== undefined) {
    const { loadIntoFile } = await import('../io/load-file.ts');
    return { loaded: true, ...(await loadIntoFile(file, table, context)) };
  }
  if (http !== undefined) {
    const { loadOverHttp } = await import('../io/load-http.ts');
    return { loaded: true, requests: await loadOverHttp(http, table, context) };
  }
  if (mqtt !== undefined) {
    const { sendRows } = await import('../io/send-mqtt.ts');
    return { loaded: true, messages: await sendRows(mqtt, table, context) };
  }
  const { loaded } = await intoDatabase(sqlite, postgres, table, context);
  if (!loaded) context.log.info('loaded before: the key of the run was found');
  return { loaded };
}

async function intoDatabase(
  sqlite: LoadTaskConfig['sqlite'],
  postgres: LoadTaskConfig['postgres'],
  table: TableRef,
  context: TaskContext,
): Promise<{ readonly loaded: boolean }> {
  if (sqlite !== undefined) {
    const { loadIntoSqlite } = await import('../io/load-sqlite.ts');
    return loadIntoSqlite(sqlite, table, context);
  }
  assert(postgres !== undefined, 'a load task without a connector passed its schema');
  const { loadIntoPostgres } = await import('../io/load-postgres.ts');
  return loadIntoPostgres(postgres, table, context);
}
