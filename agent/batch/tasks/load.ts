/**
 * Rows to elsewhere; what each connector does, and how it is safe to do again, is in ../io. A
 * connector is loaded when the first task uses it.
 */
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import { assert } from '@runnel/shared/errors.ts';
import type { ChangeCounts } from '../changes/change-batch.ts';
import type { ReadChanges } from '../changes/read-changes.ts';
import { loadInput } from '../io/load-input.ts';
import type { TableRef } from '../records.ts';
import { defineTaskRunner, type TaskContext } from './task.ts';

export const loadTask = defineTaskRunner<LoadTaskConfig>({
  kind: 'load',
  async run(config, context) {
    const table = await loadInput(config, context);
    const rowCount = table.rows;
    const to = config.sqlite ?? config.postgres;
    if (to === undefined) return { output: { rowCount, ...(await load(config, table, context)) } };
    const changes = to.mode === 'changes' ? await changesOf(to, table, context) : null;
    const { loaded, counts } = await intoDatabase(config, table, changes, context);
    if (!loaded) context.log.info('loaded before: the key of the run was found');
    if (changes === null) return { output: { rowCount, loaded } };
    const { tombstones, messages, dead } = changes;
    if (dead.count > 0) context.log.warn(`${dead.count} rows went to the dead letters`);
    const skipped = { tombstones, messages, deadLetters: dead.count };
    return {
      output: { rowCount, loaded, ...counts, ...skipped },
      deadRows: dead.kept,
      deadRowCount: dead.count,
    };
  },
});

async function changesOf(
  to: NonNullable<LoadTaskConfig['sqlite'] | LoadTaskConfig['postgres']>,
  table: TableRef,
  context: TaskContext,
): Promise<ReadChanges> {
  const { readChanges } = await import('../changes/read-changes.ts');
  return readChanges(to, table, context);
}

async function load(
  { file, http, mqtt }: LoadTaskConfig,
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
  assert(mqtt !== undefined, 'a load task without a connector passed its schema');
  const { sendRows } = await import('../io/send-mqtt.ts');
  return { loaded: true, messages: await sendRows(mqtt, table, context) };
}

async function intoDatabase(
  { sqlite, postgres }: LoadTaskConfig,
  table: TableRef,
  changes: ReadChanges | null,
  context: TaskContext,
): Promise<{ readonly loaded: boolean; readonly counts: ChangeCounts | null }> {
  if (sqlite !== undefined) {
    const { loadIntoSqlite } = await import('../io/load-sqlite.ts');
    return loadIntoSqlite(sqlite, table, changes, context);
  }
  assert(postgres !== undefined, 'a load task without a connector passed its schema');
  const { loadIntoPostgres } = await import('../io/load-postgres.ts');
  return loadIntoPostgres(postgres, table, changes, context);
}
