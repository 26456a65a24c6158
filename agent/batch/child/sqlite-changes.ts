/** Change events into a SQLite table; what is kept of them beside it: changes/apply-changes.ts. */
import { messageOf } from '@runnel/shared/errors.ts';
import {
  applyChanges,
  type ChangeTarget,
  POSITIONS,
  swapRefused,
  type SourceOfRow,
  TRUNCATION,
} from '../changes/apply-changes.ts';
import type { Key } from '../changes/change-event.ts';
import type { ChangeCounts, ChangePlan, KeyPosition, Positions } from '../changes/change-batch.ts';
import type { EventPosition } from '../changes/event-position.ts';
import type { ChangesFile } from '../changes/read-changes.ts';
import type { Row } from '../tasks/task-services.ts';
import { quoteName, quoteTable, tableName } from '../io/sql-names.ts';
import type { SqliteDatabase, SqliteStatement } from './sqlite-database.ts';
import type { SqliteLoadRequest } from './sqlite-request.ts';
import { bindable } from './sqlite-value.ts';

const CREATE =
  `CREATE TABLE IF NOT EXISTS ${POSITIONS} (target TEXT NOT NULL, key TEXT NOT NULL, ` +
  'source TEXT NOT NULL, position TEXT NOT NULL, deleted INTEGER NOT NULL, ' +
  'applied_at TEXT NOT NULL, PRIMARY KEY (target, key)) WITHOUT ROWID; ' +
  `CREATE INDEX IF NOT EXISTS ${POSITIONS}_deleted ON ${POSITIONS} (target, applied_at) ` +
  'WHERE deleted = 1';
const WRITE =
  `INSERT INTO ${POSITIONS} (target, key, source, position, deleted, applied_at) ` +
  'VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (target, key) DO UPDATE SET source = excluded.source, ' +
  'position = excluded.position, deleted = excluded.deleted, applied_at = excluded.applied_at';
const READ =
  `SELECT key, source, position FROM ${POSITIONS} ` +
  'WHERE target = ? AND key IN (SELECT value FROM json_each(?))';

/** Positions of rows. */
const OF_ROWS = `FROM ${POSITIONS} WHERE target = ? AND key <> '${TRUNCATION}'`;

/** Tables with a foreign key that does something when rows of this one are deleted. */
const CHILDREN =
  'SELECT child.name FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS has ' +
  'WHERE child.type = \'table\' AND lower(has."table") = lower(?) ' +
  "AND has.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')";

/** Of the savepoint, and of the rows that are put aside meanwhile. */
const BATCH = 'runnel_batch';

/** `isThere` is false where the table is still to be made, by rows that are yet to come. */
export async function applySqliteChanges(
  database: SqliteDatabase,
  request: SqliteLoadRequest,
  changes: ChangesFile,
  isThere: boolean,
): Promise<ChangeCounts> {
  database.exec(CREATE);
  return await applyChanges(changes, new SqliteTarget(database, request, isThere));
}

class SqliteTarget implements ChangeTarget {
  readonly #database: SqliteDatabase;
  readonly #name: string;
  readonly #table: string;
  readonly #key: readonly string[];
  readonly #appliedAt: string;
  readonly #isThere: boolean;
  readonly #write: SqliteStatement;

  constructor(database: SqliteDatabase, { table, key, run }: SqliteLoadRequest, isThere: boolean) {
    const name = tableName(table);
    this.#database = database;
    this.#name = name.table;
    this.#table = quoteTable(name);
    this.#key = key;
    this.#appliedAt = run.loadedAt;
    this.#isThere = isThere;
    this.#write = database.prepare(WRITE);
  }

  positions(keys: readonly string[]): Positions {
    const rows = this.#database.prepare(READ).all([this.#name, JSON.stringify(keys)]);
    return new Map(
      rows.map(({ key, source, position }) => [
        key as string,
        { source: source as string, order: position as string },
      ]),
    );
  }

  apply(plan: ChangePlan): void {
    if (this.#isThere) this.#applyRows(plan);
    for (const position of plan.positions) this.#remember(position);
  }

  /** Row by row, unless a value that must be unique is on its way from one to another. */
  #applyRows(plan: ChangePlan): void {
    this.#database.exec(`SAVEPOINT ${BATCH}`);
    try {
      this.#delete(plan.deletes);
      for (const { columns, rows } of plan.puts) this.#put(columns, rows);
    } catch (error) {
      if (!messageOf(error).includes('UNIQUE constraint failed')) throw error;
      this.#database.exec(`ROLLBACK TO ${BATCH}`);
      this.#applyAnew(plan);
    }
    this.#database.exec(`RELEASE ${BATCH}`);
  }

  /**
   * All rows of the plan go, and come back as they are to be: it takes a swap of values too. Where
   * rows of other tables would go with them, or lose what they refer to, nothing is done.
   */
  #applyAnew({ deletes, puts }: ChangePlan): void {
    const [child] = this.#database.prepare(CHILDREN).all([this.#name]);
    if (child !== undefined) throw swapRefused(child['name'] as string);
    this.#delete(deletes);
    const columns = this.#database
      .prepare('SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0')
      .all([this.#name])
      .map(({ name }) => quoteName(name as string))
      .join(', ');
    const [as, none] = [`SELECT ${columns} FROM ${this.#table}`, 'WHERE 0'];
    this.#database.exec(`CREATE TEMP TABLE ${BATCH} AS ${as} ${none}`);
    const keep = this.#database.prepare(`INSERT INTO temp.${BATCH} ${as} WHERE ${this.#isKey()}`);
    for (const { rows } of puts) {
      const keys = rows.map((row) => this.#key.map((name) => row[name] as Key[number]));
      for (const key of keys) keep.run(key.map(bindable));
      this.#delete(keys);
    }
    for (const { columns: told, rows } of puts) {
      const update = this.#updateOf(`temp.${BATCH}`, told);
      for (const row of rows) update?.(row);
    }
    this.#database.exec(
      `INSERT INTO ${this.#table} (${columns}) SELECT ${columns} FROM temp.${BATCH}; ` +
        `DROP TABLE temp.${BATCH}`,
    );
    for (const { columns: told, rows } of puts) {
      const insert = this.#insertOf(told);
      for (const row of rows) insert(row);
    }
  }

  #delete(keys: readonly Key[]): void {
    const remove = this.#database.prepare(`DELETE FROM ${this.#table} WHERE ${this.#isKey()}`);
    for (const key of keys) remove.run(key.map(bindable));
  }

  ofOtherSource(source: string): SourceOfRow | undefined {
    return this.#rows('AND source <> ? LIMIT 1', source)[0];
  }

  keysBeyond(order: string): Key[] {
    return this.#rows('AND position > ?', order).map(({ key }) => JSON.parse(key) as Key);
  }

  removeOthers(): number {
    if (!this.#isThere) return 0;
    const names = this.#key.map((name) => `kept.${quoteName(name)}`);
    const same = names.map((name, place) => `${name} = json_extract(known.key, '$[${place}]')`);
    const key = this.#key.map(quoteName).join(', ');
    // By the key of the table: for each position one look into its index.
    const remove =
      `DELETE FROM ${this.#table} WHERE (${key}) NOT IN (SELECT ${names.join(', ')} ` +
      `FROM (SELECT key ${OF_ROWS} AND deleted = 0) AS known ` +
      `CROSS JOIN ${this.#table} AS kept ON ${same.join(' AND ')})`;
    return this.#database.prepare(remove).run([this.#name]).changes;
  }

  forget(deletedBefore: string | null): void {
    const [where, values] =
      deletedBefore === null ? ['', []] : [' AND deleted = 1 AND applied_at < ?', [deletedBefore]];
    this.#database
      .prepare(`DELETE FROM ${POSITIONS} WHERE target = ?${where}`)
      .run([this.#name, ...values]);
  }

  truncate(at: EventPosition, kept: readonly Key[]): void {
    const isNewer = this.#key.map(
      (name, place) => `json_extract(newer.value, '$[${place}]') = gone.${quoteName(name)}`,
    );
    if (this.#isThere) {
      this.#database
        .prepare(
          `DELETE FROM ${this.#table} AS gone WHERE NOT EXISTS ` +
            `(SELECT 1 FROM json_each(?) AS newer WHERE ${isNewer.join(' AND ')})`,
        )
        .run([JSON.stringify(kept)]);
    }
    this.#database.prepare(`DELETE ${OF_ROWS} AND position <= ?`).run([this.#name, at.order]);
    this.#remember({ key: TRUNCATION, ...at, isDeleted: false });
  }

  #rows(where: string, value: string): SourceOfRow[] {
    const select = this.#database.prepare(`SELECT key, source ${OF_ROWS} ${where}`);
    return select.all([this.#name, value]) as unknown as SourceOfRow[];
  }

  /** A row that is there keeps what its event does not tell. */
  #put(columns: readonly string[], rows: ChangePlan['puts'][number]['rows']): void {
    const update = this.#updateOf(this.#table, columns);
    const insert = this.#insertOf(columns);
    for (const row of rows) {
      if (update?.(row) !== true) insert(row);
    }
  }

  /** Whether there was a row. Undefined where an event tells the key only. */
  #updateOf(table: string, columns: readonly string[]): ((row: Row) => boolean) | undefined {
    const rest = columns.filter((name) => !this.#key.includes(name));
    if (rest.length === 0) return undefined;
    const set = rest.map((name) => `${quoteName(name)} = ?`).join(', ');
    const update = this.#database.prepare(`UPDATE ${table} SET ${set} WHERE ${this.#isKey()}`);
    return (row) => update.run(valuesOf(row, [...rest, ...this.#key])).changes > 0;
  }

  #insertOf(columns: readonly string[]): (row: Row) => void {
    const names = columns.map(quoteName).join(', ');
    const places = columns.map(() => '?').join(', ');
    const insert = this.#database.prepare(
      `INSERT INTO ${this.#table} (${names}) SELECT ${places} ` +
        `WHERE NOT EXISTS (SELECT 1 FROM ${this.#table} WHERE ${this.#isKey()})`,
    );
    return (row) => void insert.run(valuesOf(row, [...columns, ...this.#key]));
  }

  #isKey(): string {
    return this.#key.map((name) => `${quoteName(name)} = ?`).join(' AND ');
  }

  #remember({ key, source, order, isDeleted }: KeyPosition): void {
    const values = [this.#name, key, source, order, isDeleted ? 1 : 0, this.#appliedAt];
    this.#write.run(values);
  }
}

function valuesOf(row: Row, names: readonly string[]) {
  return names.map((name) => bindable(row[name]));
}
