/**
 * SQLite compiles a statement anew each time that it is asked for by its text, which costs more
 * than most of our statements themselves. This keeps the compiled ones, least recently used out
 * first. Texts are few, since values are bound; those of lists vary with their length.
 */
import type { SqliteDatabase, SqliteStatement } from 'kysely';

const STATEMENTS_MAX = 500;

/** `database` with its statements kept; it must not be used to run one statement within itself. */
export function withStatementCache(database: SqliteDatabase): SqliteDatabase {
  /** In order of last use. */
  const kept = new Map<string, SqliteStatement>();
  return {
    prepare(text) {
      const statement = kept.get(text) ?? database.prepare(text);
      kept.delete(text);
      kept.set(text, statement);
      if (kept.size > STATEMENTS_MAX) {
        const oldest = kept.keys().next();
        if (oldest.done !== true) kept.delete(oldest.value);
      }
      return statement;
    },
    close() {
      kept.clear();
      database.close();
    },
  };
}
