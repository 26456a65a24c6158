/**
 * Rows into a SQLite table: one transaction with the key of the run in `runnel_runs`. Whoever comes
 * again with that key finds it there; a crash before the commit leaves neither.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { quoteName, quoteTable, tableName } from '../io/sql-names.ts';
import {
  LATER_COLUMNS,
  LEDGER,
  missingColumns,
  requireSameContent,
  sameOutcome,
  unknownTable,
} from '../io/load-ledger.ts';
import { readLines } from '../tables/line-file.ts';
import { applySqliteChanges } from './sqlite-changes.ts';
import type { SqliteDatabase, SqliteStatement } from './sqlite-database.ts';
import type { SqliteLoadAnswer, SqliteLoadRequest } from './sqlite-request.ts';
import { bindable } from './sqlite-value.ts';

const CREATE_LEDGER =
  `CREATE TABLE IF NOT EXISTS ${LEDGER} (effect_key TEXT PRIMARY KEY, job TEXT NOT NULL, ` +
  'partition TEXT NOT NULL, task TEXT NOT NULL, rows INTEGER NOT NULL, tries INTEGER NOT NULL, ' +
  'loaded_at TEXT NOT NULL, content TEXT, outcome TEXT)';
const WRITE_LEDGER =
  `INSERT INTO ${LEDGER} (effect_key, job, partition, task, rows, tries, loaded_at, content, ` +
  'outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (effect_key) DO UPDATE SET ' +
  'rows = excluded.rows, tries = excluded.tries, loaded_at = excluded.loaded_at, ' +
  'content = excluded.content, outcome = excluded.outcome';
const TYPES: Readonly<Record<string, string>> = {
  number: 'NUMERIC',
  string: 'TEXT',
  boolean: 'INTEGER',
  json: 'TEXT',
};

export async function loadSqlite(
  database: SqliteDatabase,
  request: SqliteLoadRequest,
): Promise<SqliteLoadAnswer> {
  database.exec('BEGIN IMMEDIATE');
  try {
    const answer = await load(database, request);
    database.exec('COMMIT');
    return answer;
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

async function load(
  database: SqliteDatabase,
  request: SqliteLoadRequest,
): Promise<SqliteLoadAnswer> {
  const { mode, run, changes } = request;
  ensureLedger(database);
  const known = database
    .prepare(`SELECT rows, content, outcome FROM ${LEDGER} WHERE effect_key = ?`)
    .all([run.effectKey])[0];
  if (mode === 'append' && known !== undefined) {
    requireSameContent(known.content, run);
    return { loaded: false, rows: Number(known.rows), counts: null };
  }
  const before = changes === null || changes.isRefresh ? null : sameOutcome(known, run);
  if (before !== null) return { loaded: false, rows: Number(known?.rows), counts: before };
  const isThere = !isNothingYet(database, request);
  if (isThere) prepareTable(database, request);
  const counts =
    changes === null ? null : await applySqliteChanges(database, request, changes, isThere);
  const rows = counts?.applied ?? (isThere ? await loadRows(database, request) : 0);
  const { effectKey, job, partition, task, tries, loadedAt, content } = run;
  const outcome = counts === null ? null : JSON.stringify(counts);
  const written = [effectKey, job, partition, task, rows, tries, loadedAt, content, outcome];
  database.prepare(WRITE_LEDGER).run(written);
  return { loaded: true, rows, counts };
}

/**
 * An empty input without columns says nothing of a table that is still to be made: the first one
 * that has rows makes it.
 */
function isNothingYet(
  database: SqliteDatabase,
  { create, columns, table }: SqliteLoadRequest,
): boolean {
  return create && columns.length === 0 && columnsOf(database, tableName(table).table).length === 0;
}

function prepareTable(database: SqliteDatabase, request: SqliteLoadRequest): void {
  const table = quoteTable(tableName(request.table));
  if (request.create && request.columns.length > 0) createTable(database, table, request);
  checkColumns(database, request);
}

async function loadRows(database: SqliteDatabase, request: SqliteLoadRequest): Promise<number> {
  const { mode, where } = request;
  const table = quoteTable(tableName(request.table));
  if (mode === 'replace') {
    const filter = Object.entries(where ?? {});
    const terms = filter.map(([name]) => `${quoteName(name)} IS ?`).join(' AND ');
    database
      .prepare(`DELETE FROM ${table}${terms === '' ? '' : ` WHERE ${terms}`}`)
      .run(filter.map(([, value]) => bindable(value)));
  }
  // Without columns there are no values, and no statement that inserts none.
  if (request.columns.length === 0) return 0;
  return await insertAll(database.prepare(insertText(table, request)), request);
}

/** One that an earlier version made has not all of the columns. */
function ensureLedger(database: SqliteDatabase): void {
  database.exec(CREATE_LEDGER);
  const there = columnsOf(database, LEDGER);
  for (const column of LATER_COLUMNS) {
    if (there.includes(column)) continue;
    database.exec(`ALTER TABLE ${LEDGER} ADD COLUMN ${column} TEXT`);
  }
}

async function insertAll(
  insert: SqliteStatement,
  { inputs, columns }: SqliteLoadRequest,
): Promise<number> {
  let rows = 0;
  for (const input of inputs) {
    for await (const lines of readLines(input)) {
      for (const line of lines) {
        const row = JSON.parse(line) as Readonly<Record<string, Json>>;
        insert.run(columns.map(({ from }) => bindable(row[from])));
        rows += 1;
      }
    }
  }
  return rows;
}

function insertText(table: string, { columns, mode, key }: SqliteLoadRequest): string {
  const names = columns.map(({ to }) => quoteName(to)).join(', ');
  const places = columns.map(() => '?').join(', ');
  const insert = `INSERT INTO ${table} (${names}) VALUES (${places})`;
  if (mode !== 'upsert') return insert;
  const rest = columns.filter(({ to }) => !key.includes(to));
  const set = rest.map(({ to }) => `${quoteName(to)} = excluded.${quoteName(to)}`).join(', ');
  const action = set === '' ? 'NOTHING' : `UPDATE SET ${set}`;
  return `${insert} ON CONFLICT (${key.map(quoteName).join(', ')}) DO ${action}`;
}

function createTable(
  database: SqliteDatabase,
  table: string,
  { columns, key }: SqliteLoadRequest,
): void {
  const parts = columns.map(({ to, type }) => `${quoteName(to)} ${TYPES[type] ?? 'TEXT'}`);
  if (key.length > 0) parts.push(`PRIMARY KEY (${key.map(quoteName).join(', ')})`);
  database.exec(`CREATE TABLE IF NOT EXISTS ${table} (${parts.join(', ')})`);
}

function checkColumns(database: SqliteDatabase, request: SqliteLoadRequest): void {
  const { table: name, columns, key, where } = request;
  const { table } = tableName(name);
  const names = columnsOf(database, table);
  if (names.length === 0) throw unknownTable(name);
  const wanted = [...columns.map(({ to }) => to), ...key, ...Object.keys(where ?? {})];
  const missing = missingColumns(name, wanted, names);
  if (missing !== undefined) throw missing;
}

function columnsOf(database: SqliteDatabase, table: string): string[] {
  const columns = database.prepare('SELECT name FROM pragma_table_xinfo(?)').all([table]);
  return columns.map(({ name }) => name as string);
}
