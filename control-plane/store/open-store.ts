/**
 * Opens the store: SQLite through libsql by default (WAL, `synchronous=FULL`: a commit that
 * returned is on disk). PostgreSQL comes by URL later; statements stay portable for it.
 *
 * A store written by a newer release is refused, never misread (I11).
 */
import Database from 'libsql';
import { type CreateTableBuilder, Kysely, SqliteDialect } from 'kysely';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { up as first } from './migrations/0001-first.ts';
import { up as runs } from './migrations/0002-runs.ts';
import { up as runQueries } from './migrations/0003-run-queries.ts';
import { up as runCancelling } from './migrations/0004-run-cancelling.ts';
import { up as rollouts } from './migrations/0005-rollouts.ts';
import { up as parameters } from './migrations/0006-parameters.ts';
import { up as slas } from './migrations/0007-slas.ts';
import { up as alerts } from './migrations/0008-alerts.ts';
import type { Schema } from './schema.ts';
import { withStatementCache } from './statement-cache.ts';

type Column = 'id';

/** What differs between the databases; migrations ask for it. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgres';
  /** Adds an `id` column that counts up in insertion order and is never reused. */
  withSerialId(builder: CreateTableBuilder<string>): CreateTableBuilder<string, Column>;
}

const sqlite: Dialect = {
  name: 'sqlite',
  withSerialId: (builder) =>
    builder.addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement()),
};

export const postgres: Dialect = {
  name: 'postgres',
  withSerialId: (builder) =>
    builder.addColumn('id', 'bigint', (c) => c.primaryKey().generatedAlwaysAsIdentity()),
};

/** In order, never edited once released; the index is the schema version. */
const MIGRATIONS = [first, runs, runQueries, runCancelling, rollouts, parameters, slas, alerts];

export interface Store {
  readonly db: Kysely<Schema>;
  readonly dialect: Dialect;
  close(): Promise<void>;
}

/** `path` is a file, or `:memory:` for tests. Errors: `store_version`, `store_open`. */
export async function openStore(path: string): Promise<Store> {
  const database = openDatabase(path);
  const db = new Kysely<Schema>({
    dialect: new SqliteDialect({ database: withStatementCache(database) }),
  });
  try {
    await migrate(db, sqlite);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return { db, dialect: sqlite, close: () => db.destroy() };
}

function openDatabase(path: string): Database.Database {
  try {
    const database = new Database(path);
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    database.exec('PRAGMA foreign_keys = ON');
    database.exec('PRAGMA busy_timeout = 5000');
    return database;
  } catch (cause) {
    throw new RunnelError('store_open', `cannot open the store ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Brings an open database up to this release. Error: `store_version`. */
export async function migrate(db: Kysely<Schema>, dialect: Dialect): Promise<void> {
  await db.schema
    .createTable('schema_versions')
    .ifNotExists()
    .addColumn('version', 'integer', (c) => c.primaryKey())
    .execute();
  const versions = db as unknown as Kysely<{ schema_versions: { version: number } }>;
  const newest = await versions
    .selectFrom('schema_versions')
    .select((e) => e.fn.max('version').as('version'))
    .executeTakeFirst();
  const at = newest?.version ?? 0;
  if (at > MIGRATIONS.length) {
    throw new RunnelError(
      'store_version',
      `the store has schema ${at}; this release knows ${MIGRATIONS.length}`,
      {
        hint: 'start the newer release, or restore the backup made before the update',
      },
    );
  }
  for (const [index, up] of MIGRATIONS.entries()) {
    if (index < at) continue;
    await db.transaction().execute(async (transaction) => {
      await up(transaction as unknown as Kysely<unknown>, dialect);
      await (transaction as unknown as typeof versions)
        .insertInto('schema_versions')
        .values({ version: index + 1 })
        .execute();
    });
  }
}
