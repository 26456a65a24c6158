/**
 * A checked, compiled expression, as the engine and the definitions see it.
 * compile-expression.ts makes it; its header says which CEL and which deviations.
 */
import type { Json } from '../engine/record.ts';
import { RunnelError } from '../errors.ts';

/** What is known of a value at submit; `dyn` when nothing is (a payload's field). */
export type ValueType =
  | 'dyn'
  | 'bool'
  | 'number'
  | 'string'
  | 'null'
  | 'list'
  | 'map'
  | 'timestamp'
  | 'duration'
  | 'bytes';

/** The names an expression may use. */
export type Shape =
  /** A record of a source: `payload`, `topic`, `time`, `meta`, `params`. */
  | { readonly kind: 'record' }
  /** After an aggregation: its columns, `key`, `windowStart`, `windowEnd`, `time`, `params`. */
  | {
      readonly kind: 'row';
      readonly columns: Readonly<Record<string, ValueType>>;
      /** Nothing but the columns and `params`: the expressions of a batch job. */
      readonly columnsOnly?: true;
    };

/** What an expression is evaluated on; every `EngineRecord` is one. */
export interface Subject {
  readonly time: number;
  readonly payload: unknown;
  readonly topic: string;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly key: Json;
  readonly windowStart: number | null;
  readonly windowEnd: number | null;
}

export interface Expression {
  readonly source: string;
  readonly type: ValueType;
  /** Set when the value depends on no record: literals, parameters and what is made of them. */
  readonly constant?: { readonly value: unknown };
  /**
   * Pure and total but for `ExpressionError`. Numbers come out as JavaScript numbers, never BigInt.
   */
  evaluate(subject: Subject): unknown;
}

/** Why an expression gave no value. Stable words: dead letters are counted by them. */
export const EXPRESSION_REASONS = [
  /** A map has no such key. */
  'missing_key',
  /** Null where a value is needed: arithmetic, comparison, a function's argument. */
  'null_value',
  /** A value of another type than the operation takes. */
  'wrong_type',
  /** Division or remainder by zero. */
  'divide_by_zero',
  /** A number beyond the range of a double, or not a number. */
  'not_finite',
  /** An index outside of a list or text, or the minimum of an empty list. */
  'out_of_range',
  /** Text that is no number, time, duration or pattern. */
  'bad_format',
  /** A text or list beyond its bound. */
  'too_large',
  /** The cost bound of one evaluation was reached. */
  'cost_exceeded',
] as const;
export type ExpressionReason = (typeof EXPRESSION_REASONS)[number];

/** Why an expression gave no value on a record; `reason` is what dead letters are counted by. */
export class ExpressionError extends RunnelError {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(`expression_${reason}`, message);
    this.name = 'ExpressionError';
    this.reason = reason;
  }
}

/** An expression that does not compile; `start` and `end` are characters of its text. */
export class ExpressionSyntaxError extends RunnelError {
  readonly start: number;
  readonly end: number;

  constructor(
    message: string,
    at: { readonly start: number; readonly end: number },
    hint?: string,
  ) {
    super('expression_invalid', message, {
      fields: { start: at.start, end: at.end },
      ...(hint === undefined ? {} : { hint }),
    });
    this.name = 'ExpressionSyntaxError';
    this.start = at.start;
    this.end = at.end;
  }
}
