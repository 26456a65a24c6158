/**
 * What some changes in a row come to, so that a database does them in a few statements: for each
 * key the last one that is not stale. Changes of one key keep their order; those of different keys
 * need none, and deletions go first, because a value that must be unique may have moved on.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { Row } from '../tasks/task-services.ts';
import type { Key, RowChange } from './change-event.ts';
import { advanced, type EventPosition, isStale } from './event-position.ts';

export interface ChangeCounts {
  /** Events whose row was put. */
  applied: number;
  /** Events whose row was deleted, whether it was there or not. */
  deleted: number;
  truncated: number;
  /** Rows that a full refresh has deleted, for its whole snapshot lacks them. */
  removed: number;
  /** Events that were no news. */
  stale: number;
}

/** Position by the text of the key. */
export type Positions = ReadonlyMap<string, EventPosition>;

export interface ChangePlan {
  readonly deletes: readonly Key[];
  /** Rows that have the same columns. */
  readonly puts: readonly { readonly columns: readonly string[]; readonly rows: readonly Row[] }[];
  readonly positions: readonly KeyPosition[];
}

export interface KeyPosition extends EventPosition {
  /** Text of the key. */
  readonly key: string;
  readonly isDeleted: boolean;
}

interface Outcome {
  readonly key: Key;
  /** Undefined: there is none any more. */
  readonly row: Row | undefined;
  /** The row that was there before the batch goes in any case. */
  readonly isFresh: boolean;
  readonly at: EventPosition;
}

export function keyText(key: readonly Json[]): string {
  return JSON.stringify(key);
}

/** `floor`: of the last truncation. Adds to the counts. */
export function planChanges(
  changes: readonly RowChange[],
  stored: Positions,
  floor: EventPosition | undefined,
  counts: ChangeCounts,
): ChangePlan {
  const outcomes = new Map<string, Outcome>();
  for (const change of changes) {
    const text = keyText(change.key);
    const known = outcomes.get(text);
    const last = known?.at ?? stored.get(text);
    const isOld =
      isStale(change.at, floor, 'the table') || isStale(change.at, last, `the row ${text}`);
    count(change, isOld, counts);
    if (!isOld) outcomes.set(text, outcomeOf({ ...change, at: advanced(change.at, last) }, known));
  }
  return planOf(outcomes);
}

function count(change: RowChange, isOld: boolean, counts: ChangeCounts): void {
  if (change.op === 'delete' && change.isMove) return;
  if (isOld) counts.stale += 1;
  else if (change.op === 'put') counts.applied += 1;
  else counts.deleted += 1;
}

/** A row that is put takes what its event does not tell from the one before. */
function outcomeOf(change: RowChange, known: Outcome | undefined): Outcome {
  const { key, at } = change;
  if (change.op === 'delete') return { key, row: undefined, isFresh: true, at };
  return { key, row: { ...known?.row, ...change.row }, isFresh: known?.isFresh ?? false, at };
}

function planOf(outcomes: ReadonlyMap<string, Outcome>): ChangePlan {
  const deletes: Key[] = [];
  const puts = new Map<string, { columns: string[]; rows: Row[] }>();
  const positions: KeyPosition[] = [];
  for (const [text, { key, row, isFresh, at }] of outcomes) {
    positions.push({ key: text, ...at, isDeleted: row === undefined });
    if (isFresh) deletes.push(key);
    if (row === undefined) continue;
    const columns = Object.keys(row).sort();
    const group = puts.get(keyText(columns)) ?? { columns, rows: [] };
    group.rows.push(row);
    puts.set(keyText(columns), group);
  }
  return { deletes, puts: [...puts.values()], positions };
}
