/**
 * Rows as JSON lines to Parquet files, each read back: it holds as many rows as its source, with
 * the same checksum, or the request fails. The checksum is the sum of DuckDB's hashes of the rows,
 * so it does not depend on their order.
 *
 * Columns of mixed types (JSON) and columns without any value become VARCHAR: Parquet has neither.
 */
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { TaskError } from '../tasks/task-error.ts';
import type { ChildTools } from './child-messages.ts';
import { duckError, identifier, literal, openDuck } from './duck.ts';
import { makeView } from './sql-views.ts';

export interface ParquetRequest {
  /** Absolute; all files are in it. */
  readonly scratchDir: string;
  readonly tempBytesMax: number;
  readonly rowBytesMax: number;
  readonly files: readonly {
    readonly rowsFile: string;
    readonly rows: number;
    /** Columns that are there even when no row has them: SQL types. */
    readonly columns: readonly { readonly name: string; readonly type: string }[];
    readonly target: string;
  }[];
}

/** In the order of the files. */
export type ParquetAnswer = readonly { readonly checksum: string }[];

export async function runParquet(
  request: ParquetRequest,
  tools: ChildTools,
): Promise<ParquetAnswer> {
  const { scratchDir, tempBytesMax, rowBytesMax } = request;
  const { memoryBytesMax } = tools;
  const options = { directory: scratchDir, memoryBytesMax, tempBytesMax };
  try {
    const duck = await openDuck(options);
    await duck.seal();
    const answers: { checksum: string }[] = [];
    for (const [index, file] of request.files.entries()) {
      const table = `source_${index}`;
      const files = [join(scratchDir, file.rowsFile)];
      const { rows, columns } = file;
      await makeView(
        duck.connection,
        { table, format: 'jsonl', files, rows, columns, partitions: null },
        rowBytesMax,
      );
      answers.push(await write(duck.connection, table, join(scratchDir, file.target), rows));
    }
    return answers;
  } catch (error) {
    throw duckError(error, options);
  }
}

async function write(
  connection: DuckDBConnection,
  table: string,
  target: string,
  rows: number,
): Promise<{ checksum: string }> {
  const select = `SELECT ${await plainColumns(connection, table)} FROM ${identifier(table)}`;
  const options = '(FORMAT parquet, COMPRESSION zstd)';
  await connection.run(`COPY (${select}) TO ${literal(target)} ${options}`);
  const source = await checksum(connection, `(${select})`);
  const copy = await checksum(connection, `read_parquet(${literal(target)})`);
  if (source.checksum === copy.checksum && source.rows === rows && copy.rows === rows) {
    return { checksum: copy.checksum };
  }
  throw new TaskError(
    'data',
    'archive_mismatch',
    `the file that was written does not hold what it should: ${copy.rows} rows of ${rows}, ` +
      `checksum ${copy.checksum} instead of ${source.checksum}`,
    { hint: 'Nothing was replaced or removed; the disk may be failing.' },
  );
}

async function plainColumns(connection: DuckDBConnection, table: string): Promise<string> {
  const found = await connection.runAndReadAll(`DESCRIBE ${identifier(table)}`);
  const columns = found.getRowsJson() as unknown as readonly (readonly [string, string])[];
  return columns
    .map(([name, type]) => {
      const column = identifier(name);
      const isPlain = !/\bJSON\b|"NULL"/.test(type);
      return isPlain ? column : `CAST(${column} AS ${plainType(type)}) AS ${column}`;
    })
    .join(', ');
}

function plainType(type: string): string {
  return type.replaceAll(/\bJSON(?=[,)[]|$)|"NULL"(?=[,)[]|$)/g, 'VARCHAR');
}

async function checksum(
  connection: DuckDBConnection,
  from: string,
): Promise<{ rows: number; checksum: string }> {
  const found = await connection.runAndReadAll(
    `SELECT count(*), coalesce(sum(hash(t)), 0)::VARCHAR FROM ${from} AS t`,
  );
  const [row = []] = found.getRowsJson() as unknown as readonly string[][];
  return { rows: Number(row[0]), checksum: row[1] ?? '' };
}
