/** What lists of runs read by; why is in ../runs.ts. */
import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../open-store.ts';

export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await db.schema
    .createIndex('runs_agent_state')
    .on('runs')
    .columns(['agent', 'state', 'id'])
    .execute();
  await db.schema
    .createIndex('runs_agent_job_state')
    .on('runs')
    .columns(['agent', 'job', 'state', 'id'])
    .execute();
  // Beginnings of ids are found as a range of bytes, which is the only order that SQLite has.
  if (dialect.name === 'postgres') {
    await sql`alter table runs alter column run type text collate "C"`.execute(db);
  }
}
