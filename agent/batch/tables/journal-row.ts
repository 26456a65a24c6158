/**
 * One record of the journal as a row: `_time`, `_topic` and the fields of its payload. A payload
 * that is no JSON object is the column `payload`; bytes are base64.
 *
 * The text of a payload that is an object is taken over as it is: it is parsed once, to know that
 * it is JSON (one bad line would spoil the whole file for its reader), and never written again.
 */
import { compileExpression } from '@runnel/shared/expressions/compile-expression.ts';
import { ExpressionError } from '@runnel/shared/expressions/expression.ts';
import { eventTimeOf } from '@runnel/shared/engine/event-time.ts';
import { isTooDeep } from '@runnel/shared/engine/json-depth.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { BlockReader, JournalItem } from '../../journal/block-reader.ts';
import type { Row } from '../tasks/task-services.ts';
import type { DeclaredSource } from './journal-sources.ts';

export type RecordItem = Extract<JournalItem, { kind: 'record' }>;

/** Why a record is no row; counted by these words. */
export type Unreadable = 'bad_json' | 'bad_time';

/** A record that was decoded, before it became a row. */
export interface DecodedRecord {
  readonly timeMs: number;
  readonly value: unknown;
  /** The payload's own text where it is a JSON object. */
  readonly text: string | null;
}

const NOT_ASCII = /[\u0080-\u00ff]/;
/** Between tokens a line feed is a space, and inside of strings JSON has none. */
const LINE_ENDS = /[\r\n]+/g;
const OBJECT_START = /^\s*\{\s*/;
/** The three of a document whose names end up beside ours. */
const OWN = ['_time', '_topic'] as const;

/** Decodes records of one source; `decode` gives the reason where it cannot. */
export function recordDecoder(
  source: DeclaredSource,
): (reader: BlockReader, item: RecordItem) => DecodedRecord | Unreadable {
  const { codec, time } = source.definition;
  const timeOf = time === null ? null : eventTimeReader(time, source.parameters);
  return ({ bytes }, item) => {
    let value: unknown;
    let text: string | null = null;
    if (codec === 'bytes') {
      value = bytes.toString('base64', item.start, item.end);
    } else {
      const raw = textOf(bytes, item.start, item.end);
      if (codec === 'text') value = raw;
      else {
        if (isTooDeep(raw)) return 'bad_json';
        try {
          value = JSON.parse(raw);
        } catch (error) {
          if (error instanceof SyntaxError) return 'bad_json';
          throw error;
        }
        if (isObject(value)) text = raw;
      }
    }
    if (timeOf === null) return { timeMs: item.now, value, text };
    const timeMs = timeOf(item, value);
    return timeMs === undefined ? 'bad_time' : { timeMs, value, text };
  };
}

export function rowOf({ timeMs, value }: DecodedRecord, topic: string): Row {
  const own = { _time: timeMs, _topic: topic };
  if (!isObject(value)) return { ...own, payload: value as Json };
  return { ...own, ...value, ...own };
}

/** The row as JSON, on one line. */
export function rowLine(record: DecodedRecord, topic: string): string {
  const { text, value, timeMs } = record;
  const head = `{"_time":${timeMs},"_topic":${JSON.stringify(topic)}`;
  if (text === null) return `${head},"payload":${JSON.stringify(value ?? null)}}`;
  // A payload with our own names must not have them twice.
  if (OWN.some((name) => Object.hasOwn(value as object, name))) {
    return JSON.stringify(rowOf(record, topic));
  }
  const compact = text.includes('\n') || text.includes('\r') ? text.replace(LINE_ENDS, ' ') : text;
  const fields =
    compact.charCodeAt(0) === 0x7b ? compact.slice(1) : compact.replace(OBJECT_START, '');
  return Object.keys(value as object).length === 0 ? `${head}}` : `${head},${fields}`;
}

function eventTimeReader(
  time: string,
  parameters: Readonly<Record<string, unknown>>,
): (item: RecordItem, payload: unknown) => number | undefined {
  const expression = compileExpression(time, { shape: { kind: 'record' }, parameters });
  return (item, payload) => {
    try {
      const value = expression.evaluate({
        time: item.now,
        payload,
        topic: item.topic,
        meta: item.meta === undefined ? {} : (JSON.parse(item.meta) as Record<string, unknown>),
        key: null,
        windowStart: null,
        windowEnd: null,
      });
      return eventTimeOf(value, time);
    } catch (error) {
      if (error instanceof ExpressionError) return undefined;
      throw error;
    }
  };
}

function textOf(bytes: Buffer, start: number, end: number): string {
  // See streams/decode.ts: a latin1 slice costs half, and ASCII is the same in both.
  const text = bytes.toString('latin1', start, end);
  return NOT_ASCII.test(text) ? bytes.toString('utf8', start, end) : text;
}

function isObject(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
