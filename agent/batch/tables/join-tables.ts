/**
 * The rows of several tables as one, in order, without copying any: what a task with `forEach` has
 * for the tasks behind it. Columns are those of all of them in the order they first came; one whose
 * types differ is `json`.
 */
import { limits } from '@runnel/shared/limits.ts';
import type { ColumnType, TableRef } from '../records.ts';
import { tooManyColumns } from './column-types.ts';

/**
 * Undefined when there are none. Throws a `TaskError` (`resources`) beyond
 * `limits.tableColumnsMax`.
 */
export function joinTables(tables: readonly TableRef[]): TableRef | undefined {
  const [first] = tables;
  if (first === undefined || tables.length === 1) return first;
  const types = new Map<string, ColumnType>();
  for (const { name, type } of tables.flatMap(({ columns }) => columns)) {
    const known = types.get(name);
    types.set(name, known === undefined || known === type ? type : 'json');
  }
  if (types.size > limits.tableColumnsMax) throw tooManyColumns();
  const columns = [...types].map(([name, type]) => ({ name, type }));
  const filled = tables.filter(({ rows }) => rows > 0);
  const { path } = filled[0] ?? first;
  const sum = (of: (table: TableRef) => number): number =>
    filled.reduce((total, table) => total + of(table), 0);
  const joined = { path, rows: sum(({ rows }) => rows), bytes: sum(({ bytes }) => bytes), columns };
  const parts = filled.flatMap(pathsIn);
  return parts.length > 1 ? { ...joined, parts } : joined;
}

/** The files of a table, relative as its `path` is. */
export function pathsIn({ path, parts }: TableRef): readonly string[] {
  return parts ?? [path];
}
