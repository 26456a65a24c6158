import Database from 'libsql';
import type { SqliteDatabase } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import { withStatementCache } from '@runnel/control-plane/store/statement-cache.ts';

function opened(): SqliteDatabase {
  const database = withStatementCache(new Database(':memory:'));
  onTestFinished(() => database.close());
  database.prepare('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)').run([]);
  return database;
}

it('compiles a text once, and the least recently used goes beyond the bound', () => {
  const database = opened();
  const first = database.prepare('SELECT 0 AS n');
  const second = database.prepare('SELECT 1 AS n');
  for (let n = 2; n < 500; n += 1) database.prepare(`SELECT ${n} AS n`);
  expect(database.prepare('SELECT 0 AS n')).toBe(first);
  for (let n = 500; n < 502; n += 1) database.prepare(`SELECT ${n} AS n`);
  expect(database.prepare('SELECT 0 AS n')).toBe(first);
  expect(database.prepare('SELECT 1 AS n')).not.toBe(second);
});

it('a statement that failed is good again, and holds no values of before', () => {
  const database = opened();
  const insert = 'INSERT INTO t (id, text) VALUES (?, ?)';
  database.prepare(insert).run([1, 'a']);
  expect(() => database.prepare(insert).run([1, 'b'])).toThrow(/UNIQUE/);
  expect(() => database.prepare(insert).run([2, null])).toThrow(/NOT NULL/);
  database.prepare(insert).run([2, 'c']);
  expect(database.prepare('SELECT * FROM t ORDER BY id').all([])).toEqual([
    { id: 1, text: 'a' },
    { id: 2, text: 'c' },
  ]);
});

it('sees a table that was changed, and keeps no transaction open', () => {
  const database = opened();
  const select = 'SELECT * FROM t';
  database.prepare("INSERT INTO t (text) VALUES ('a')").run([]);
  database.prepare(select).all([]);
  database.prepare('ALTER TABLE t ADD COLUMN more INTEGER DEFAULT 7').run([]);
  expect(database.prepare(select).all([])).toEqual([{ id: 1, text: 'a', more: 7 }]);
  database.prepare('VACUUM').run([]);
  database.prepare('DROP TABLE t').run([]);
  expect(() => database.prepare(select).all([])).toThrow(/no such table/);
});
