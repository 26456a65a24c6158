/**
 * REINDEX and ANALYZE of a SQLite file in one IMMEDIATE transaction, between two checks of it.
 *
 * What is left wrong after it is damage of the rows, which no index mends: nothing is committed
 * then, and the attempt says what it is. Pages that nothing uses are no damage: they are told, and
 * stay until somebody runs VACUUM, which needs the file twice.
 */
import { limits } from '@runnel/shared/limits.ts';
import { quoteTable, tableName } from '../io/sql-names.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteReindexAnswer, SqliteReindexRequest } from './sqlite-request.ts';

export function reindexSqlite(
  database: SqliteDatabase,
  { path, tables, dryRun }: SqliteReindexRequest,
): SqliteReindexAnswer {
  requireTables(database, tables ?? []);
  const found = problemsOf(database);
  const problems = found.length;
  if (dryRun) return { found, problems, repaired: 0 };
  database.exec('BEGIN IMMEDIATE');
  try {
    const names = (tables ?? []).map((name) => quoteTable(tableName(name)));
    for (const name of tables === null ? [''] : names) database.exec(`REINDEX ${name}`);
    for (const name of tables === null ? [''] : names) database.exec(`ANALYZE ${name}`);
    const left = problemsOf(database);
    const damage = left.find((line) => !UNUSED_PAGE.test(line));
    if (damage !== undefined) throw damaged(path, damage, tables !== null);
    database.exec('COMMIT');
    return { found, problems, repaired: Math.max(0, problems - left.length) };
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

const UNUSED_PAGE = /^Page \d+(: | is )never used$/;

/** At most about `limits.reindexProblemsMax`. */
function problemsOf(database: SqliteDatabase): string[] {
  const check = database.prepare(`PRAGMA integrity_check(${limits.reindexProblemsMax})`);
  const told = check.all({}).flatMap((row) => (row['integrity_check'] as string).split('\n'));
  return told.filter((line) => line !== 'ok' && !line.startsWith('***'));
}

function requireTables(database: SqliteDatabase, tables: readonly string[]): void {
  for (const text of tables) {
    const { schema, table } = tableName(text);
    const master = quoteTable({ schema, table: 'sqlite_master' });
    const find = database.prepare(`SELECT 1 FROM ${master} WHERE type = 'table' AND name = $table`);
    if (find.all({ table }).length > 0) continue;
    throw new TaskError('rejected', 'reindex_table', `there is no table ${text}`);
  }
}

function damaged(path: string, problem: string, isPart: boolean): TaskError {
  const message = `${path} is damaged beyond its indexes: ${problem}`;
  return new TaskError('data', 'sqlite_damaged', message, {
    hint: isPart
      ? 'Rebuild all indexes: leave tables: out. If that fails too, restore the file.'
      : 'Restore the file from a backup, or save its rows with the .recover of sqlite3.',
  });
}
