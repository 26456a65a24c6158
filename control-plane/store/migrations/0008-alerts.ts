/** Alerts, silences, receivers, and what they were sent. Columns are explained in ../schema.ts. */
import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../open-store.ts';

export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await alertsTable(db, dialect);
  await receiverTables(db, dialect);
}

async function alertsTable(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await dialect
    .withSerialId(db.schema.createTable('alerts'))
    .addColumn('alert', 'text', (c) => c.notNull().unique())
    .addColumn('fingerprint', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('severity', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('title', 'text', (c) => c.notNull())
    .addColumn('message', 'text', (c) => c.notNull())
    .addColumn('labels', 'text', (c) => c.notNull())
    .addColumn('agent', 'text')
    .addColumn('job', 'text')
    .addColumn('link', 'text', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('last_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('count', 'bigint', (c) => c.notNull())
    .addColumn('acknowledged_by', 'text')
    .addColumn('silenced_by', 'text')
    .execute();
  await db.schema
    .createIndex('alerts_open')
    .unique()
    .on('alerts')
    .column('fingerprint')
    .where(sql.ref('ended_at'), 'is', null)
    .execute();
  await db.schema
    .createIndex('alerts_fingerprint')
    .on('alerts')
    .columns(['fingerprint', 'id'])
    .execute();
  for (const column of ['state', 'job', 'agent'] as const) {
    await db.schema.createIndex(`alerts_${column}`).on('alerts').columns([column, 'id']).execute();
  }
}

async function receiverTables(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await db.schema
    .createTable('silences')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('selector', 'text', (c) => c.notNull())
    .addColumn('from_at', 'bigint', (c) => c.notNull())
    .addColumn('until_at', 'bigint', (c) => c.notNull())
    .addColumn('comment', 'text', (c) => c.notNull())
    .addColumn('by', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('receivers')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('selector', 'text', (c) => c.notNull())
    .addColumn('severity', 'text', (c) => c.notNull())
    .addColumn('send_resolved', 'integer', (c) => c.notNull())
    .addColumn('settings', 'text', (c) => c.notNull())
    .addColumn('secrets', 'text', (c) => c.notNull())
    .addColumn('last_sent_at', 'bigint')
    .addColumn('last_error', 'text')
    .execute();
  await db.schema
    .createTable('alert_groups')
    .addColumn('receiver', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('alert_groups_key', ['receiver', 'key'])
    .execute();
  await dialect
    .withSerialId(db.schema.createTable('notifications'))
    .addColumn('notification', 'text', (c) => c.notNull().unique())
    .addColumn('receiver', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('alerts', 'text', (c) => c.notNull())
    .addColumn('outcome', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('error', 'text')
    .execute();
  await db.schema
    .createIndex('notifications_receiver')
    .on('notifications')
    .columns(['receiver', 'id'])
    .execute();
}
