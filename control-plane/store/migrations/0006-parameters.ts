/** Values of jobs' parameters in layers. Columns are explained in ../schema.ts. */
import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('job_parameters')
    .addColumn('job', 'text', (c) => c.notNull())
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addColumn('set_at', 'bigint', (c) => c.notNull())
    .addColumn('set_by', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('job_parameters_key', ['job', 'scope', 'name'])
    .execute();
  // Of an agent that is deleted.
  await db.schema
    .createIndex('job_parameters_scope')
    .on('job_parameters')
    .column('scope')
    .execute();
}
