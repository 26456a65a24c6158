/**
 * The incremental cursor of an extract task: the largest value seen, committed when it succeeds.
 *
 * Numbers compare as numbers, ISO 8601 texts as instants to the last digit of their fraction
 * (databases keep microseconds, and `…:00.1Z` is before `…:00.12Z`), other texts by their
 * characters. Values of two kinds cannot be compared: that is an error and no guess.
 */
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import { compileRowExpression, ROW_NAMES } from '@runnel/shared/definitions/row-expression.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { ExpressionError, type Subject } from '@runnel/shared/expressions/expression.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import type { Rows } from './rows.ts';

export type CursorValue = string | number;

export class Cursor {
  /** Of the last success, else `from`, else null. */
  readonly since: CursorValue | null;
  readonly #config: NonNullable<ExtractTaskConfig['cursor']>;
  readonly #valueOf: (row: Row) => unknown;
  #largest: CursorValue | null;

  constructor(config: NonNullable<ExtractTaskConfig['cursor']>, context: TaskContext) {
    this.#config = config;
    const stored = context.fullRefresh ? null : storedCursor(context.cursor);
    this.since = stored ?? config.from ?? null;
    this.#largest = stored;
    const { parameters } = context.program;
    const expression = compileRowExpression(config.value, ROW_NAMES, parameters);
    this.#valueOf = (row) => expression.evaluate(subjectOf({ row }));
  }

  /** The largest value there was; null when no row ever came. */
  get value(): CursorValue | null {
    return this.#largest;
  }

  /** Passes on the rows that are beyond the cursor, and keeps the largest value. */
  async *through(rows: Rows): AsyncGenerator<Row> {
    const seen = this.#config.skipSeen ? this.since : null;
    for await (const row of rows) {
      const value = this.#read(row);
      if (seen !== null && compareCursors(value, seen) <= 0) continue;
      if (this.#largest === null || compareCursors(value, this.#largest) > 0) this.#largest = value;
      yield row;
    }
  }

  #read(row: Row): CursorValue {
    const { value: source } = this.#config;
    let value: unknown;
    try {
      value = this.#valueOf(row);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      throw unusable(`cursor.value ${source}: ${messageOf(error)}`);
    }
    if (typeof value === 'number' || typeof value === 'string') return value;
    throw unusable(`cursor.value ${source} gives neither a number nor a text on a row`);
  }
}

function storedCursor(cursor: Json): CursorValue | null {
  const value = (cursor as { value?: unknown } | null)?.value;
  return typeof value === 'number' || typeof value === 'string' ? value : null;
}

function unusable(message: string): TaskError {
  return new TaskError('data', 'cursor_value', message, {
    hint: 'The expression must give a value for every row.',
  });
}

/** What an expression over these names is evaluated on. */
export function subjectOf(payload: unknown): Subject {
  const nothing = { key: null, windowStart: null, windowEnd: null };
  return { time: 0, payload, topic: '', meta: {}, ...nothing };
}

/** Negative, 0 or positive. Throws a `TaskError` (`data`) for a number beside a text. */
export function compareCursors(left: CursorValue, right: CursorValue): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left === 'string' && typeof right === 'string') {
    const [a, b] = [instantOf(left), instantOf(right)];
    if (a === undefined || b === undefined) return left < right ? -1 : left > right ? 1 : 0;
    if (a.seconds !== b.seconds) return a.seconds - b.seconds;
    return a.fraction < b.fraction ? -1 : a.fraction > b.fraction ? 1 : 0;
  }
  const told = `${JSON.stringify(left)} and ${JSON.stringify(right)}`;
  throw new TaskError('data', 'cursor_value', `the cursor has values of two kinds: ${told}`);
}

/** Date, time, fraction, zone: `2026-11-22`, `2026-11-22T10:00:00.25Z`, `2026-11-22 10:00+01`. */
const INSTANT = new RegExp(
  String.raw`^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d+))?` +
    String.raw`\s?(Z|[+-]\d{2}(?::?\d{2})?)?)?$`,
);

/** Seconds since 1970, and the fraction as a text without zeros at its end. */
function instantOf(text: string): { seconds: number; fraction: string } | undefined {
  const [all, date = '', clock = '00:00', fraction = '', zone = 'Z'] = INSTANT.exec(text) ?? [];
  if (all === undefined) return undefined;
  const [, sign = '+', hours = '00', minutes = '00'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone) ?? [];
  const seconds = Date.parse(`${date}T${clock}${sign}${hours}:${minutes}`.replace(/ /g, '')) / 1000;
  if (Number.isNaN(seconds)) return undefined;
  return { seconds, fraction: fraction.replace(/0+$/, '') };
}
