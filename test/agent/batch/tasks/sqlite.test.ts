/** SQLite as origin and target: a real database, worked on by the real child process. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { TaskChildren } from '@runnel/agent/batch/child/children.ts';
import { runSqlite } from '@runnel/agent/batch/child/run-sqlite.ts';
import type { Children, Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { childEntry } from '../../../support/child-entry.ts';
import { taskSite, type TaskSite } from '../../../support/task-context.ts';
import { roundTripContract } from '../changes/round-trip.ts';
import { CHANGES, changesContract, EVENTS } from './change-databases.ts';
import { type DatabaseUnderTest, load, loadContract, ROWS } from './load-databases.ts';

async function open(site: TaskSite, name = 'mes.db'): Promise<DatabaseUnderTest> {
  const path = join(site.dataDir, name);
  const use = <T>(work: (database: Database.Database) => T): T => {
    const database = new Database(path);
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  use((database) => database.exec('PRAGMA journal_mode = WAL'));
  return {
    site,
    kind: 'sqlite',
    connection: { path: name },
    exec: async (sql) => use((database) => database.exec(sql)),
    query: async (sql) => use((database) => database.prepare(sql).all() as Row[]),
  };
}

describe('a load into SQLite', () => {
  loadContract(open);

  it('makes the file only when it may', async () => {
    const site = taskSite();
    const database = { ...(await open(site)), connection: { path: 'new.db' } };
    await expect(load(database, {})).rejects.toMatchObject({ code: 'file_missing' });
    expect(existsSync(join(site.dataDir, 'new.db'))).toBe(false);
    await load(database, { create: true });
    expect(existsSync(join(site.dataDir, 'new.db'))).toBe(true);
  });

  it.each([
    ['rows', {}, ROWS, {}],
    ['changes', CHANGES, EVENTS, { applied: 2, stale: 0 }],
  ])('whose process is killed after its commit is known: %s', async (_what, mode, rows, counts) => {
    const database = await open(taskSite());
    await database.exec('CREATE TABLE daily (machine text, day text, rms float, n integer)');
    const { dataDir } = database.site;
    const entry = join(dataDir, 'killed.mjs');
    const child = pathToFileURL(childEntry()).href;
    writeFileSync(
      entry,
      `const send = process.send.bind(process);
       process.send = (message, ...rest) =>
         message.type === 'done' ? process.kill(process.pid, 'SIGKILL') : send(message, ...rest);
       await import(${JSON.stringify(child)});`,
    );
    const killed = new TaskChildren({ entry, clock: systemClock });
    const services = { ...database.site.services(), children: killed };
    await expect(load(database, mode, rows, { services })).rejects.toMatchObject({
      class: 'process',
    });
    const again = await load(database, mode, rows, { attempt: 2 });
    expect(again.success.output).toMatchObject({ loaded: false, ...counts });
    expect(await database.query('SELECT count(*) AS n FROM daily')).toEqual([{ n: 2 }]);
  });

  it('waits for a lock as long as it is told, and then says so', async () => {
    const database = await open(taskSite());
    await database.exec('CREATE TABLE daily (machine text, day text, rms float, n integer)');
    const other = new Database(join(database.site.dataDir, 'mes.db'));
    other.exec('BEGIN IMMEDIATE');
    await expect(load(database, { busyTimeout: '100ms' })).rejects.toMatchObject({
      class: 'unavailable',
    });
    other.exec('ROLLBACK');
    other.close();
    await load(database, { busyTimeout: '100ms' });
  });
});

describe('a load of change events into SQLite', () => {
  changesContract(open);
  // In this process: one for each of the many loads would take most of the time.
  const children: Children = { run: (_context, { body }) => runSqlite(body as never) };
  roundTripContract(open, { numRuns: 15, services: { children } });
});

async function extract(database: DatabaseUnderTest, settings: object, more: object = {}) {
  const { site, connection } = database;
  const program = site.program({
    parameters: { line: { type: 'number', default: 3 } },
    tasks: [{ id: 't', extract: { sqlite: { ...connection, ...settings }, ...more } }],
  });
  return { program, site };
}

describe('an extract from SQLite', () => {
  async function filled(): Promise<DatabaseUnderTest> {
    const database = await open(taskSite(), 'a #?% b.db');
    await database.exec('CREATE TABLE t (id integer, line int, rms real, b blob, big integer)');
    await database.exec(
      "INSERT INTO t VALUES (1, 3, 1.5, x'6869', 9007199254740993), (2, 3, 1e999, NULL, 5)," +
        " (3, 4, 0, '', 5), (4, 3, -1, NULL, -9223372036854775808)",
    );
    return database;
  }

  it('binds templates and the cursor, and gives every kind of value', async () => {
    const database = await filled();
    const query = 'SELECT * FROM t WHERE line = {{ params.line }} AND id > $cursor ORDER BY id';
    const cursor = { from: 0, value: 'row.id' };
    const { program, site } = await extract(database, { query }, { cursor });
    const { success } = await site.attempt(program, 't');
    expect(await site.rows(success.table)).toEqual([
      { id: 1, line: 3, rms: 1.5, b: 'aGk=', big: '9007199254740993' },
      { id: 2, line: 3, rms: 'Infinity', b: null, big: 5 },
      { id: 4, line: 3, rms: -1, b: null, big: '-9223372036854775808' },
    ]);
    expect(success.cursor).toEqual({ value: 4 });
    const next = await site.attempt(program, 't', { cursor: { value: 2 } });
    expect(next.success.output).toMatchObject({ rowCount: 1, cursor: 4 });
  });

  it.each([
    ['a write', 'INSERT INTO t (id) VALUES (9) RETURNING id'],
    ['another statement', 'SELECT 1; DELETE FROM t'],
    ['another database', "ATTACH 'evil.db' AS evil"],
    ['a pragma', '-- SELECT\nPRAGMA journal_mode = DELETE'],
  ])('refuses %s when the job is submitted', async (_what, query) => {
    await expect(extract(await filled(), { query })).rejects.toThrow(
      /is no SELECT|more than one statement/,
    );
  });

  it.each([
    ['a write behind WITH', 'WITH a AS (SELECT 1) DELETE FROM t RETURNING id'],
    ['what is no SQL', 'SELECT FROM'],
    ['a table that is not there', 'SELECT * FROM none'],
  ])('fails on %s', async (_what, query) => {
    const database = await filled();
    const { program, site } = await extract(database, { query });
    expect((await site.failure(program, 't')).class).toBe('rejected');
    expect(await database.query('SELECT count(*) AS n FROM t')).toEqual([{ n: 4 }]);
  });

  it('takes a second statement only for what it is', async () => {
    const database = await filled();
    const query = 'SELECT \';\' AS a, ";b" FROM (SELECT 1 AS ";b") /* ; */ -- ; x\n;';
    const { program, site } = await extract(database, { query });
    const { success } = await site.attempt(program, 't');
    expect(await site.rows(success.table)).toEqual([{ a: ';', ';b': 1 }]);
  });

  it('ends with the class data on a file that is no database', async () => {
    const database = await filled();
    mkdirSync(join(database.site.dataDir, 'x'));
    writeFileSync(join(database.site.dataDir, 'x', 'no.db'), 'no database'.repeat(1000));
    const settings = { path: 'x/no.db', query: 'SELECT * FROM t' };
    const { program, site } = await extract(database, settings);
    expect(await site.failure(program, 't')).toMatchObject({ class: 'data' });
  });

  it('stops a query that gives more rows than it may', async () => {
    const database = await filled();
    const query = 'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n';
    const { program, site } = await extract(database, { query }, { rowsMax: 5000 });
    expect(await site.failure(program, 't')).toMatchObject({ code: 'rows_max' });
  });
});
