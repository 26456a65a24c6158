/**
 * The columns of a table while its rows go by: names in the order they first came, and what their
 * values are. A column with values of several types is `json`, and so is one that is always null.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { ColumnType, TableRef } from '../records.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';

const SQL_TYPES = { number: 'DOUBLE', string: 'VARCHAR', boolean: 'BOOLEAN', json: '"NULL"' };

/** Names and DuckDB's types, so that a table without rows has its columns too. */
export function sqlColumns({ columns }: Pick<TableRef, 'columns'>): {
  readonly name: string;
  readonly type: string;
}[] {
  return columns.map(({ name, type }) => ({ name, type: SQL_TYPES[type] }));
}

export class ColumnTypes {
  readonly #types = new Map<string, ColumnType | null>();

  /** Throws a `TaskError` (`resources`) beyond `limits.tableColumnsMax`. */
  add(row: Row): void {
    for (const name of Object.keys(row)) {
      const type = typeOf(row[name]);
      const known = this.#types.get(name);
      if (known === undefined) this.#addColumn(name, type);
      else if (type !== null && known !== type)
        this.#types.set(name, known === null ? type : 'json');
    }
  }

  columns(): TableRef['columns'] {
    return [...this.#types].map(([name, type]) => ({ name, type: type ?? 'json' }));
  }

  #addColumn(name: string, type: ColumnType | null): void {
    if (this.#types.size >= limits.tableColumnsMax) {
      throw tooManyColumns();
    }
    this.#types.set(name, type);
  }
}

export function tooManyColumns(): TaskError {
  return new TaskError(
    'resources',
    'table_columns',
    `the rows have more than ${limits.tableColumnsMax} columns`,
    { hint: 'Put what has many names into one column, as a map.' },
  );
}

function typeOf(value: Json | undefined): ColumnType | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return 'number';
  if (typeof value === 'string') return 'string';
  return typeof value === 'boolean' ? 'boolean' : 'json';
}
