/**
 * Keys of steps: what `by:` gives, as it appears in outputs, and as the text that state is under.
 *
 * The text of a string is the string itself, so that the usual key costs nothing per record;
 * anything else begins with U+0001: null, numbers, booleans, lists of these, and strings that begin
 * with U+0001. The mapping is one to one.
 */
import { ExpressionError, type Expression } from '../expressions/expression.ts';
import type { EngineRecord, Json } from './record.ts';

const MARK = '\u0001';
const MARK_CODE = 1;
/** The text of the key null, which a step without `by:` has. */
export const NULL_KEY = MARK;

export function keyText(key: Json): string {
  if (typeof key === 'string') {
    // Half a surrogate pair cannot be written to disk as it is: it is one key before and after.
    const text = key.toWellFormed();
    return text.charCodeAt(0) === MARK_CODE ? MARK + JSON.stringify(text) : text;
  }
  return key === null ? NULL_KEY : MARK + JSON.stringify(key);
}

export function keyOfText(text: string): Json {
  if (text.charCodeAt(0) !== MARK_CODE) return text;
  return text === NULL_KEY ? null : (JSON.parse(text.slice(1)) as Json);
}

/** Null, then booleans, numbers, strings (by code unit), lists (element by element). */
export function compareKeyTexts(left: string, right: string): number {
  if (left === right) return 0;
  if (left.charCodeAt(0) !== MARK_CODE && right.charCodeAt(0) !== MARK_CODE) {
    return left < right ? -1 : 1;
  }
  return compareKeys(keyOfText(left), keyOfText(right));
}

function compareKeys(left: Json, right: Json): number {
  const rank = rankOf(left) - rankOf(right);
  if (rank !== 0) return rank;
  if (Array.isArray(left) && Array.isArray(right)) {
    for (const [index, item] of left.entries()) {
      if (index >= right.length) return 1;
      const order = compareKeys(item as Json, right[index] as Json);
      if (order !== 0) return order;
    }
    return left.length - right.length;
  }
  if (left === right) return 0;
  return (left as number | string) < (right as number | string) ? -1 : 1;
}

function rankOf(key: Json): number {
  if (key === null) return 0;
  if (typeof key === 'boolean') return 1;
  if (typeof key === 'number') return 2;
  return typeof key === 'string' ? 3 : 4;
}

/** The key of each record of a step; a key is a string, a finite number or a boolean. */
export interface KeyReader {
  /** The text of the record's key; throws `ExpressionError` when it has none. */
  read(record: EngineRecord): string;
}

/** No `by:`: every record has the key null. */
export const noKey: KeyReader = { read: () => NULL_KEY };

/** The key that the record has got from an earlier step. */
export const keyOfRecord: KeyReader = { read: (record) => keyText(record.key) };

export class SingleKey implements KeyReader {
  private readonly expression: Expression;

  constructor(expression: Expression) {
    this.expression = expression;
  }

  read(record: EngineRecord): string {
    return keyText(checkedKey(this.expression.evaluate(record), this.expression));
  }
}

/** A list of keys: the key is the list of their values. */
export class ListKey implements KeyReader {
  private readonly expressions: readonly Expression[];

  constructor(expressions: readonly Expression[]) {
    this.expressions = expressions;
  }

  read(record: EngineRecord): string {
    return keyText(this.expressions.map((each) => checkedKey(each.evaluate(record), each)));
  }
}

function checkedKey(value: unknown, expression: Expression): Json {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    // -0 and 0 are one key, as they are one number.
    if (Number.isFinite(value)) return value === 0 ? 0 : value;
    throw new ExpressionError('not_finite', `the key ${expression.source} is ${value}`);
  }
  if (value === null || value === undefined) {
    throw new ExpressionError('null_value', `the key ${expression.source} is null`);
  }
  throw new ExpressionError(
    'wrong_type',
    `the key ${expression.source} is no text, number or boolean`,
  );
}
