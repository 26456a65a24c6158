/**
 * Rows from elsewhere into a table; what each connector does is in ../io. The cursor that comes
 * out of the rows is committed with the table, so that neither goes ahead of the other. A connector
 * is loaded when the first task uses it.
 */
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { assert } from '@runnel/shared/errors.ts';
import { Cursor } from '../io/cursor.ts';
import { listBy } from '../io/list-of.ts';
import { atMost, type Rows } from '../io/rows.ts';
import { tableOutput } from '../tables/table-output.ts';
import { type DeadRow, defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';

/** What a connector gives; the facts are asked for when the rows are through. */
interface Extraction {
  readonly rows: Rows;
  readonly facts?: () => Readonly<Record<string, Json>>;
  readonly deadRows?: readonly DeadRow[];
  /** Of files; that of rows is made from the rows. */
  readonly cursor?: Json;
}

export const extractTask = defineTaskRunner<ExtractTaskConfig>({
  kind: 'extract',
  async run(config, context) {
    const cursor = config.cursor === undefined ? undefined : new Cursor(config.cursor, context);
    const { rows, facts, deadRows, ...files } = await extraction(config, cursor, context);
    const wanted = cursor === undefined ? rows : cursor.through(rows);
    const { tables } = context.services;
    const table = await tables.write(context, atMost(config.rowsMax, wanted));
    const value = cursor?.value ?? null;
    const stored = value === null ? files.cursor : { value };
    const shown = { cursor: value, ...facts?.() };
    return {
      output: { ...(await tableOutput(tables, table)), ...shown },
      table,
      ...(stored !== undefined && { cursor: stored }),
      ...(deadRows !== undefined && { deadRows }),
    } satisfies TaskSuccess;
  },
});

async function extraction(
  config: ExtractTaskConfig,
  cursor: Cursor | undefined,
  context: TaskContext,
): Promise<Extraction> {
  const { http, file, sqlite, postgres, mqtt } = config;
  const listOf = listBy(config.rows, context.program.parameters);
  const since = cursor?.since ?? null;
  if (http !== undefined) {
    const param = config.cursor?.param;
    const asked = param === undefined || since === null ? null : { param, value: since };
    const { httpExtract } = await import('../io/extract-http.ts');
    const pages = httpExtract(http, listOf, asked, context);
    return { rows: pages.rows(), facts: () => ({ pages: pages.pages }) };
  }
  if (file !== undefined) {
    const { openFileExtract } = await import('../io/extract-files.ts');
    const taken = await openFileExtract(file, listOf, context);
    const facts = (): Record<string, Json> => ({
      files: taken.files.length,
      badLines: taken.bad.length,
    });
    const { cursor: seen } = taken;
    const rows = taken.rows();
    return { rows, facts, deadRows: taken.bad, ...(seen !== undefined && { cursor: seen }) };
  }
  if (sqlite !== undefined) {
    const { sqliteRows } = await import('../io/extract-sqlite.ts');
    return { rows: sqliteRows(sqlite, since, config.rowsMax, context) };
  }
  if (postgres !== undefined) {
    const { postgresRows } = await import('../io/extract-postgres.ts');
    return { rows: postgresRows(postgres, since, context) };
  }
  assert(mqtt !== undefined, 'an extract task without a connector passed its schema');
  const { retainedMessages } = await import('../io/extract-mqtt.ts');
  return { rows: retainedMessages(mqtt, context) };
}
