/**
 * Rows into a PostgreSQL table: one transaction with the key of the run in `runnel_runs`, in the
 * schema of the table.
 *
 * Rows travel as JSON and are turned into the types of the columns by the server itself
 * (`json_populate_recordset`), so there is one place that knows them. Only epoch milliseconds in a
 * column of times are turned into ISO 8601 here, because no type of PostgreSQL reads them.
 *
 * Two attempts at once (one of an agent that was killed, its connection not yet known to be gone)
 * wait for each other at the row of the key.
 */
import type { Client } from 'pg';
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { ChangeCounts } from '../changes/change-batch.ts';
import type { ReadChanges } from '../changes/read-changes.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import type { Row } from '../tasks/task-services.ts';
import type { LedgerRow } from '../child/sqlite-request.ts';
import {
  LATER_COLUMNS,
  LEDGER,
  missingColumns,
  requireSameContent,
  sameOutcome,
  unknownTable,
} from './load-ledger.ts';
import { ledgerRow, type LoadColumn, loadColumns } from './load-input.ts';
import {
  applyPostgresChanges,
  positionsOf,
  type PostgresTargetSettings,
} from './postgres-changes.ts';
import { PostgresSession } from './postgres-client.ts';
import { quoteName, quoteTable, tableName } from './sql-names.ts';

type PostgresConfig = NonNullable<LoadTaskConfig['postgres']>;

export interface PostgresLoad {
  readonly loaded: boolean;
  readonly rows: number;
  /** Of the mode `changes`, in this attempt or in the one that loaded them. */
  readonly counts: ChangeCounts | null;
}

interface KnownLoad {
  readonly rows: number;
  readonly content: unknown;
  readonly outcome?: unknown;
}

const BATCH_ROWS = 1000;
/** Serialises the making of tables: `CREATE TABLE IF NOT EXISTS` by two at once fails for one. */
const CREATE_LOCK = 7_286_135_301;
const TYPES: Readonly<Record<string, string>> = {
  number: 'double precision',
  string: 'text',
  boolean: 'boolean',
  json: 'jsonb',
};
const TIMES = new Set(['timestamp', 'timestamptz', 'date']);

export async function loadIntoPostgres(
  config: PostgresConfig,
  table: TableRef,
  changes: ReadChanges | null,
  context: TaskContext,
): Promise<PostgresLoad> {
  const session = await PostgresSession.open(config, context);
  const { client } = session;
  try {
    const columns = changes?.columns ?? loadColumns(table, config.columns);
    const run = await ledgerRow(context, table, columns, config.table);
    await client.query('BEGIN');
    const input = { table, changes, columns, run };
    const answer = await new Load(client, config, input, context).run();
    await client.query('COMMIT');
    return answer;
  } catch (error) {
    throw session.failure(error);
  } finally {
    // The server rolls back what was not committed.
    await session.close();
  }
}

class Load {
  readonly #client: Client;
  readonly #config: PostgresConfig;
  readonly #context: TaskContext;
  readonly #input: TableRef;
  readonly #changes: ReadChanges | null;
  readonly #columns: readonly LoadColumn[];
  readonly #run: LedgerRow;
  readonly #table: string;
  readonly #ledger: string;
  /** Type by column of the table. */
  #types: ReadonlyMap<string, string> = new Map();

  constructor(
    client: Client,
    config: PostgresConfig,
    input: {
      readonly table: TableRef;
      readonly changes: ReadChanges | null;
      readonly columns: readonly LoadColumn[];
      readonly run: LedgerRow;
    },
    context: TaskContext,
  ) {
    this.#client = client;
    this.#config = config;
    this.#context = context;
    this.#input = input.table;
    this.#changes = input.changes;
    this.#columns = input.columns;
    this.#run = input.run;
    const name = tableName(config.table);
    this.#table = quoteTable(name);
    this.#ledger = quoteTable({ schema: name.schema, table: LEDGER });
  }

  async run(): Promise<PostgresLoad> {
    await this.#ensureLedger();
    const known = await this.#claim();
    const changes = this.#changes;
    if (known !== null && this.#config.mode === 'append') {
      requireSameContent(known.content, this.#run);
      return { loaded: false, rows: known.rows, counts: null };
    }
    const before = changes === null || changes.isRefresh ? null : sameOutcome(known, this.#run);
    if (before !== null) return { loaded: false, rows: known?.rows ?? 0, counts: before };
    const isThere = !(await this.#isNothingYet());
    if (isThere) await this.#prepareTable();
    const counts = changes === null ? null : await this.#applyChanges(changes, isThere);
    const rows = counts?.applied ?? (isThere ? await this.#loadRows() : 0);
    await this.#record(rows, counts);
    return { loaded: true, rows, counts };
  }

  async #record(rows: number, counts: ChangeCounts | null): Promise<void> {
    const { effectKey, tries, loadedAt, content } = this.#run;
    const outcome = counts === null ? [] : [JSON.stringify(counts)];
    await this.#client.query(
      `UPDATE ${this.#ledger} SET rows = $2, tries = $3, loaded_at = $4, content = $5` +
        `${counts === null ? '' : ', outcome = $6'} WHERE effect_key = $1`,
      [effectKey, rows, tries, loadedAt, content, ...outcome],
    );
  }

  /**
   * An empty input without columns says nothing of a table that is still to be made: the first one
   * that has rows makes it.
   */
  async #isNothingYet(): Promise<boolean> {
    const { create } = this.#config;
    return create && this.#columns.length === 0 && !(await this.#exists(this.#table));
  }

  async #prepareTable(): Promise<void> {
    const { create } = this.#config;
    if (create && this.#columns.length > 0) await this.#ensure(this.#table, this.#definition());
    await this.#checkColumns();
  }

  async #loadRows(): Promise<number> {
    if (this.#config.mode === 'replace') await this.#delete();
    return await this.#insertAll();
  }

  async #applyChanges(changes: ReadChanges, isThere: boolean): Promise<ChangeCounts> {
    const { table, key = [] } = this.#config;
    const { name, definition } = positionsOf(table);
    await this.#ensure(name, definition);
    const settings: PostgresTargetSettings = {
      table,
      key,
      appliedAt: this.#run.loadedAt,
      isThere,
      valueFor: (column, value) => this.#valueFor(column, value),
    };
    return applyPostgresChanges(this.#client, settings, changes);
  }

  /** One that an earlier version made has not all columns; it gets those that are needed. */
  async #ensureLedger(): Promise<void> {
    await this.#ensure(
      this.#ledger,
      '(effect_key text PRIMARY KEY, job text NOT NULL, partition text NOT NULL, ' +
        'task text NOT NULL, rows bigint NOT NULL, tries integer NOT NULL, ' +
        'loaded_at timestamptz NOT NULL, content text, outcome text)',
    );
    const there = await this.#typesOf(this.#ledger);
    for (const column of this.#laterColumns()) {
      if (there.has(column)) continue;
      const add = `ALTER TABLE ${this.#ledger} ADD COLUMN IF NOT EXISTS ${column} text`;
      await this.#client.query(add);
    }
  }

  /** Whoever loads no changes may have no right to alter the ledger for them. */
  #laterColumns(): readonly string[] {
    return LATER_COLUMNS.filter((name) => name !== 'outcome' || this.#changes !== null);
  }

  /** Of an earlier load, or null: from then on nobody else loads with this key. */
  async #claim(): Promise<KnownLoad | null> {
    const { effectKey, job, partition, task, tries, loadedAt } = this.#run;
    const { rowCount } = await this.#client.query(
      `INSERT INTO ${this.#ledger} (effect_key, job, partition, task, rows, tries, loaded_at) ` +
        'VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT (effect_key) DO NOTHING',
      [effectKey, job, partition, task, tries, loadedAt],
    );
    if (rowCount === 1) return null;
    const columns = ['rows', ...this.#laterColumns()].join(', ');
    const { rows } = await this.#client.query<KnownLoad>(
      `SELECT ${columns} FROM ${this.#ledger} WHERE effect_key = $1 FOR UPDATE`,
      [effectKey],
    );
    return rows[0] ?? { rows: 0, content: null };
  }

  /** A table that is there is not touched: that takes no right to make one. */
  async #ensure(table: string, definition: string): Promise<void> {
    if (await this.#exists(table)) return;
    await this.#client.query('SELECT pg_advisory_xact_lock($1)', [CREATE_LOCK]);
    await this.#client.query(`CREATE TABLE IF NOT EXISTS ${table} ${definition}`);
  }

  async #exists(table: string): Promise<boolean> {
    const { rows } = await this.#client.query<{ oid: unknown }>(
      'SELECT to_regclass($1)::oid AS oid',
      [table],
    );
    return rows[0]?.oid !== null;
  }

  #definition(): string {
    const parts = this.#columns.map(({ to, type }) => `${quoteName(to)} ${TYPES[type] ?? 'jsonb'}`);
    const { key } = this.#config;
    if (key !== undefined) parts.push(`PRIMARY KEY (${key.map(quoteName).join(', ')})`);
    return `(${parts.join(', ')})`;
  }

  async #checkColumns(): Promise<void> {
    const { table: name, key = [], where = {} } = this.#config;
    if (!(await this.#exists(this.#table))) throw unknownTable(name);
    this.#types = await this.#typesOf(this.#table);
    const wanted = [...this.#columns.map(({ to }) => to), ...key, ...Object.keys(where)];
    const missing = missingColumns(name, wanted, [...this.#types.keys()]);
    if (missing !== undefined) throw missing;
  }

  /** Type by column. */
  async #typesOf(table: string): Promise<ReadonlyMap<string, string>> {
    const { rows } = await this.#client.query<{ name: string; type: string }>(
      'SELECT a.attname AS name, t.typname AS type FROM pg_attribute a ' +
        'JOIN pg_type t ON t.oid = a.atttypid ' +
        'WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped',
      [table],
    );
    return new Map(rows.map((row) => [row.name, row.type]));
  }

  async #delete(): Promise<void> {
    const filter = Object.entries(this.#config.where ?? {});
    const terms = filter.map(
      ([name], index) => `${quoteName(name)} IS NOT DISTINCT FROM $${index + 1}`,
    );
    const where = terms.length === 0 ? '' : ` WHERE ${terms.join(' AND ')}`;
    const values = filter.map(([name, value]) => this.#valueFor(name, value));
    await this.#client.query(`DELETE FROM ${this.#table}${where}`, values);
  }

  async #insertAll(): Promise<number> {
    // Without columns there are no values, and no statement that inserts none.
    if (this.#columns.length === 0) return 0;
    const { tables } = this.#context.services;
    const insert = this.#insertText();
    let rows = 0;
    let batch: Row[] = [];
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      await this.#client.query(insert, [JSON.stringify(this.#lastOfEachKey(batch))]);
      batch = [];
    };
    for await (const chunk of tables.read(this.#input)) {
      for (const row of chunk) {
        batch.push(this.#rowFor(row));
        rows += 1;
        if (batch.length >= BATCH_ROWS) await flush();
      }
    }
    await flush();
    return rows;
  }

  #insertText(): string {
    const { mode, key = [] } = this.#config;
    const names = this.#columns.map(({ to }) => quoteName(to)).join(', ');
    const insert =
      `INSERT INTO ${this.#table} (${names}) ` +
      `SELECT ${names} FROM json_populate_recordset(NULL::${this.#table}, $1::json)`;
    if (mode !== 'upsert') return insert;
    const rest = this.#columns.filter(({ to }) => !key.includes(to));
    const set = rest.map(({ to }) => `${quoteName(to)} = EXCLUDED.${quoteName(to)}`).join(', ');
    const action = set === '' ? 'NOTHING' : `UPDATE SET ${set}`;
    return `${insert} ON CONFLICT (${key.map(quoteName).join(', ')}) DO ${action}`;
  }

  #rowFor(row: Row): Row {
    const columns = this.#columns.map(({ to, from }) => [to, this.#valueFor(to, row[from])]);
    return Object.fromEntries(columns) as Row;
  }

  #valueFor(column: string, value: Json | undefined): Json {
    if (typeof value === 'number' && TIMES.has(this.#types.get(column) ?? '')) {
      return new Date(value).toISOString();
    }
    return value ?? null;
  }

  /** One statement cannot upsert a row twice; the last one counts, as it does between two. */
  #lastOfEachKey(batch: readonly Row[]): readonly Row[] {
    const { key } = this.#config;
    if (key === undefined) return batch;
    const byKey = new Map(
      batch.map((row) => [JSON.stringify(key.map((name) => row[name] ?? null)), row]),
    );
    return [...byKey.values()];
  }
}
