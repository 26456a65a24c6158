/**
 * Indexes of PostgreSQL tables.
 *
 * REINDEX CONCURRENTLY is no transaction: cut off, it leaves an index of its own that is not valid
 * (`…_ccnew`, `…_ccold`), costs every write, and is taken away by no later REINDEX. So what such
 * an attempt left is dropped first. Of a whole table it passes over indexes that are not valid, so
 * each of them is rebuilt by its name. A server before version 12 cannot do it concurrently; of a
 * table of partitions it can from 14 on.
 */
import type { Client } from 'pg';
import type { ReindexTaskConfig } from '@runnel/shared/definitions/tasks/reindex.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import { PostgresSession } from './postgres-client.ts';
import { quoteTable, tableName } from './sql-names.ts';

interface IndexRow {
  readonly schema: string;
  readonly index: string;
  readonly valid: boolean;
}

export interface PostgresReindexed {
  readonly indexes: number;
  /** Of attempts that were cut off. */
  readonly leftovers: number;
  readonly rebuilt: number;
}

const LEFTOVER = /_cc(new|old)\d*$/;
const CONCURRENTLY_SINCE = 120_000;

export async function reindexPostgres(
  config: NonNullable<ReindexTaskConfig['postgres']>,
  dryRun: boolean,
  context: TaskContext,
): Promise<PostgresReindexed> {
  const session = await PostgresSession.open(config, context);
  const { client } = session;
  try {
    const how = (await canBeConcurrent(client)) && config.concurrently ? 'CONCURRENTLY ' : '';
    let indexes = 0;
    let leftovers = 0;
    for (const name of config.tables) {
      const table = quoteTable(tableName(name));
      const all = await indexesOf(client, name, table);
      const invalid = all.filter(({ valid }) => !valid);
      const left = invalid.filter(({ index }) => LEFTOVER.test(index));
      indexes += all.length - left.length;
      leftovers += left.length;
      if (dryRun) continue;
      for (const { schema, index } of left) {
        context.log.warn(`${index} was left by an attempt that was cut off: it is dropped`);
        await client.query(`DROP INDEX ${how}IF EXISTS ${quoteTable({ schema, table: index })}`);
      }
      for (const { schema, index } of invalid.filter((each) => !left.includes(each))) {
        context.log.warn(`${index} was not valid: it is rebuilt`);
        await client.query(`REINDEX INDEX ${how}${quoteTable({ schema, table: index })}`);
      }
      await client.query(`REINDEX TABLE ${how}${table}`);
      await client.query(`ANALYZE ${table}`);
    }
    return { indexes, leftovers, rebuilt: dryRun ? 0 : indexes };
  } catch (error) {
    throw session.failure(error);
  } finally {
    await session.close();
  }
}

async function canBeConcurrent(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ server_version_num: string }>('SHOW server_version_num');
  return Number(rows[0]?.server_version_num) >= CONCURRENTLY_SINCE;
}

async function indexesOf(client: Client, name: string, table: string): Promise<IndexRow[]> {
  const found = await client.query<{ oid: unknown }>('SELECT to_regclass($1)::oid AS oid', [table]);
  if (found.rows[0]?.oid === null) {
    throw new TaskError('rejected', 'reindex_table', `there is no table ${name}`);
  }
  const { rows } = await client.query<IndexRow>(
    'SELECT n.nspname AS schema, c.relname AS index, i.indisvalid AS valid FROM pg_index i ' +
      'JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace ' +
      'WHERE i.indrelid = to_regclass($1)',
    [table],
  );
  return rows;
}
