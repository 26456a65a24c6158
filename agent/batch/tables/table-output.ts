/**
 * What a task that makes rows shows of them in its output: how many, which columns, and the rows
 * themselves where they are few, so that conditions and `forEach` can use them.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { TableRef } from '../records.ts';
import type { Row, Tables } from '../tasks/task-services.ts';

/**
 * `rows` is there only for at most `limits.outputRowsMax` rows of `limits.outputRowsBytesMax` as
 * JSON.
 */
export interface TableOutput {
  readonly [key: string]: Json;
  readonly rowCount: number;
  readonly columns: readonly string[];
}

export async function tableOutput(
  tables: Pick<Tables, 'read'>,
  table: TableRef,
): Promise<TableOutput> {
  const facts = { rowCount: table.rows, columns: table.columns.map(({ name }) => name) };
  // One line feed a row is a comma or a bracket of the list.
  const isSmall = table.rows <= limits.outputRowsMax && table.bytes <= limits.outputRowsBytesMax;
  if (!isSmall) return facts;
  const rows: Row[] = [];
  for await (const chunk of tables.read(table)) rows.push(...chunk);
  return { ...facts, rows };
}
