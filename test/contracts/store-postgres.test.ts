/** The store contract over PostgreSQL: what migrations and statements say is portable holds there. */
import { Kysely, PostgresDialect } from 'kysely';
import { type CustomTypesConfig, Pool, types } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { migrate, postgres, type Store } from '@runnel/control-plane/store/open-store.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import { Postgres, POSTGRES_PROGRAMS } from '../support/postgres.ts';
import { describeWith } from '../support/programs.ts';
import { storeContract } from './store-contract.ts';

describeWith(POSTGRES_PROGRAMS, 'with a PostgreSQL server', () => {
  let server: Postgres;
  let databases = 0;

  beforeAll(async () => {
    server = await Postgres.start();
  });

  afterAll(async () => {
    await server.stop();
  });

  /** A database of its own. */
  async function openEmpty(): Promise<Store> {
    databases += 1;
    const name = `store_${databases}`;
    await server.query(`CREATE DATABASE ${name}`);
    const pool = new Pool({ connectionString: server.url(name), types: NUMBERS, max: 5 });
    const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
    await migrate(db, postgres);
    return { db, dialect: postgres, close: () => db.destroy() };
  }

  storeContract('PostgreSQL', openEmpty);
});

/** Ids and times are `bigint`, which the driver gives as text to whoever does not say otherwise. */
const NUMBERS: CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === types.builtins.INT8 ? (text: string) => Number(text) : types.getTypeParser(oid, format),
};
