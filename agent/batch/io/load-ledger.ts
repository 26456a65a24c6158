/**
 * The table by which a database knows what a run has loaded, and what a load says when the target
 * is not what it should be. SQLite and PostgreSQL have the same one:
 *
 *     runnel_runs(effect_key primary key, job, partition, task, rows, tries, loaded_at, content,
 *       outcome)
 *
 * A row is written in the transaction that writes the rows. Nobody removes them but the owner of
 * the database; an `append` whose key was removed adds its rows again. `content` is the hash of
 * what was loaded (content-hash.ts): an `append` that comes again with other rows cannot take back
 * the first ones, and says so. `outcome` is what change events came to, as JSON, for an attempt
 * that finds them applied. A ledger made without these columns gets them; where `content` is null,
 * what was loaded is not known, and the key alone counts.
 */
import type { LedgerRow } from '../child/sqlite-request.ts';
import type { ChangeCounts } from '../changes/change-batch.ts';
import { TaskError } from '../tasks/task-error.ts';

export const LEDGER = 'runnel_runs';
/** Texts that a ledger of an earlier version has not. */
export const LATER_COLUMNS = ['content', 'outcome'] as const;

export function unknownTable(name: string): TaskError {
  return new TaskError('rejected', 'load_table', `there is no table ${name}`, {
    hint: 'Make it, or write create: true.',
  });
}

/** Throws a `TaskError` (`data`) unless what was loaded under the key is what comes again. */
export function requireSameContent(before: unknown, { task, partition, content }: LedgerRow): void {
  if (before === content || typeof before !== 'string') return;
  throw new TaskError(
    'data',
    'already_loaded',
    `${task} has loaded other rows for the partition ${partition}, and append takes none back`,
    {
      hint:
        `Load with mode: upsert or mode: replace; or delete those rows by hand, and the key of ` +
        `the run from ${LEDGER}.`,
    },
  );
}

/** What the same change events came to under this key before; null: they have not been applied. */
export function sameOutcome(
  before: { readonly content?: unknown; readonly outcome?: unknown } | null | undefined,
  { content }: LedgerRow,
): ChangeCounts | null {
  if (before?.content !== content || typeof before.outcome !== 'string') return null;
  return JSON.parse(before.outcome) as ChangeCounts;
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
