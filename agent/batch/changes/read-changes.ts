/**
 * The change events of a table, read through once before a database is touched: what is to be done
 * goes to a file of the attempt, a change a line; what is no event is a dead letter. The same input
 * gives the same, so that an attempt after a crash has the same dead letters.
 */
import { join } from 'node:path';
import { limits } from '@runnel/shared/limits.ts';
import { DeadRows } from '../data/dead-rows.ts';
import { Slices } from '../data/slices.ts';
import type { LoadColumn } from '../io/load-input.ts';
import type { TableRef } from '../records.ts';
import { ColumnTypes } from '../tables/column-types.ts';
import { LineWriter } from '../tables/line-file.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import { changeEvent, type EventColumns, type TableChange } from './change-event.ts';

/** What a table is to take, wherever it is. */
export interface ChangesFile {
  readonly file: string;
  /** Positions of keys that were deleted before this are forgotten, ISO 8601. */
  readonly forgetBefore: string;
  /** Nothing that is remembered of the table counts: the events are taken as they come. */
  readonly isRefresh: boolean;
  /** They hold a snapshot from its first row to its last, and no row of them is a dead letter. */
  readonly isWhole: boolean;
}

export interface ReadChanges extends ChangesFile {
  /** Of the rows that are put; a column stands for itself. */
  readonly columns: readonly LoadColumn[];
  readonly tombstones: number;
  readonly messages: number;
  readonly dead: DeadRows;
}

interface Settings {
  readonly key?: readonly string[] | undefined;
  readonly columns?: Readonly<Record<string, string>> | undefined;
  readonly truncate: boolean;
  readonly forgetDeleted?: number | undefined;
}

/** Throws a `TaskError` (`data`) at a truncation that the task does not allow. */
export async function readChanges(
  { key = [], columns: wanted, truncate, forgetDeleted }: Settings,
  table: TableRef,
  context: TaskContext,
): Promise<ReadChanges> {
  const eventColumns: EventColumns = { key, columns: wanted };
  const types = new ColumnTypes();
  const dead = new DeadRows();
  const slices = new Slices(context);
  const skipped = { tombstone: 0, message: 0 };
  const edges = { hasBegun: false, hasEnded: false };
  const file = join(context.scratchDir, 'changes.jsonl');
  const writer = await LineWriter.create(file, 2 * limits.tableBytesMax);
  const write = (change: TableChange): boolean => {
    if (change.op === 'truncate' && !truncate) throw truncationRefused();
    if (change.op === 'put') {
      types.add(change.row);
      if (change.edge === 'first') edges.hasBegun = true;
      if (change.edge === 'last') edges.hasEnded = edges.hasBegun;
    }
    return writer.add(JSON.stringify(change));
  };
  try {
    for await (const chunk of context.services.tables.read(table)) {
      for (const row of chunk) {
        if (slices.isOver()) await slices.rest();
        const event = changeEvent(row, eventColumns);
        if (event.kind === 'dead') dead.add(event.reason, event.message, row);
        else if (event.kind !== 'changes') skipped[event.kind] += 1;
        else if (event.changes.map(write).includes(true)) await writer.flush();
      }
    }
    await writer.close({ durable: false });
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  const keptMs = forgetDeleted ?? limits.deletedKeysMsMax;
  return {
    file,
    columns: types.columns().map(({ name, type }) => ({ to: name, from: name, type })),
    tombstones: skipped.tombstone,
    messages: skipped.message,
    dead,
    forgetBefore: new Date(context.clock.now() - keptMs).toISOString(),
    isRefresh: context.fullRefresh,
    isWhole: edges.hasEnded && dead.count === 0,
  };
}

function truncationRefused(): TaskError {
  return new TaskError('data', 'truncate_refused', 'an event empties the whole table', {
    hint: 'Write truncate: true if that is meant; or leave such events out before the load.',
  });
}
