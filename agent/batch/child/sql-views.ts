/**
 * The tables of a query as views over files of the scratch directory: rows are read as the query
 * goes, never loaded.
 *
 * Columns of JSON lines have the type that fits all rows, not a sample: whole numbers BIGINT, other
 * numbers DOUBLE, texts VARCHAR (one that looks like a date is still a text), lists, structs; JSON
 * where rows differ. A column that is null in every row, or that no row has and the query names
 * while the table is empty, has the type NULL, which every function takes.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { identifier, literal } from './duck.ts';
import type { TableInput } from './sql-messages.ts';

interface Column {
  readonly name: string;
  readonly type: string;
}

const NULL_TYPE = '"NULL"';
/** What JSON texts were taken for: they stay texts. */
const TEXT_TYPES = /\b(?:DATE|TIME|UUID|TIMESTAMP(?:_(?:S|MS|NS)| WITH TIME ZONE)?)(?=[,)[]|$)/g;

export async function makeView(
  connection: DuckDBConnection,
  input: TableInput,
  rowBytesMax: number,
): Promise<void> {
  const select =
    input.files.length === 0 || input.rows === 0
      ? emptySelect(input)
      : input.format === 'jsonl' || input.format === 'json'
        ? await jsonSelect(connection, input, rowBytesMax)
        : fileSelect(input);
  await connection.run(`CREATE VIEW ${identifier(input.table)} AS ${select}`);
}

function emptySelect({ columns, partitions }: TableInput): string {
  const all = [...columns];
  if (partitions !== null) {
    all.push({ name: '_partition', type: 'VARCHAR' }, { name: '_start', type: 'BIGINT' });
  }
  const known = new Map(all.map((column) => [column.name.toLowerCase(), column]));
  const list = [...known.values()].map(
    ({ name, type }) => `${nullOf(type)} AS ${identifier(name)}`,
  );
  return `SELECT ${list.length === 0 ? 'NULL AS "_none"' : list.join(', ')} WHERE false`;
}

function nullOf(type: string): string {
  return type === NULL_TYPE ? 'NULL' : `CAST(NULL AS ${type})`;
}

async function jsonSelect(
  connection: DuckDBConnection,
  input: TableInput,
  rowBytesMax: number,
): Promise<string> {
  const format = input.format === 'jsonl' ? 'newline_delimited' : 'auto';
  const settings = [
    `[${input.files.map(literal).join(', ')}]`,
    `format = '${format}'`,
    // Twice: a buffer of the reader holds a row and the beginning of the next.
    `maximum_object_size = ${rowBytesMax * 2}`,
    'map_inference_threshold = -1',
    'field_appearance_threshold = 0',
    "records = 'true'",
    'union_by_name = true',
  ];
  const detecting = `read_json(${[...settings, 'sample_size = -1'].join(', ')})`;
  const found = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${detecting}`);
  const rows = found.getRowsJson() as unknown as readonly (readonly [string, string])[];
  const detected = rows.map(([name, type]) => ({
    name,
    type: type.replace(TEXT_TYPES, 'VARCHAR'),
  }));
  const isRenamed = hasRenamed(detected);
  const columns = detected.map(({ name, type }) => `${literal(name)}: ${literal(type)}`);
  const named = [...settings, `columns = {${columns.join(', ')}}`];
  if (input.partitions !== null) named.push('filename = true');
  // Names that differ in case only were renamed on detection: reading by name would miss them.
  const reading = isRenamed
    ? detecting.replace(/\)$/, input.partitions === null ? ')' : ', filename = true)')
    : `read_json(${named.join(', ')})`;
  const empty = await nullColumns(connection, reading, detected);
  const list = detected.map(({ name }) =>
    empty.has(name) ? `NULL AS ${identifier(name)}` : `r.${identifier(name)}`,
  );
  if (input.partitions === null) return `SELECT ${list.join(', ')} FROM ${reading} AS r`;
  list.push('p._partition', 'p._start');
  return `SELECT ${list.join(', ')} FROM ${reading} AS r ${partitionJoin(input)}`;
}

function partitionJoin({ files, partitions }: TableInput): string {
  const rows = (partitions ?? []).map(
    ({ id, start }, index) => `(${literal(files[index] ?? '')}, ${literal(id)}, ${start}::BIGINT)`,
  );
  return `JOIN (VALUES ${rows.join(', ')}) AS p(_file, _partition, _start) ON r.filename = p._file`;
}

function hasRenamed(columns: readonly Column[]): boolean {
  const names = new Set(columns.map(({ name }) => name.toLowerCase()));
  return columns.some(({ name }) => {
    const base = /^(.*)_\d+$/.exec(name.toLowerCase())?.[1];
    return base !== undefined && names.has(base);
  });
}

/** Columns whose type is unknown, JSON, because they are null in every row. */
async function nullColumns(
  connection: DuckDBConnection,
  reading: string,
  columns: readonly Column[],
): Promise<ReadonlySet<string>> {
  const unknown = columns.filter(({ type }) => type === 'JSON');
  if (unknown.length === 0) return new Set();
  const counts = unknown.map(({ name }) => `count(${identifier(name)}) = 0`);
  const found = await connection.runAndReadAll(`SELECT ${counts.join(', ')} FROM ${reading}`);
  const [row = []] = found.getRows();
  return new Set(unknown.filter((_, index) => row[index] === true).map(({ name }) => name));
}

function fileSelect({ format, files }: TableInput): string {
  const list = `[${files.map(literal).join(', ')}]`;
  return format === 'parquet'
    ? `SELECT * FROM read_parquet(${list}, union_by_name = true)`
    : `SELECT * FROM read_csv(${list}, union_by_name = true, sample_size = -1)`;
}
