/**
 * Runs one SELECT in DuckDB (duck.ts says within which bounds) and writes its rows as JSON lines.
 *
 * Guarantees: one statement, a SELECT, judged by DuckDB's own parser; rows in the order that the
 * query gives; memory flat, whatever the number of rows that come out. With `copy` the result is
 * kept as a temporary table first, so that the query runs once and both files hold the same rows.
 */
import {
  BIGINT,
  type DuckDBConnection,
  type DuckDBResult,
  type DuckDBType,
} from '@duckdb/node-api';
import type { Json } from '@runnel/shared/engine/record.ts';
import { ColumnTypes } from '../tables/column-types.ts';
import { LineWriter } from '../tables/line-file.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { ChildTools } from './child-messages.ts';
import { duckError, literal, openDuck } from './duck.ts';
import { jsonOf } from './duck-values.ts';
import { analyseQuery } from './sql-analysis.ts';
import type { SqlAnswer, SqlRequest, TableInput } from './sql-messages.ts';
import { makeView } from './sql-views.ts';

const RESULT = 'runnel_result';

export async function runSql(request: SqlRequest, tools: ChildTools): Promise<SqlAnswer> {
  const { scratchDir, tempBytesMax } = request;
  const { memoryBytesMax } = tools;
  const options = { directory: scratchDir, memoryBytesMax, tempBytesMax };
  try {
    const duck = await openDuck(options);
    const { connection } = duck;
    const tree = await parse(connection, request.query);
    const wishes = analyseQuery(tree, request.tables, request.values);
    const inputs = (await tools.ask(wishes)) as readonly TableInput[];
    for (const input of inputs) await makeView(connection, input, request.rowBytesMax);
    await duck.seal();
    return await execute(connection, request, parametersOf(tree, request.values));
  } catch (error) {
    throw duckError(error, options);
  }
}

/** DuckDB's own parser serialises SELECT statements and nothing else. */
async function parse(connection: DuckDBConnection, query: string): Promise<unknown> {
  const found = await connection.runAndReadAll(`SELECT json_serialize_sql(${literal(query)})`);
  const tree = JSON.parse(String(found.getRows()[0]?.[0])) as {
    error: boolean;
    error_message?: string;
    statements?: unknown[];
  };
  if (tree.error) {
    const message = tree.error_message ?? 'it cannot be parsed';
    const isOther = /only select/i.test(message);
    throw new TaskError(
      'definition',
      'sql_invalid',
      isOther ? 'the query is no SELECT' : message,
      isOther ? { hint: 'A query reads; what it gives is written by output: of the task.' } : {},
    );
  }
  const count = tree.statements?.length ?? 0;
  if (count !== 1) {
    throw new TaskError(
      'definition',
      'sql_invalid',
      `the query holds ${count} statements, not one`,
    );
  }
  return tree.statements?.[0];
}

interface Parameters {
  readonly values: Record<string, Json>;
  readonly types: Record<string, DuckDBType | undefined>;
}

/** Only those that the query still has: some stood in what became a table. */
function parametersOf(tree: unknown, values: readonly Json[]): Parameters {
  const { named_param_map: used = [] } = tree as { named_param_map?: { key: string }[] };
  const parameters: Parameters = { values: {}, types: {} };
  for (const { key } of used) {
    const value = values[Number(key) - 1] ?? null;
    const isList = typeof value === 'object' && value !== null;
    parameters.values[key] = isList ? JSON.stringify(value) : value;
    parameters.types[key] = Number.isSafeInteger(value) ? BIGINT : undefined;
  }
  return parameters;
}

async function execute(
  connection: DuckDBConnection,
  request: SqlRequest,
  parameters: Parameters,
): Promise<SqlAnswer> {
  const { query, copy } = request;
  if (copy === null) return drain(await stream(connection, query, parameters), request);
  const text = query.replace(/[\s;]+$/, '');
  await (
    await stream(connection, `CREATE TEMP TABLE ${RESULT} AS\n${text}\n`, parameters)
  ).getRows();
  const answer = await drain(await connection.stream(`FROM ${RESULT}`), request);
  const options = copy.format === 'csv' ? '(FORMAT csv, HEADER)' : '(FORMAT parquet)';
  await connection.run(`COPY ${RESULT} TO ${literal(copy.file)} ${options}`);
  return answer;
}

function stream(
  connection: DuckDBConnection,
  sql: string,
  { values, types }: Parameters,
): Promise<DuckDBResult> {
  return Object.keys(values).length === 0
    ? connection.stream(sql)
    : connection.stream(sql, values as Record<string, never>, types);
}

async function drain(result: DuckDBResult, request: SqlRequest): Promise<SqlAnswer> {
  const names = result.deduplicatedColumnNames();
  const columnTypes = result.columnTypes();
  const types = new ColumnTypes();
  types.add(Object.fromEntries(names.map((name) => [name, null])));
  const writer = await LineWriter.create(request.rowsFile, request.bytesMax);
  for (let chunk = await result.fetchChunk(); chunk !== null; chunk = await result.fetchChunk()) {
    if (chunk.rowCount === 0) break;
    for (const values of chunk.getRows()) {
      const row: Record<string, Json> = {};
      for (const [index, name] of names.entries()) {
        row[name] = jsonOf(values[index] ?? null, columnTypes[index]);
      }
      types.add(row);
      if (writer.add(JSON.stringify(row))) await writer.flush();
    }
  }
  await writer.close();
  return { rows: writer.lines, columns: types.columns() };
}
