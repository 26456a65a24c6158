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
 * That does not hold for a row that a snapshot of PostgreSQL has read: its `lsn` is where the log
 * stood at the snapshot, and a change that was written before that and committed after it is news
 * of which the snapshot knows nothing. So of each row two places are kept, of the snapshot and of
 * the changes: a change is compared with the changes alone, and wins over a snapshot; a snapshot is
 * no news where either stands behind it. A change older than the snapshot that comes again after
 * it, and was never taken, is taken too: those that come behind it set it right. (Other connectors
 * read the snapshot at a place of the log where nothing is half done, or say the commit.)
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
  /**
   * Compares as a text, by code unit. Of a row that a snapshot of PostgreSQL read: the newer of its
   * two places, a space, and that of the changes.
   */
  readonly order: string;
}

const TIME = 'time';
const DIGITS = 20;
const LSN = 'lsn';
/** Before every change. */
const NOWHERE = '0'.repeat(DIGITS);

/** Undefined when the event has none. */
export function positionOf(event: Row): EventPosition | undefined {
  const source = isRow(event['source']) ? event['source'] : {};
  const [kind, order] = placeOf(source, event['op']) ?? [TIME, timeOf(source) ?? timeOf(event)];
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
  if (isShared(at)) return at.order < last.order;
  if (!at.source.endsWith(` ${LSN}`)) return at.order <= last.order;
  const [news, known] = [placesOf(at), placesOf(last)];
  return isOfSnapshot(at) ? news.newest <= known.newest : news.newest <= known.changes;
}

/** Where a row stands that had been at `last` and has taken the event. */
export function advanced(at: EventPosition, last: EventPosition | undefined): EventPosition {
  if (last === undefined || !at.source.endsWith(` ${LSN}`)) return at;
  const [news, known] = [placesOf(at), placesOf(last)];
  if (isOfSnapshot(at)) return { ...at, order: `${news.newest} ${known.changes}` };
  if (news.newest >= known.newest) return at;
  return { ...at, order: `${known.newest} ${news.newest}` };
}

function isOfSnapshot({ order }: EventPosition): boolean {
  return order.includes(' ');
}

function placesOf({ order }: EventPosition): {
  readonly newest: string;
  readonly changes: string;
} {
  const [newest = '', changes = newest] = order.split(' ');
  return { newest, changes };
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

function placeOf(
  source: Row,
  op: Json | undefined,
): readonly [kind: string, order: string] | undefined {
  if (source['connector'] === 'runnel') return sequencePlace(source['sequence']);
  const lsn = digits(source['lsn']);
  if (lsn !== undefined) return [LSN, op === 'r' ? `${lsn} ${NOWHERE}` : lsn];
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
