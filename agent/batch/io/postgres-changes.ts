/**
 * Change events into a PostgreSQL table; what is kept of them beside it, in the schema of the
 * table: changes/apply-changes.ts. Loads of one table at once wait for each other, or each could
 * write over what the other has just found to be older.
 */
import type { Client } from 'pg';
import type { Json } from '@runnel/shared/engine/record.ts';
import {
  applyChanges,
  type ChangeTarget,
  POSITIONS,
  swapRefused,
  type SourceOfRow,
  TRUNCATION,
} from '../changes/apply-changes.ts';
import type { ChangeCounts, ChangePlan, KeyPosition, Positions } from '../changes/change-batch.ts';
import type { Key } from '../changes/change-event.ts';
import type { EventPosition } from '../changes/event-position.ts';
import type { ChangesFile } from '../changes/read-changes.ts';
import type { Row } from '../tasks/task-services.ts';
import { quoteName, quoteTable, tableName } from './sql-names.ts';

/** First half of the lock; the other is the table. */
const CHANGES_LOCK = 728_613_530;
/** Of the savepoint, and of the rows that are put aside meanwhile. */
const BATCH = 'runnel_batch';
const UNIQUE_VIOLATION = '23505';

export interface PostgresTargetSettings {
  readonly table: string;
  readonly key: readonly string[];
  /** ISO 8601. */
  readonly appliedAt: string;
  /** False where the table is still to be made, by rows that are yet to come. */
  readonly isThere: boolean;
  /** A value as the column takes it. */
  readonly valueFor: (column: string, value: Json | undefined) => Json;
}

/** The name of `runnel_positions` for this target, and what makes it, its index too. */
export function positionsOf(table: string): { readonly name: string; readonly definition: string } {
  const name = quoteTable({ schema: tableName(table).schema, table: POSITIONS });
  // C compares texts by their bytes.
  const definition =
    '(target text NOT NULL, key text NOT NULL, source text NOT NULL, ' +
    'position text COLLATE "C" NOT NULL, deleted smallint NOT NULL, ' +
    'applied_at timestamptz NOT NULL, PRIMARY KEY (target, key)); ' +
    `CREATE INDEX IF NOT EXISTS ${POSITIONS}_deleted ON ${name} (target, applied_at) ` +
    'WHERE deleted = 1';
  return { name, definition };
}

export async function applyPostgresChanges(
  client: Client,
  settings: PostgresTargetSettings,
  changes: ChangesFile,
): Promise<ChangeCounts> {
  const { table: name } = tableName(settings.table);
  const lock = 'SELECT pg_advisory_xact_lock($1, hashtext($2))';
  await client.query(lock, [CHANGES_LOCK, name]);
  return await applyChanges(changes, new PostgresTarget(client, settings));
}

class PostgresTarget implements ChangeTarget {
  readonly #client: Client;
  readonly #settings: PostgresTargetSettings;
  readonly #name: string;
  readonly #table: string;
  readonly #positions: string;
  /** Positions of rows. */
  readonly #ofRows: string;

  constructor(client: Client, settings: PostgresTargetSettings) {
    const name = tableName(settings.table);
    this.#client = client;
    this.#settings = settings;
    this.#name = name.table;
    this.#table = quoteTable(name);
    this.#positions = positionsOf(settings.table).name;
    this.#ofRows = `FROM ${this.#positions} WHERE target = $1 AND key <> '${TRUNCATION}'`;
  }

  async positions(keys: readonly string[]): Promise<Positions> {
    const { rows } = await this.#client.query<KeyPosition>(
      `SELECT key, source, position AS "order" FROM ${this.#positions} ` +
        'WHERE target = $1 AND key = ANY($2)',
      [this.#name, keys],
    );
    return new Map(rows.map(({ key, source, order }) => [key, { source, order }]));
  }

  async apply(plan: ChangePlan): Promise<void> {
    if (this.#settings.isThere) await this.#applyRows(plan);
    await this.#remember(plan.positions);
  }

  /** Group by group, unless a value that must be unique is on its way from one row to another. */
  async #applyRows(plan: ChangePlan): Promise<void> {
    await this.#client.query(`SAVEPOINT ${BATCH}`);
    try {
      await this.#delete(this.#keys(plan.deletes));
      for (const { columns, rows } of plan.puts) {
        await this.#update(this.#table, columns, rows);
        await this.#insert(columns, rows);
      }
    } catch (error) {
      if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw error;
      await this.#client.query(`ROLLBACK TO SAVEPOINT ${BATCH}`);
      await this.#applyAnew(plan);
    }
    await this.#client.query(`RELEASE SAVEPOINT ${BATCH}`);
  }

  /**
   * All rows of the plan go, and come back as they are to be: it takes a swap of values too. Where
   * rows of other tables would go with them, or lose what they refer to, nothing is done.
   */
  async #applyAnew({ deletes, puts }: ChangePlan): Promise<void> {
    await this.#requireNoCascade();
    await this.#delete(this.#keys(deletes));
    const { rows: written } = await this.#client.query<{ name: string }>(
      'SELECT attname AS name FROM pg_attribute WHERE attrelid = to_regclass($1) ' +
        "AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
      [this.#table],
    );
    const columns = written.map(({ name }) => quoteName(name)).join(', ');
    const as = `SELECT ${columns} FROM ${this.#table} AS kept`;
    await this.#client.query(`CREATE TEMP TABLE ${BATCH} AS ${as} WHERE false`);
    for (const { rows } of puts) {
      const keys = this.#keys(rows.map((row) => this.#settings.key.map((name) => row[name]!)));
      const isGiven = `EXISTS (SELECT 1 FROM ${this.#given()} WHERE ${this.#isKey()})`;
      await this.#client.query(`INSERT INTO pg_temp.${BATCH} ${as} WHERE ${isGiven}`, [keys]);
      await this.#delete(keys);
    }
    for (const put of puts) await this.#update(`pg_temp.${BATCH}`, put.columns, put.rows);
    await this.#client.query(
      `INSERT INTO ${this.#table} (${columns}) OVERRIDING SYSTEM VALUE ` +
        `SELECT ${columns} FROM pg_temp.${BATCH}`,
    );
    await this.#client.query(`DROP TABLE pg_temp.${BATCH}`);
    for (const put of puts) await this.#insert(put.columns, put.rows);
  }

  /** Throws a `TaskError` where a foreign key does something to its rows when these are deleted. */
  async #requireNoCascade(): Promise<void> {
    const { rows } = await this.#client.query<{ name: string; of: string }>(
      'SELECT conname AS name, conrelid::regclass::text AS "of" FROM pg_constraint ' +
        "WHERE contype = 'f' AND confrelid = to_regclass($1) AND confdeltype IN ('c', 'n', 'd')",
      [this.#table],
    );
    if (rows[0] !== undefined) throw swapRefused(`${rows[0].of} (${rows[0].name})`);
  }

  /** `keys`: as `#keys` gives them. */
  async #delete(keys: string): Promise<void> {
    const remove = `DELETE FROM ${this.#table} AS kept USING ${this.#given()} WHERE`;
    await this.#client.query(`${remove} ${this.#isKey()}`, [keys]);
  }

  async ofOtherSource(source: string): Promise<SourceOfRow | undefined> {
    return (await this.#rows('AND source <> $2 LIMIT 1', source))[0];
  }

  async keysBeyond(order: string): Promise<Key[]> {
    const rows = await this.#rows('AND position > $2', order);
    return rows.map(({ key }) => JSON.parse(key) as Key);
  }

  async removeOthers(): Promise<number> {
    if (!this.#settings.isThere) return 0;
    const names = this.#settings.key.map((name) => quoteName(name)).join(', ');
    await this.#client.query(
      `CREATE TEMP TABLE ${BATCH} AS SELECT ${names} FROM ${this.#table} WHERE false`,
    );
    const page = `SELECT key ${this.#ofRows} AND deleted = 0 AND key > $2 ORDER BY key LIMIT 1000`;
    for (let after = ''; ;) {
      const { rows } = await this.#client.query<{ key: string }>(page, [this.#name, after]);
      if (rows.length === 0) break;
      const keys = this.#keys(rows.map(({ key }) => JSON.parse(key) as Key));
      const insert = `INSERT INTO pg_temp.${BATCH} SELECT ${names} FROM ${this.#given()}`;
      await this.#client.query(insert, [keys]);
      after = rows.at(-1)!.key;
    }
    const isKey = this.#isKey();
    const { rowCount } = await this.#client.query(
      `DELETE FROM ${this.#table} AS kept ` +
        `WHERE NOT EXISTS (SELECT 1 FROM pg_temp.${BATCH} AS given WHERE ${isKey})`,
    );
    await this.#client.query(`DROP TABLE pg_temp.${BATCH}`);
    return rowCount ?? 0;
  }

  async forget(deletedBefore: string | null): Promise<void> {
    const [where, values] =
      deletedBefore === null ? ['', []] : [' AND deleted = 1 AND applied_at < $2', [deletedBefore]];
    const forget = `DELETE FROM ${this.#positions} WHERE target = $1${where}`;
    await this.#client.query(forget, [this.#name, ...values]);
  }

  async #rows(where: string, value: string): Promise<SourceOfRow[]> {
    const select = `SELECT key, source ${this.#ofRows} ${where}`;
    return (await this.#client.query<SourceOfRow>(select, [this.#name, value])).rows;
  }

  async truncate(at: EventPosition, kept: readonly Key[]): Promise<void> {
    if (this.#settings.isThere) {
      await this.#client.query(
        `DELETE FROM ${this.#table} AS kept WHERE NOT EXISTS ` +
          `(SELECT 1 FROM ${this.#given()} WHERE ${this.#isKey()})`,
        [this.#keys(kept)],
      );
    }
    const forget = `DELETE ${this.#ofRows} AND position <= $2`;
    await this.#client.query(forget, [this.#name, at.order]);
    await this.#remember([{ key: TRUNCATION, ...at, isDeleted: false }]);
  }

  /** A row that is there keeps what its event does not tell. */
  async #update(table: string, columns: readonly string[], rows: readonly Row[]): Promise<void> {
    const set = columns
      .filter((name) => !this.#settings.key.includes(name))
      .map((name) => `${quoteName(name)} = given.${quoteName(name)}`);
    if (set.length === 0) return;
    const update = `UPDATE ${table} AS kept SET ${set.join(', ')} FROM ${this.#given()}`;
    await this.#client.query(`${update} WHERE ${this.#isKey()}`, [this.#rowsFor(columns, rows)]);
  }

  async #insert(columns: readonly string[], rows: readonly Row[]): Promise<void> {
    const names = columns.map(quoteName).join(', ');
    await this.#client.query(
      `INSERT INTO ${this.#table} (${names}) SELECT ${names} FROM ${this.#given()} ` +
        `WHERE NOT EXISTS (SELECT 1 FROM ${this.#table} AS kept WHERE ${this.#isKey()})`,
      [this.#rowsFor(columns, rows)],
    );
  }

  async #remember(positions: readonly KeyPosition[]): Promise<void> {
    const rows = positions.map(({ isDeleted, ...rest }) => ({ ...rest, deleted: +isDeleted }));
    await this.#client.query(
      `INSERT INTO ${this.#positions} ` +
        '(target, key, source, position, deleted, applied_at) ' +
        'SELECT $1, key, source, "order", deleted, $3::timestamptz ' +
        'FROM json_to_recordset($2::json) ' +
        'AS given(key text, source text, "order" text, deleted smallint) ' +
        'ON CONFLICT (target, key) DO UPDATE SET source = EXCLUDED.source, ' +
        'position = EXCLUDED.position, deleted = EXCLUDED.deleted, ' +
        'applied_at = EXCLUDED.applied_at',
      [this.#name, JSON.stringify(rows), this.#settings.appliedAt],
    );
  }

  /** The rows of the first value, in the types of the columns. */
  #given(): string {
    return `json_populate_recordset(NULL::${this.#table}, $1::json) AS given`;
  }

  #isKey(): string {
    const names = this.#settings.key.map(quoteName);
    return names.map((name) => `kept.${name} = given.${name}`).join(' AND ');
  }

  #keys(keys: readonly (readonly Json[])[]): string {
    const { key } = this.#settings;
    const rows = keys.map((values) =>
      Object.fromEntries(key.map((name, at) => [name, values[at]])),
    );
    return JSON.stringify(rows.map((row) => this.#rowFor(key, row as Row)));
  }

  #rowsFor(columns: readonly string[], rows: readonly Row[]): string {
    return JSON.stringify(rows.map((row) => this.#rowFor(columns, row)));
  }

  #rowFor(columns: readonly string[], row: Row): Row {
    const { valueFor } = this.#settings;
    return Object.fromEntries(columns.map((name) => [name, valueFor(name, row[name])]));
  }
}
