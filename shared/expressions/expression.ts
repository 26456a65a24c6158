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
  | { readonly kind: 'row'; readonly columns: Readonly<Record<string, ValueType>> };

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
  /**
   * Pure and total but for `ExpressionError`. Numbers come out as JavaScript numbers, never BigInt.
   */
  evaluate(subject: Subject): unknown;
}

/** Why an expression gave no value on a record; `reason` is what dead letters are counted by. */
export class ExpressionError extends RunnelError {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(`expression_${reason}`, message);
    this.name = 'ExpressionError';
    this.reason = reason;
  }
}
