/**
 * A row of a table as a change event of Debezium, and the event as what is to be done with a table:
 *
 * | op     | is                                                                           |
 * |--------|------------------------------------------------------------------------------|
 * | c, r, u| `after` is put; where `before` has another key, the row of that is deleted   |
 * | d      | the row of the key in `before` is deleted, or of the event's own key         |
 * | t      | all rows that are older are deleted                                          |
 * | m      | a message in the log that no row belongs to                                  |
 *
 * The envelope stands alone, in `{ schema, payload }`, or in the `value` of a row with its `key`;
 * each of them as a map or as a text of JSON. Null is a tombstone: the event before it was the
 * deletion.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { isRow } from '../io/rows.ts';
import type { Row } from '../tasks/task-services.ts';
import { isUnavailable, valuesBySchema } from './debezium-values.ts';
import { type EventPosition, positionOf } from './event-position.ts';

export type Key = readonly (string | number | boolean)[];

/** What one event does with one row. */
export type RowChange =
  | {
      readonly op: 'put';
      readonly key: Key;
      readonly row: Row;
      readonly at: EventPosition;
      /** The snapshot of this table begins or ends with it. */
      readonly edge?: 'first' | 'last';
    }
  | {
      readonly op: 'delete';
      readonly key: Key;
      readonly at: EventPosition;
      /** The other half of an event that puts the row under another key. */
      readonly isMove: boolean;
    };

export type TableChange = RowChange | { readonly op: 'truncate'; readonly at: EventPosition };

export type ChangeEvent =
  | { readonly kind: 'changes'; readonly changes: readonly TableChange[] }
  | { readonly kind: 'tombstone' | 'message' }
  /** Nothing can be done with it, and why. */
  | { readonly kind: 'dead'; readonly reason: string; readonly message: string };

export interface EventColumns {
  /** Columns of the table. */
  readonly key: readonly string[];
  /** Columns of the table, and of the event which they take; undefined: as the event has them. */
  readonly columns?: Readonly<Record<string, string>> | undefined;
}

interface Envelope {
  readonly value: Json;
  readonly schema?: Json | undefined;
  readonly key?: Json | undefined;
}

class DeadEvent extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export function changeEvent(row: Row, columns: EventColumns): ChangeEvent {
  try {
    const envelope = opened({ value: row });
    if (envelope.value === null) return { kind: 'tombstone' };
    return eventOf(envelope, columns);
  } catch (error) {
    if (!(error instanceof DeadEvent)) throw error;
    return { kind: 'dead', reason: error.reason, message: error.message };
  }
}

function eventOf(envelope: Envelope, columns: EventColumns): ChangeEvent {
  const event = envelope.value;
  if (!isRow(event)) throw new DeadEvent('bad_format', 'the event is no map');
  const { op } = event;
  if (op === 'm') return { kind: 'message' };
  if (typeof op !== 'string' || !['c', 'r', 'u', 'd', 't'].includes(op)) {
    throw new DeadEvent('bad_format', `op is ${JSON.stringify(op ?? null)}, none of c r u d t m`);
  }
  const at = positionOf(event);
  if (at === undefined) throw new DeadEvent('bad_format', 'source has neither position nor time');
  if (op === 't') return { kind: 'changes', changes: [{ op: 'truncate', at }] };
  const before = sideOf('before', event, envelope, columns);
  if (op === 'd') {
    const key = keyOf(before, columns) ?? keyOf(ownKey(envelope, columns), columns);
    if (key === undefined) throw noKey('before', columns);
    return { kind: 'changes', changes: [{ op: 'delete', key, at, isMove: false }] };
  }
  const row = sideOf('after', event, envelope, columns);
  if (row === undefined) throw new DeadEvent('bad_format', `op is ${op}, and after is no map`);
  const key = keyOf(row, columns);
  if (key === undefined) throw noKey('after', columns);
  const old = op === 'u' ? keyOf(before, columns) : undefined;
  const isMoved = old !== undefined && JSON.stringify(old) !== JSON.stringify(key);
  const edge = op === 'r' ? edgeOf(event) : undefined;
  const put = { op: 'put', key, row, at, ...(edge !== undefined && { edge }) } as const;
  return {
    kind: 'changes',
    changes: isMoved ? [{ op: 'delete', key: old, at, isMove: true }, put] : [put],
  };
}

/** `last` of a snapshot of several tables is the last of its last one. */
function edgeOf({ source }: Row): 'first' | 'last' | undefined {
  const snapshot = isRow(source) ? source['snapshot'] : undefined;
  if (snapshot === 'first' || snapshot === 'first_in_data_collection') return 'first';
  return snapshot === 'last' || snapshot === 'last_in_data_collection' ? 'last' : undefined;
}

/** Out of what carries it; a map with `op` is the event itself. */
function opened(envelope: Envelope): Envelope {
  const value = parsed(envelope.value);
  if (!isRow(value) || Object.hasOwn(value, 'op')) return { ...envelope, value };
  const key = value['key'] ?? envelope.key;
  if (Object.hasOwn(value, 'payload')) {
    return opened({
      value: value['payload'] ?? null,
      schema: parsed(value['schema'] ?? null),
      key,
    });
  }
  if (Object.hasOwn(value, 'value')) return opened({ value: value['value'] ?? null, key });
  return { ...envelope, value };
}

function parsed(value: Json): Json {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as Json;
  } catch {
    throw new DeadEvent('bad_format', 'the event is a text that is no JSON');
  }
}

/** One side as a row of the table, without what the event does not tell. */
function sideOf(
  side: 'before' | 'after',
  event: Row,
  { schema }: Envelope,
  { columns }: EventColumns,
): Row | undefined {
  const values = event[side];
  return isRow(values) ? renamed(valuesBySchema(schema, side)(values), columns) : undefined;
}

function renamed(values: Row, columns: EventColumns['columns']): Row {
  const names = columns === undefined ? Object.keys(values).map(twice) : Object.entries(columns);
  const told = names.flatMap(([to, from]) => {
    const value = values[from];
    return value === undefined || isUnavailable(value) ? [] : [[to, value] as const];
  });
  return Object.fromEntries(told);
}

function twice(name: string): [string, string] {
  return [name, name];
}

/** The key of the message; one that is no map is the only column's. */
function ownKey({ key }: Envelope, columns: EventColumns): Row | undefined {
  if (key === undefined) return undefined;
  const whole = isText(key) ? key : parsed(key);
  const value = isRow(whole) && Object.hasOwn(whole, 'payload') ? whole['payload'] : whole;
  if (value === undefined) return undefined;
  if (isRow(value)) return renamed(value, columns.columns);
  const [only, second] = columns.key;
  return only === undefined || second !== undefined ? undefined : { [only]: value };
}

/** A key that is a text of its own, and no JSON. */
function isText(key: Json): boolean {
  return typeof key === 'string' && !/^[{["]/.test(key);
}

/** Undefined when a column of it is missing or null. */
function keyOf(row: Row | undefined, { key }: EventColumns): Key | undefined {
  const values = key.map((column) => row?.[column] ?? null);
  for (const [at, value] of values.entries()) {
    if (value === null) return undefined;
    if (typeof value === 'object') {
      throw new DeadEvent('bad_format', `${key[at]} of the key is neither text nor number`);
    }
    // Beyond 2^53 JSON numbers have lost digits: it may be the key of another row.
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new DeadEvent('bad_format', `${key[at]} of the key is a number beyond 2^53`);
    }
  }
  return values as unknown as Key;
}

function noKey(side: string, { key }: EventColumns): DeadEvent {
  return new DeadEvent('missing_key', `${side} has no value for the key ${key.join(', ')}`);
}
