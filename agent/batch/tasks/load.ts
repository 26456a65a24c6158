/** Rows to elsewhere; what each connector does, and how it is safe to do again, is in ../io. */
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import { assert } from '@runnel/shared/errors.ts';
import { loadIntoFile } from '../io/load-file.ts';
import { loadOverHttp } from '../io/load-http.ts';
import { loadInput } from '../io/load-input.ts';
import { loadIntoPostgres } from '../io/load-postgres.ts';
import { loadIntoSqlite } from '../io/load-sqlite.ts';
import { sendRows } from '../io/send-mqtt.ts';
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
  if (file !== undefined) return { loaded: true, ...(await loadIntoFile(file, table, context)) };
  if (http !== undefined) {
    return { loaded: true, requests: await loadOverHttp(http, table, context) };
  }
  if (mqtt !== undefined) return { loaded: true, messages: await sendRows(mqtt, table, context) };
  const { loaded } = await intoDatabase(sqlite, postgres, table, context);
  if (!loaded) context.log.info('loaded before: the key of the run was found');
  return { loaded };
}

function intoDatabase(
  sqlite: LoadTaskConfig['sqlite'],
  postgres: LoadTaskConfig['postgres'],
  table: TableRef,
  context: TaskContext,
): Promise<{ readonly loaded: boolean }> {
  if (sqlite !== undefined) return loadIntoSqlite(sqlite, table, context);
  assert(postgres !== undefined, 'a load task without a connector passed its schema');
  return loadIntoPostgres(postgres, table, context);
}
