/**
 * SQLite in the child: reads a SELECT into JSON lines, loads JSON lines in one transaction, or
 * rebuilds indexes (sqlite-reindex.ts).
 *
 * Reading opens the file read-only (`mode=ro`), so that no query can write; it takes one SELECT, as
 * the settings of the task demand. Loading is one IMMEDIATE transaction that holds the rows and the
 * run's key in `runnel_runs`; with the journal mode that the file has, and `synchronous=FULL`.
 */
import { existsSync } from 'node:fs';
import { limits } from '@runnel/shared/limits.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { ErrorClass } from '@runnel/shared/definitions/batch-job.ts';
import { LineWriter } from '../tables/line-file.ts';
import { TaskError } from '../tasks/task-error.ts';
import { loadSqlite } from './sqlite-load.ts';
import { reindexSqlite } from './sqlite-reindex.ts';
import type { SqliteExtractRequest, SqliteRequest } from './sqlite-request.ts';
import { openSqlite, type SqliteDatabase, type SqliteValue } from './sqlite-database.ts';
import { bindable, jsonOf } from './sqlite-value.ts';

export async function runSqlite(request: SqliteRequest): Promise<unknown> {
  if (!existsSync(request.path) && !(request.action === 'load' && request.create)) {
    throw new TaskError('data', 'file_missing', `there is no database ${request.path}`);
  }
  let database: SqliteDatabase | undefined;
  try {
    database = await openSqlite(request.path, request.action === 'extract', request.busyTimeoutMs);
    if (request.action === 'load') return await loadSqlite(database, request);
    if (request.action === 'reindex') return reindexSqlite(database, request);
    return await extract(database, request);
  } catch (error) {
    throw sqliteError(error, request.path);
  } finally {
    database?.close();
  }
}

async function extract(
  database: SqliteDatabase,
  { query, parameters, file, rowsMax }: SqliteExtractRequest,
): Promise<number> {
  const statement = database.prepare(query);
  statement.safeIntegers(true);
  const bound = Object.entries(parameters).map(([name, value]) => [name, bindable(value)]);
  const writer = await LineWriter.create(file, limits.tableBytesMax);
  try {
    for (const row of statement.iterate(Object.fromEntries(bound) as Record<string, unknown>)) {
      if (writer.add(lineOf(row))) await writer.flush();
      if (writer.lines >= rowsMax) break;
    }
    await writer.close();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return writer.lines;
}

function lineOf(row: Readonly<Record<string, SqliteValue>>): string {
  return JSON.stringify(
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, jsonOf(value)])),
  );
}

/** By SQLite's primary result code. */
const CLASSES: Readonly<Record<string, ErrorClass>> = {
  SQLITE_BUSY: 'unavailable',
  SQLITE_LOCKED: 'unavailable',
  SQLITE_FULL: 'resources',
  SQLITE_NOMEM: 'resources',
  SQLITE_TOOBIG: 'resources',
  SQLITE_CONSTRAINT: 'data',
  SQLITE_MISMATCH: 'data',
  SQLITE_CORRUPT: 'data',
  SQLITE_NOTADB: 'data',
  SQLITE_ERROR: 'rejected',
  SQLITE_READONLY: 'rejected',
};

function sqliteError(error: unknown, path: string): unknown {
  if (error instanceof TaskError) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  const name = typeof code === 'string' ? code : '';
  const [, primary = ''] = /^(SQLITE_[A-Z]+)/.exec(name) ?? [];
  const known = CLASSES[primary];
  const errorClass = known ?? (/locked|busy/i.test(messageOf(error)) ? 'unavailable' : 'other');
  const named = primary === '' ? 'sqlite_failed' : primary.toLowerCase();
  return new TaskError(errorClass, named, `${path}: ${messageOf(error)}`, { cause: error });
}
