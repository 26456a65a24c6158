/** Values from outside as rows of a table. */
import type { Json } from '@runnel/shared/engine/record.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';

export function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is no map becomes the column `value`. */
export function rowOf(value: Json): Row {
  return isRow(value) ? value : { value };
}

export type Rows = AsyncIterable<Row> | Iterable<Row>;

/** Passes rows on; throws a `TaskError` (`resources`) at the first one too many. */
export async function* atMost(rowsMax: number, rows: Rows): AsyncGenerator<Row> {
  let count = 0;
  for await (const row of rows) {
    count += 1;
    if (count > rowsMax) {
      throw new TaskError('resources', 'rows_max', `there are more than ${rowsMax} rows`, {
        hint: 'Ask for less (a cursor, a narrower query), or raise rowsMax.',
      });
    }
    yield row;
  }
}
