/**
 * Where in its source a change event stands: Debezium delivers at least once, so that an event can
 * come again, after newer ones of the same row, and only its position tells.
 *
 * | connector      | position                                  | shared by events of a row |
 * |----------------|-------------------------------------------|---------------------------|
 * | PostgreSQL     | `lsn`                                     | no                        |
 * | MySQL, MariaDB | `file`, `pos`, `row`                      | no                        |
 * | SQL Server     | `commit_lsn`, `change_lsn`, serial number | no                        |
 * | runnel         | `sequence`: start, revision, place        | no                        |
 * | any other      | `ts_ns`, `ts_us` or `ts_ms`               | yes                       |
 *
 * Positions order the events of one row, not those of a table: transactions of PostgreSQL overlap
 * in its log, but the lock on a row makes a later change of it stand behind the earlier one.
 *
 * Where events can share a position, one at the same place is taken again: a change that was done
 * twice does less harm than one that was left out, and what comes behind it sets it right.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { isRow } from '../io/rows.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';

export interface EventPosition {
  /** Connector, its name and the kind of position: only those of one source can be compared. */
  readonly source: string;
  /** Compares as a text, by code unit. */
  readonly order: string;
}

const TIME = 'time';
const DIGITS = 20;

/** Undefined when the event has none. */
export function positionOf(event: Row): EventPosition | undefined {
  const source = isRow(event['source']) ? event['source'] : {};
  const [kind, order] = placeOf(source) ?? [TIME, timeOf(source) ?? timeOf(event)];
  if (order === undefined) return undefined;
  const [connector, name] = [source['connector'], source['name']].map((each) =>
    typeof each === 'string' ? each : '',
  );
  return { source: `${connector}/${name} ${kind}`, order };
}

/** Whether the event is no news for who has taken `last`. Throws where that cannot be known. */
export function isStale(at: EventPosition, last: EventPosition | undefined, of: string): boolean {
  if (last === undefined) return false;
  if (at.source !== last.source) throw sourceChanged(at, last, of);
  return isShared(at) ? at.order < last.order : at.order <= last.order;
}

/** Positions of two sources: `last` is that of `of`. */
export function sourceChanged(
  at: Pick<EventPosition, 'source'>,
  last: Pick<EventPosition, 'source'>,
  of: string,
): TaskError {
  return new TaskError(
    'data',
    'source_changed',
    `${of} was changed last by an event of ${last.source}, and now comes one of ${at.source}: ` +
      'which is newer, nobody can tell',
    {
      hint:
        'Run the job once with a full refresh: it forgets the positions, and takes the events ' +
        'as they come.',
    },
  );
}

/** Whether other events of the same row may have the same position. */
function isShared({ source }: EventPosition): boolean {
  return source.endsWith(` ${TIME}`);
}

function placeOf(source: Row): readonly [kind: string, order: string] | undefined {
  if (source['connector'] === 'runnel') return sequencePlace(source['sequence']);
  const lsn = digits(source['lsn']);
  if (lsn !== undefined) return ['lsn', lsn];
  return binlogPlace(source) ?? commitPlace(source);
}

/** `mysql-bin.000003`, 154 and the row in that event: files are numbered, one after the other. */
function binlogPlace(source: Row): readonly [string, string] | undefined {
  const { file } = source;
  const [pos, row] = [digits(source['pos']), digits(source['row'] ?? 0)];
  if (typeof file !== 'string' || pos === undefined || row === undefined) return undefined;
  const [, name, number] = /^(.*?)\.?(\d+)$/.exec(file) ?? [];
  if (name === undefined) return undefined;
  return [`binlog ${name}`, `${digits(number)} ${pos} ${row}`];
}

/** Of hexadecimal numbers of one width; a row that a snapshot read has no `change_lsn`. */
function commitPlace(source: Row): readonly [string, string] | undefined {
  const { commit_lsn: commit, change_lsn: change } = source;
  if (typeof commit !== 'string' || commit === '') return undefined;
  const serial = digits(source['event_serial_no'] ?? 0) ?? digits(0);
  return ['commit', `${commit} ${typeof change === 'string' ? change : ''} ${serial}`];
}

/** A list as a text, as other connectors write it too. */
function sequencePlace(sequence: Json | undefined): readonly [string, string] | undefined {
  const text = typeof sequence === 'string' ? sequence : '';
  const [, list] = /^\["?(\d+(?:"?, ?"?\d+)*)"?\]$/.exec(text) ?? [];
  if (list === undefined) return undefined;
  const parts = list.split(/"?, ?"?/);
  return ['sequence', parts.map((part) => digits(part)).join(' ')];
}

/** Nanoseconds since 1970. */
function timeOf(place: Row): string | undefined {
  for (const [field, factor] of [
    ['ts_ns', 1n],
    ['ts_us', 1000n],
    ['ts_ms', 1_000_000n],
  ] as const) {
    const value = digits(place[field]);
    if (value !== undefined) return digits(String(BigInt(value) * factor));
  }
  return undefined;
}

/** A whole number of at least 0 with zeros before it. */
function digits(value: Json | undefined): string | undefined {
  const text = typeof value === 'number' ? BigInt(Math.trunc(value) || 0).toString() : value;
  if (typeof value === 'number' && !Number.isInteger(value)) return undefined;
  if (typeof text !== 'string' || !/^\d{1,20}$/.test(text)) return undefined;
  return text.padStart(DIGITS, '0');
}
