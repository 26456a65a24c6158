/** Runs of batch jobs, and jobs that are paused. Columns are explained in ../schema.ts. */
import type { Kysely } from 'kysely';
import type { Dialect } from '../open-store.ts';

export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await db.schema
    .alterTable('jobs')
    .addColumn('paused', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await runsTable(db, dialect);
  await tasksTable(db, dialect);
}

async function runsTable(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await dialect
    .withSerialId(db.schema.createTable('runs'))
    .addColumn('agent', 'text', (c) => c.notNull())
    .addColumn('run', 'text', (c) => c.notNull())
    .addColumn('job', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('partition', 'text', (c) => c.notNull())
    .addColumn('partition_start', 'bigint', (c) => c.notNull())
    .addColumn('partition_end', 'bigint', (c) => c.notNull())
    .addColumn('trigger', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('queued_at', 'bigint', (c) => c.notNull())
    .addColumn('started_at', 'bigint')
    .addColumn('ended_at', 'bigint')
    .addColumn('tries', 'integer', (c) => c.notNull())
    .addColumn('parameters', 'text', (c) => c.notNull())
    .addColumn('origins', 'text', (c) => c.notNull())
    .addColumn('tasks', 'text', (c) => c.notNull())
    .addColumn('error', 'text', (c) => c.notNull())
    .addColumn('affected', 'text', (c) => c.notNull())
    .addColumn('received_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('runs_identity', ['run', 'agent'])
    .execute();
  for (const column of ['job', 'agent', 'state', 'partition', 'trigger'] as const) {
    await db.schema.createIndex(`runs_${column}`).on('runs').columns([column, 'id']).execute();
  }
  // The newest run of a job on an agent: asked for each one that succeeds.
  await db.schema
    .createIndex('runs_agent_job')
    .on('runs')
    .columns(['agent', 'job', 'id'])
    .execute();
  await db.schema
    .createIndex('runs_job_state')
    .on('runs')
    .columns(['job', 'state', 'id'])
    .execute();
}

async function tasksTable(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await dialect
    .withSerialId(db.schema.createTable('run_tasks'))
    .addColumn('agent', 'text', (c) => c.notNull())
    .addColumn('run', 'text', (c) => c.notNull())
    .addColumn('task', 'text', (c) => c.notNull())
    .addColumn('item', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('started_at', 'bigint')
    .addColumn('ended_at', 'bigint')
    .addColumn('next_attempt_at', 'bigint')
    .addColumn('output', 'text', (c) => c.notNull())
    .addColumn('error', 'text', (c) => c.notNull())
    .addColumn('received_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('run_tasks_identity', ['run', 'agent', 'task', 'item'])
    .execute();
}
