/**
 * The value with the earliest event time; of several with the same time, the one that came first
 * in the journal. The value may be anything; null when there is none.
 */
import type { Json } from '../record.ts';
import type { StateValue } from '../state.ts';
import type { Accumulator, AggregateSpec, Tally } from './aggregate.ts';

export const first: AggregateSpec = {
  name: 'first',
  summary:
    'Value with the earliest event time; of equal times, the one that came first in the journal.',
  usage: 'first(x)',
  numeric: false,
  output: 'dyn',
  argumentsMin: 1,
  argumentsMax: 1,
  numbers: 1,
  cells: 1,
  create: (numberAt, cellAt) => new First(numberAt, cellAt),
};

class First implements Accumulator {
  private readonly at: number;
  private readonly cellAt: number;

  constructor(at: number, cellAt: number) {
    this.at = at;
    this.cellAt = cellAt;
  }

  open(tally: Tally): void {
    tally.n.push(Infinity);
    tally.c.push(null);
  }

  add(tally: Tally, value: unknown, timeMs: number): void {
    if (timeMs < tally.n[this.at]!) {
      tally.n[this.at] = timeMs;
      tally.c[this.cellAt] = value as StateValue;
    }
  }

  merge(into: Tally, from: Tally): void {
    if (from.n[this.at]! < into.n[this.at]!) {
      into.n[this.at] = from.n[this.at]!;
      into.c[this.cellAt] = from.c[this.cellAt]!;
    }
  }

  result(tally: Tally): Json {
    return tally.c[this.cellAt]!;
  }
}
