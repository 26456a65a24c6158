/** Verdicts on promises, as intervals. Columns are explained in ../schema.ts. */
import type { Kysely } from 'kysely';
import type { Dialect } from '../open-store.ts';

export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await dialect
    .withSerialId(db.schema.createTable('sla_intervals'))
    .addColumn('line', 'text', (c) => c.notNull())
    .addColumn('job', 'text', (c) => c.notNull())
    .addColumn('agent', 'text', (c) => c.notNull())
    .addColumn('sla', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('verdict', 'text', (c) => c.notNull())
    .addColumn('cause', 'text', (c) => c.notNull())
    .addColumn('judge', 'text', (c) => c.notNull())
    .addColumn('from_at', 'bigint', (c) => c.notNull())
    .addColumn('to_at', 'bigint')
    .execute();
  // The open ones: closed with every change, and read at every start.
  await db.schema
    .createIndex('sla_intervals_open')
    .on('sla_intervals')
    .columns(['to_at', 'job', 'agent', 'sla', 'line'])
    .execute();
  await db.schema
    .createIndex('sla_intervals_history')
    .on('sla_intervals')
    .columns(['job', 'sla', 'agent', 'from_at'])
    .execute();
}
