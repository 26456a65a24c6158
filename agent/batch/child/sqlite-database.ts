/** libsql, which is optional: what this project uses of it, and the error where it is not there. */
import { messageOf } from '@runnel/shared/errors.ts';
import { TaskError } from '../tasks/task-error.ts';

export type SqliteValue = null | string | number | bigint | ArrayBuffer | Uint8Array;

export interface SqliteStatement {
  safeIntegers(on: boolean): unknown;
  iterate(parameters: unknown): Iterable<Readonly<Record<string, SqliteValue>>>;
  all(parameters: unknown): Readonly<Record<string, SqliteValue>>[];
  run(parameters: unknown): { readonly changes: number };
}

export interface SqliteDatabase {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): void;
  close(): void;
}

/** Throws a `TaskError` (`definition`, `sqlite_missing`) without libsql. */
export async function openSqlite(
  path: string,
  isReadOnly: boolean,
  busyTimeoutMs: number,
): Promise<SqliteDatabase> {
  const Database = await loadLibsql();
  const database = new Database(isReadOnly ? `file:${uriPath(path)}?mode=ro` : path);
  database.exec(`PRAGMA busy_timeout = ${Math.floor(busyTimeoutMs)}`);
  if (!isReadOnly) database.exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  return database;
}

/** What has a meaning in SQLite's URIs, escaped. */
function uriPath(path: string): string {
  return path.replaceAll(/[%?#]/g, (char) => encodeURIComponent(char));
}

async function loadLibsql(): Promise<new (path: string) => SqliteDatabase> {
  try {
    const { default: Database } = await import('libsql');
    return Database as unknown as new (path: string) => SqliteDatabase;
  } catch (error) {
    throw new TaskError(
      'definition',
      'sqlite_missing',
      `SQLite is not installed on this device: ${messageOf(error)}`,
      { hint: 'Install the optional package libsql beside the agent.', cause: error },
    );
  }
}
