/**
 * What an aggregate is: one file, one line in registry.ts.
 *
 * An aggregate sums up the values of one window in a bounded space, one value at a time, and can be
 * merged with the same aggregate of another part of the window (panes of hopping windows, sessions
 * that grow together). Nulls never reach it. Its state is plain data inside a `Tally`, so that it
 * is written to disk and read back as it is.
 */
import type { ValueType } from '../../expressions/expression.ts';
import type { Json } from '../record.ts';
import type { StateValue } from '../state.ts';

/**
 * The running aggregates of one pane or session. Numbers stand apart from everything else, because
 * an array of only doubles is changed in place, without an allocation per record.
 */
export interface Tally {
  readonly n: number[];
  readonly c: StateValue[];
}

/** One aggregate at its fixed place inside every `Tally` of a step. */
export interface Accumulator {
  /** Appends the initial state to a new tally. */
  open(tally: Tally): void;
  /** Takes one value, which is not null, and a finite number if the aggregate is numeric. */
  add(tally: Tally, value: unknown, timeMs: number): void;
  /** Adds `from`, whose records are not earlier as a rule, to `into`; `from` is not used again. */
  merge(into: Tally, from: Tally): void;
  /** Null when no value has been added. */
  result(tally: Tally): Json;
}

export interface AggregateSpec {
  readonly name: string;
  readonly summary: string;
  /** How it is called: `avg(x)`. */
  readonly usage: string;
  /** Whether its value must be a finite number. */
  readonly numeric: boolean;
  readonly output: ValueType;
  /** Least and most number of arguments; all but the first are constant numbers. */
  readonly argumentsMin: number;
  readonly argumentsMax: number;
  /** How many numbers and other cells of a tally it takes. */
  readonly numbers: number;
  readonly cells: number;
  /** Says what is wrong with the constant arguments, if anything. */
  check?(constants: readonly number[]): string | undefined;
  /** An accumulator whose numbers begin at `numberAt` and whose cells begin at `cellAt`. */
  create(numberAt: number, cellAt: number, constants: readonly number[]): Accumulator;
}
