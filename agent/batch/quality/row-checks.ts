/**
 * Checks that judge one row after the other. A value that is null passes all but `notNull` and
 * `schema`, so that one mistake is told once.
 */
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import { compileRowCheck } from '@runnel/shared/definitions/compile-quality.ts';
import { readJsonSchema } from '@runnel/shared/definitions/json-schema.ts';
import type { QualityCheck } from '@runnel/shared/definitions/quality-checks.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { ExpressionError } from '@runnel/shared/expressions/expression.ts';
import { compilePattern } from '@runnel/shared/expressions/text-functions.ts';
import { limits } from '@runnel/shared/limits.ts';
import { rowRecord } from '../data/timed-rows.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { HashSet } from './hash-set.ts';

/** What is wrong with a row, as it appears in an example; undefined: it passes. */
export type RowJudge = (row: Row) => Json | undefined;

/** Undefined for a check of the table. */
export function rowJudge(
  check: QualityCheck,
  parameters: Readonly<Record<string, unknown>>,
): RowJudge | undefined {
  if (check.notNull !== undefined) return notNull(listOf(check.notNull));
  if (check.unique !== undefined) return unique(listOf(check.unique));
  if (check.range !== undefined) return inRange(check.range);
  if (check.set !== undefined) return inSet(check.set);
  if (check.pattern !== undefined) return matching(check.pattern);
  if (check.schema !== undefined) return ofSchema(check.schema);
  if (check.expression !== undefined) return trueFor(check.expression, parameters);
  return undefined;
}

function listOf(columns: string | readonly string[]): readonly string[] {
  return typeof columns === 'string' ? [columns] : columns;
}

function valueOf(row: Row, column: string): Json {
  return Object.hasOwn(row, column) ? row[column]! : null;
}

function notNull(columns: readonly string[]): RowJudge {
  return (row) => {
    const missing = columns.filter((column) => valueOf(row, column) === null);
    if (missing.length === 0) return undefined;
    const isThere = missing.every((column) => Object.hasOwn(row, column));
    return `${missing.join(', ')} ${isThere ? 'is null' : 'is not there'}`;
  };
}

/** The first row of several passes. */
function unique(columns: readonly string[]): RowJudge {
  const seen = new HashSet();
  return (row) => {
    const values = columns.map((column) => valueOf(row, column));
    if (values.includes(null)) return undefined;
    if (seen.add(canonicalJson(values))) {
      if (seen.size > limits.uniqueRowsMax) throw tooMany(columns);
      return undefined;
    }
    return values.length === 1 ? values[0]! : values;
  };
}

function tooMany(columns: readonly string[]): TaskError {
  const message = `unique ${columns.join(', ')}: more than ${limits.uniqueRowsMax} different rows`;
  return new TaskError('resources', 'unique_max', message, {
    hint: 'Check a shorter period, or count duplicates in a sql task.',
  });
}

function inRange({ column, min, max }: NonNullable<QualityCheck['range']>): RowJudge {
  return (row) => {
    const value = valueOf(row, column);
    if (value === null) return undefined;
    const passes =
      typeof value === 'number' && !(value < (min ?? -Infinity)) && !(value > (max ?? Infinity));
    return passes ? undefined : value;
  };
}

function inSet({ column, values }: NonNullable<QualityCheck['set']>): RowJudge {
  const known = new Set<Json>(values);
  return (row) => {
    const value = valueOf(row, column);
    return value === null || known.has(value) ? undefined : value;
  };
}

function matching({ column, matches }: NonNullable<QualityCheck['pattern']>): RowJudge {
  const pattern = compilePattern(matches);
  return (row) => {
    const value = valueOf(row, column);
    if (value === null) return undefined;
    return typeof value === 'string' && pattern.test(value) ? undefined : value;
  };
}

const HAS_TYPE: Readonly<Record<string, (value: Json) => boolean>> = {
  number: (value) => typeof value === 'number',
  integer: (value) => Number.isInteger(value),
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  json: () => true,
};

function ofSchema({ columns, extra, row: schema }: NonNullable<QualityCheck['schema']>): RowJudge {
  const wanted = Object.entries(columns ?? {}).map(([column, type]) => {
    const nullable = type.endsWith('?');
    const name = nullable ? type.slice(0, -1) : type;
    return { column, nullable, name, has: HAS_TYPE[name]! };
  });
  const read = schema === undefined ? undefined : readJsonSchema(schema);
  const check = read !== undefined && 'check' in read ? read.check : undefined;
  return (row) => {
    for (const { column, nullable, name, has } of wanted) {
      const value = valueOf(row, column);
      if (value === null ? nullable : has(value)) continue;
      return `${column} is ${value === null ? 'null' : JSON.stringify(value)}, not ${name}`;
    }
    if (extra === 'refuse') {
      const unknown = Object.keys(row).find((column) => !Object.hasOwn(columns ?? {}, column));
      if (unknown !== undefined) return `${unknown} is no column of the schema`;
    }
    return check?.(row);
  };
}

function trueFor(source: string, parameters: Readonly<Record<string, unknown>>): RowJudge {
  const expression = compileRowCheck(source, parameters);
  return (row) => {
    try {
      return expression.evaluate(rowRecord({ row }, 0)) === true ? undefined : row;
    } catch (error) {
      if (error instanceof ExpressionError) return error.message;
      throw error;
    }
  };
}
