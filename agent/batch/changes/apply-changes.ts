/**
 * Changes from a file into a table, in the transaction that the caller has begun: batch by batch,
 * each key's in the order of the file. What a database does with them is its `ChangeTarget`; it
 * keeps the position of each key in a table of its own, beside that of the runs:
 *
 *     runnel_positions(target, key, source, position, deleted, applied_at; primary key target, key)
 *
 * `target` is the name of the table, `key` the JSON of the values of its key, and `*` the last
 * truncation. A table beside, and not a column of the target: a deleted row's position must stay,
 * or a late duplicate would bring the row back, and nobody's table needs to be altered. A deleted
 * key is forgotten after `forgetDeleted`, so that it does not grow for ever; the owner of the
 * database may delete positions too, which takes the protection from those rows, and nothing else.
 *
 * A full refresh forgets all positions and takes the events as they come. Where they hold a whole
 * snapshot, rows that it lacks are deleted in the end: they are what the table has missed. An input
 * of which that is not known, for the marks of its first and its last row are not there or a row is
 * a dead letter, deletes nothing but what its events say.
 */
import { readLines } from '../tables/line-file.ts';
import {
  type ChangeCounts,
  type ChangePlan,
  keyText,
  planChanges,
  type Positions,
} from './change-batch.ts';
import type { Key, RowChange, TableChange } from './change-event.ts';
import { type EventPosition, isStale, sourceChanged } from './event-position.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { ChangesFile } from './read-changes.ts';

export const POSITIONS = 'runnel_positions';
/** Key of the row that keeps where the last truncation was: no JSON, so it is nobody else's. */
export const TRUNCATION = '*';

export interface ChangeTarget {
  /** Of these keys, as far as they are known; `TRUNCATION` is one. */
  positions(keys: readonly string[]): Promise<Positions> | Positions;
  apply(plan: ChangePlan): Promise<void> | void;
  /** One of the rows whose position is of another source. */
  ofOtherSource(source: string): Promise<SourceOfRow | undefined> | SourceOfRow | undefined;
  /** Keys of the rows whose position is beyond. */
  keysBeyond(order: string): Promise<readonly Key[]> | readonly Key[];
  /** Deletes every row but the `kept`, forgets the positions up to this one and remembers it. */
  truncate(at: EventPosition, kept: readonly Key[]): Promise<void> | void;
  /** Deletes rows without a position, or with that of a deletion; returns how many. */
  removeOthers(): Promise<number> | number;
  /** Forgets positions: null all of them, else those of keys that were deleted before. */
  forget(deletedBefore: string | null): Promise<void> | void;
}

export interface SourceOfRow {
  readonly key: string;
  readonly source: string;
}

const BATCH_CHANGES = 1000;

/** Throws a `TaskError` (`data`, `source_changed`) where the order cannot be known. */
export async function applyChanges(
  { file, forgetBefore, isRefresh, isWhole }: ChangesFile,
  target: ChangeTarget,
): Promise<ChangeCounts> {
  if (isRefresh) await target.forget(null);
  const counts: ChangeCounts = { applied: 0, deleted: 0, truncated: 0, removed: 0, stale: 0 };
  let floor = (await target.positions([TRUNCATION])).get(TRUNCATION);
  let batch: RowChange[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    const keys = [...new Set(batch.map(({ key }) => keyText(key)))];
    const plan = planChanges(batch, await target.positions(keys), floor, counts);
    batch = [];
    if (plan.positions.length > 0) await target.apply(plan);
  };
  for await (const lines of readLines(file)) {
    for (const line of lines) {
      const change = JSON.parse(line) as TableChange;
      if (change.op !== 'truncate') {
        if (batch.push(change) >= BATCH_CHANGES) await flush();
        continue;
      }
      await flush();
      if (isStale(change.at, floor, 'the table')) {
        counts.stale += 1;
        continue;
      }
      await truncate(target, change.at);
      floor = change.at;
      counts.truncated += 1;
    }
  }
  await flush();
  // Nothing was remembered when it began: what is remembered now is what the snapshot has.
  if (isRefresh && isWhole) counts.removed = await target.removeOthers();
  await target.forget(forgetBefore);
  return counts;
}

/** Values that are unique change places, and to delete the rows for a moment would do harm. */
export function swapRefused(child: string): TaskError {
  const told = `values that must be unique change places, and rows of ${child} hang on these rows`;
  return new TaskError('data', 'swap_refused', told, {
    hint:
      'Such rows are deleted and written again, and its foreign key has an ON DELETE action. ' +
      'Load into a table without the unique constraint, or without that action.',
  });
}

/** What is newer than the truncation stays. */
async function truncate(target: ChangeTarget, at: EventPosition): Promise<void> {
  const other = await target.ofOtherSource(at.source);
  if (other !== undefined) throw sourceChanged(at, other, `the row ${other.key}`);
  await target.truncate(at, await target.keysBeyond(at.order));
}
