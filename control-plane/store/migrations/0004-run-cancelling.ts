/** A run that was told to end and has not ended yet. */
import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('runs')
    .addColumn('cancelling', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
}
