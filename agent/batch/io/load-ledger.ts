/**
 * The table by which a database knows what a run has loaded, and what a load says when the target
 * is not what it should be. SQLite and PostgreSQL have the same one:
 *
 *     runnel_runs(effect_key primary key, job, partition, task, rows, tries, loaded_at)
 *
 * A row is written in the transaction that writes the rows. Nobody removes them but the owner of
 * the database; an `append` whose key was removed adds its rows again.
 */
import { TaskError } from '../tasks/task-error.ts';

export const LEDGER = 'runnel_runs';

export function unknownTable(name: string): TaskError {
  return new TaskError('rejected', 'load_table', `there is no table ${name}`, {
    hint: 'Make it, or write create: true.',
  });
}

/** Undefined when all of them are there. */
export function missingColumns(
  table: string,
  wanted: readonly string[],
  there: readonly string[],
): TaskError | undefined {
  const missing = wanted.filter((name) => !there.includes(name));
  if (missing.length === 0) return undefined;
  return new TaskError(
    'rejected',
    'load_columns',
    `the table ${table} has no ${missing.join(', ')}; it has ${there.join(', ')}`,
    { hint: 'Say with columns: which column takes which of the input.' },
  );
}
