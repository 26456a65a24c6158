/**
 * The columns of one aggregating step, compiled: what is evaluated per record, how it is summed
 * up, and what a result row looks like.
 *
 * Arguments that several aggregates share are evaluated once per record, and all of them before
 * anything is added, so that a record that fails leaves no trace. A column may combine aggregates
 * (`max(payload.a) - min(payload.a)`); where one of them is null, or the combination has no value
 * (division by zero), the column is null.
 */
import { ExpressionError, type Expression, type ValueType } from '../../expressions/expression.ts';
import type { EngineRecord, Json } from '../record.ts';
import type { Accumulator, Tally } from './aggregate.ts';

/** One aggregate of the step; `argument` is an index into the arguments, −1 for none. */
export interface PlannedAccumulator {
  readonly accumulator: Accumulator;
  readonly argument: number;
  /** The call as text: equal calls have equal state. */
  readonly call: string;
  /** Its part of a tally. */
  readonly numberAt: number;
  readonly numbers: number;
  readonly cellAt: number;
  readonly cells: number;
}

export interface PlannedArgument {
  readonly expression: Expression;
  /** Whether an aggregate needs it to be a finite number. */
  readonly numeric: boolean;
}

export interface PlannedColumn {
  readonly name: string;
  readonly type: ValueType;
  /** Indexes of the accumulators it is made of. */
  readonly accumulators: readonly number[];
  /** How they are combined, over `names`; absent: the only accumulator's result. */
  readonly combine?: { readonly expression: Expression; readonly names: readonly string[] };
}

export interface AggregationPlan {
  readonly arguments: readonly PlannedArgument[];
  readonly accumulators: readonly PlannedAccumulator[];
  readonly columns: readonly PlannedColumn[];
}

export class Aggregation {
  private readonly expressions: readonly Expression[];
  private readonly numeric: readonly boolean[];
  private readonly accumulators: readonly Accumulator[];
  private readonly argumentOf: readonly number[];
  private readonly columns: readonly PlannedColumn[];
  /** The arguments of the record at hand; the engine is synchronous, so one array is enough. */
  private readonly values: unknown[];

  constructor(plan: AggregationPlan) {
    this.expressions = plan.arguments.map((argument) => argument.expression);
    this.numeric = plan.arguments.map((argument) => argument.numeric);
    this.accumulators = plan.accumulators.map((planned) => planned.accumulator);
    this.argumentOf = plan.accumulators.map((planned) => planned.argument);
    this.columns = plan.columns;
    this.values = plan.arguments.map(() => null);
  }

  /** Evaluates the arguments on a record and keeps them for `add`; throws `ExpressionError`. */
  evaluate(record: EngineRecord): void {
    for (let index = 0; index < this.expressions.length; index += 1) {
      const value = this.expressions[index]!.evaluate(record);
      if (value !== null && this.numeric[index]!) this.checkNumber(value, index);
      this.values[index] = value;
    }
  }

  open(tally: Tally): void {
    for (const accumulator of this.accumulators) accumulator.open(tally);
  }

  /** Adds what was evaluated last. */
  add(tally: Tally, timeMs: number): void {
    for (let index = 0; index < this.accumulators.length; index += 1) {
      const argument = this.argumentOf[index]!;
      const value = argument < 0 ? true : this.values[argument];
      if (value !== null) this.accumulators[index]!.add(tally, value, timeMs);
    }
  }

  merge(into: Tally, from: Tally): void {
    for (const accumulator of this.accumulators) accumulator.merge(into, from);
  }

  /** The result of a window as its columns, in the order of the document. */
  row(tally: Tally, key: Json, startMs: number, endMs: number): Readonly<Record<string, Json>> {
    const row: Record<string, Json> = {};
    for (const column of this.columns) {
      row[column.name] = finiteOrNull(this.columnOf(column, tally, key, startMs, endMs));
    }
    return row;
  }

  private columnOf(
    column: PlannedColumn,
    tally: Tally,
    key: Json,
    startMs: number,
    endMs: number,
  ): Json {
    const { combine } = column;
    if (combine === undefined) return this.accumulators[column.accumulators[0]!]!.result(tally);
    const payload: Record<string, Json> = {};
    for (const [index, name] of combine.names.entries()) {
      const result = this.accumulators[column.accumulators[index]!]!.result(tally);
      if (result === null) return null;
      payload[name] = result;
    }
    try {
      return combine.expression.evaluate({
        time: endMs - 1,
        payload,
        topic: '',
        meta: {},
        key,
        windowStart: startMs,
        windowEnd: endMs,
      }) as Json;
    } catch (error) {
      if (error instanceof ExpressionError) return null;
      throw error;
    }
  }

  private checkNumber(value: unknown, index: number): void {
    if (typeof value === 'number' && Number.isFinite(value)) return;
    const { source } = this.expressions[index]!;
    if (typeof value === 'number') {
      throw new ExpressionError('not_finite', `${source} is ${value}, not a finite number`);
    }
    throw new ExpressionError('wrong_type', `${source} is a ${typeof value}, not a number`);
  }
}

/** JSON has no infinities: a sum that left the range of doubles has no value. */
function finiteOrNull(value: Json): Json {
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}
