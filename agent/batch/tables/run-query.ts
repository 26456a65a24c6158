/**
 * Runs a query over journal, datasets, tables and files, in the child process, and gives its rows
 * as a table. The task `sql`, checks of `quality` and others that ask in SQL come through here.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bindReferences } from '@runnel/shared/definitions/sql-references.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { sqlAvailable } from '../child/sql-available.ts';
import type { SqlAnswer, SqlRequest, SqlWishes } from '../child/sql-messages.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import { type InputRows, QueryInputs } from './query-inputs.ts';

export interface Query {
  /** With `$1`, `$2`, …, as `BatchProgram.bind` gives it. */
  readonly text: string;
  readonly values: readonly Json[];
  readonly memoryBytesMax: number;
  readonly tempBytesMax: number;
  /** Also as a file of this kind, in the scratch directory. */
  readonly copyAs?: 'parquet' | 'csv' | undefined;
}

export interface QueryResult {
  readonly table: TableRef;
  readonly inputs: InputRows;
  /** The file that was asked for; gone with the attempt. */
  readonly copied: string | undefined;
}

/** Throws `TaskError`: `definition`, `data`, `resources`, `process`, `policy`, … */
export async function runQuery(context: TaskContext, query: Query): Promise<QueryResult> {
  if (!sqlAvailable()) {
    throw new TaskError('definition', 'sql_missing', 'this agent was installed without DuckDB', {
      hint: 'Install @duckdb/node-api beside the agent, on x64 or arm64.',
    });
  }
  const bound = bindReferences(query.text, query.values);
  if ('problem' in bound) {
    throw new TaskError('definition', 'sql_invalid', bound.problem, { hint: bound.hint });
  }
  // An attempt may make several queries, and each sees its own inputs alone.
  const directory = await mkdtemp(join(context.scratchDir, 'query-'));
  const inputs = new QueryInputs(context, directory, bound.references);
  const rowsFile = join(directory, 'rows.jsonl');
  const copied = query.copyAs === undefined ? undefined : join(directory, `copy.${query.copyAs}`);
  const body: SqlRequest = {
    query: bound.query,
    values: bound.values,
    tables: bound.references.map(({ table }) => table),
    scratchDir: directory,
    tempBytesMax: query.tempBytesMax,
    rowsFile,
    bytesMax: limits.tableBytesMax,
    rowBytesMax: limits.tableRowBytesMax,
    copy: query.copyAs && copied ? { format: query.copyAs, file: copied } : null,
  };
  const answer = (await context.services.children.run(context, {
    kind: 'sql',
    body,
    memoryBytesMax: query.memoryBytesMax,
    answer: (wishes) => inputs.inputs(wishes as SqlWishes),
  })) as SqlAnswer;
  const table = await context.services.tables.adopt(context, rowsFile, answer);
  if (copied === undefined) await rm(directory, { recursive: true, force: true });
  return { table, inputs: inputs.read, copied };
}
