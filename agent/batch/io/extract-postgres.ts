/**
 * Rows of one SELECT in a read-only transaction, through a cursor of the server: neither side holds
 * more than a few hundred of them.
 *
 * The cursor is declared in SQL. pg-query-stream, which uses the protocol's portals, waits for ever
 * when the connection is lost: closing its stream waits for an answer of the server.
 */
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import type { TaskContext } from '../tasks/task.ts';
import type { Row } from '../tasks/task-services.ts';
import type { CursorValue } from './cursor.ts';
import { PostgresSession } from './postgres-client.ts';
import { quoteName } from './sql-names.ts';
import { replaceCursor } from '@runnel/shared/definitions/sql-cursor.ts';

const BATCH_ROWS = 500;

export async function* postgresRows(
  config: NonNullable<ExtractTaskConfig['postgres']>,
  since: CursorValue | null,
  context: TaskContext,
): AsyncGenerator<Row> {
  const bound = context.program.bind(config.query, context.scope);
  const sql = replaceCursor(bound.text, `$${bound.values.length + 1}`);
  const values = sql === bound.text ? bound.values : [...bound.values, since];
  const session = await PostgresSession.open(config, context);
  const { client } = session;
  try {
    if (config.searchPath.length > 0) {
      await client.query(`SET search_path = ${config.searchPath.map(quoteName).join(', ')}`);
    }
    await client.query('BEGIN TRANSACTION READ ONLY');
    // All rows are wanted: the plan is to be the one for that.
    await client.query('SET LOCAL cursor_tuple_fraction = 1');
    await client.query(`DECLARE runnel_rows NO SCROLL CURSOR FOR ${sql}`, [...values]);
    for (;;) {
      const { rows } = await client.query<Row>(`FETCH FORWARD ${BATCH_ROWS} FROM runnel_rows`);
      if (rows.length === 0) return;
      yield* rows;
    }
  } catch (error) {
    throw session.failure(error);
  } finally {
    await session.close();
  }
}
