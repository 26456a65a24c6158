/** The store contract over PostgreSQL: migrations and statements are as portable as they say. */
import { once } from 'node:events';
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
  let schemas = 0;

  beforeAll(async () => {
    server = await Postgres.start();
  });

  afterAll(async () => {
    await server.stop();
  });

  /** A schema of its own, which costs less than a database. */
  async function openEmpty(): Promise<Store> {
    schemas += 1;
    const name = `store_${schemas}`;
    await server.query(`CREATE SCHEMA ${name}`);
    const options = `-c search_path=${name}`;
    const pool = new Pool({ connectionString: server.url(), options, types: NUMBERS, max: 5 });
    const ends: Promise<unknown>[] = [];
    pool.on('connect', (client) => ends.push(once(client, 'end')));
    const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
    await migrate(db, postgres);
    const close = async (): Promise<void> => {
      await db.destroy();
      // The pool lets go of connections before they have ended, and the server may end first.
      await Promise.all(ends);
    };
    return { db, dialect: postgres, close };
  }

  storeContract('PostgreSQL', openEmpty);
});

/** Ids and times are `bigint`, which the driver gives as text to whoever does not say otherwise. */
const NUMBERS: CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === types.builtins.INT8 ? (text: string) => Number(text) : types.getTypeParser(oid, format),
};
