/**
 * Brings into the scratch directory what a query reads: the journal exported for the range that the
 * query needs, tables and datasets as further names of their files, files that policy allows.
 */
import { copyFile, link } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { BoundReference } from '@runnel/shared/definitions/sql-references.ts';
import type { SqlWishes, TableInput, TableWish } from '../child/sql-messages.ts';
import { listFiles } from '../io/list-files.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import { sqlColumns } from './column-types.ts';

/** Rows that were read, by the name in the query; null where only the reader counts them. */
export type InputRows = Record<string, { readonly rows: number | null }>;

const NULL_TYPE = '"NULL"';

type Columns = TableInput['columns'];

export class QueryInputs {
  readonly #context: TaskContext;
  readonly #directory: string;
  readonly #references: readonly BoundReference[];
  /** Exports of the journal by source and range: the same one is made once. */
  readonly #exports = new Map<string, { readonly file: string; readonly rows: number }>();
  readonly read: InputRows = {};
  #files = 0;

  /** `directory` is where the files go. */
  constructor(context: TaskContext, directory: string, references: readonly BoundReference[]) {
    this.#context = context;
    this.#directory = directory;
    this.#references = references;
  }

  /** Throws a `TaskError`. */
  async inputs({ tables, others }: SqlWishes): Promise<TableInput[]> {
    const inputs: TableInput[] = [];
    for (const reference of this.#references) {
      const wish = tables.find(({ table }) => table === reference.table) ?? noWish(reference.table);
      const input = await this.#input(reference, wish);
      const before = this.read[reference.name]?.rows ?? 0;
      const rows = input.rows === null ? null : before + input.rows;
      this.read[reference.name] = { rows };
      inputs.push(input);
    }
    for (const wish of others) {
      const input = await this.#needed(wish);
      if (input === undefined) continue;
      this.read[wish.table] = { rows: input.rows };
      inputs.push(input);
    }
    return inputs;
  }

  #input(reference: BoundReference, wish: TableWish): Promise<TableInput> {
    switch (reference.kind) {
      case 'journal':
        return this.#journal(reference, wish);
      case 'dataset':
        return this.#dataset(reference, wish);
      case 'task':
        return this.#task(reference.name, wish);
      case 'file':
        return this.#file(reference, wish);
    }
  }

  async #journal(reference: BoundReference, wish: TableWish): Promise<TableInput> {
    const fromMs = Math.max(reference.fromMs ?? -Infinity, wish.fromMs ?? -Infinity);
    const toMs = Math.min(reference.toMs ?? Infinity, wish.toMs ?? Infinity);
    const source = reference.name;
    const key = JSON.stringify([source, fromMs, toMs]);
    let exported = this.#exports.get(key);
    if (exported === undefined) {
      const file = this.#path('.jsonl');
      const neededFromMs = this.#neededFrom(fromMs, toMs);
      const range = { source, fromMs, toMs, neededFromMs };
      const rows = await this.#context.services.journal.write(this.#context, range, file);
      exported = { file, rows };
      this.#exports.set(key, exported);
    }
    const columns = [
      { name: '_time', type: 'BIGINT' },
      { name: '_topic', type: 'VARCHAR' },
      ...wished(wish, ['_time', '_topic']),
    ];
    return input(wish, 'jsonl', [exported.file], exported.rows, columns);
  }

  /** A query without a lower bound is still about the partition of its run. */
  #neededFrom(fromMs: number, toMs: number): number {
    if (fromMs > -Infinity) return fromMs;
    const { start, end } = this.#context.scope.partition;
    return start < end && toMs > start ? start : -Infinity;
  }

  async #dataset(reference: BoundReference, wish: TableWish): Promise<TableInput> {
    const { datasets, tables } = this.#context.services;
    const files: string[] = [];
    const partitions: { id: string; start: number }[] = [];
    let rows = 0;
    const known = new Map<string, string>();
    for (const { table, partition, start } of datasets.partitions(reference.name)) {
      if (table === null) continue;
      for (const { name, type } of sqlColumns(table)) known.set(name, type);
      if (table.rows === 0) continue;
      files.push(await this.#bring(tables.pathOf(table), '.jsonl'));
      partitions.push({ id: partition, start });
      rows += table.rows;
    }
    const names = [...known].map(([name, type]) => ({ name, type }));
    const all = [...names, ...wished(wish, [...known.keys(), '_partition', '_start'])];
    return { ...input(wish, 'jsonl', files, rows, all), partitions };
  }

  async #task(id: string, wish: TableWish): Promise<TableInput> {
    const table = this.#context.table(id);
    if (table === undefined) {
      throw new TaskError('definition', 'no_table', `task ${id} made no rows to read`, {
        hint: 'Read a task among needs that makes rows: sql, extract, transform, rollup, …',
      });
    }
    const files: string[] = [];
    for (const path of this.#context.services.tables.pathsOf(table)) {
      files.push(await this.#bring(path, '.jsonl'));
    }
    const known = sqlColumns(table);
    const names = known.map(({ name }) => name);
    return input(wish, 'jsonl', files, table.rows, [...known, ...wished(wish, names)]);
  }

  /** A bare name that is the id of a needed task; other names are the query's own. */
  async #needed(wish: TableWish): Promise<TableInput | undefined> {
    const { program, task } = this.#context;
    const own = program.tasks.find(({ definition }) => definition.id === task);
    const isNeeded = own?.needs.some((at) => program.tasks[at]?.definition.id === wish.table);
    return isNeeded === true ? this.#task(wish.table, wish) : undefined;
  }

  async #file({ name }: BoundReference, wish: TableWish): Promise<TableInput> {
    const extension = extname(name).toLowerCase();
    const format = FORMATS[extension];
    if (format === undefined) {
      throw new TaskError('definition', 'file_format', `file('${name}') is of no kind we read`, {
        hint: 'Its name ends in .parquet, .csv, .json or .jsonl.',
      });
    }
    const files: string[] = [];
    for (const { path, bytes } of await listFiles(name, this.#context.services.policy)) {
      if (bytes > 0) files.push(await this.#bring(path, extension));
    }
    return input(wish, format, files, files.length === 0 ? 0 : null, wished(wish, []));
  }

  #path(extension: string): string {
    return join(this.#directory, `in-${this.#files++}${extension}`);
  }

  /** Another name for the file; a copy where there can be none. */
  async #bring(path: string, extension: string): Promise<string> {
    const target = this.#path(extension);
    try {
      await link(path, target);
    } catch (error) {
      if (!CANNOT_LINK.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      await copyFile(path, target);
    }
    return target;
  }
}

const CANNOT_LINK = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOSYS', 'EACCES']);

const FORMATS: Readonly<Record<string, TableInput['format']>> = {
  '.parquet': 'parquet',
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

function noWish(table: string): TableWish {
  return { table, fromMs: null, toMs: null, columns: [] };
}

function input(
  { table }: TableWish,
  format: TableInput['format'],
  files: readonly string[],
  rows: number | null,
  columns: Columns,
): TableInput {
  return { table, format, files, rows, columns, partitions: null };
}

/** What the query names and nothing is known of. */
function wished({ columns }: TableWish, known: readonly string[]): Columns {
  const names = new Set(known.map((name) => name.toLowerCase()));
  return columns
    .filter((name) => !names.has(name.toLowerCase()))
    .map((name) => ({ name, type: NULL_TYPE }));
}
