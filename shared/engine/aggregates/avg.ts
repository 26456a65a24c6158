/** Arithmetic mean of the values, from a compensated sum; null when there is none. */
import type { Accumulator, AggregateSpec, Tally } from './aggregate.ts';
import { addToSum, mergeSums, openSum, totalOf, valuesOf } from './compensated-sum.ts';

export const avg: AggregateSpec = {
  name: 'avg',
  summary: 'Arithmetic mean of the values; null when there is none.',
  usage: 'avg(x)',
  numeric: true,
  output: 'number',
  argumentsMin: 1,
  argumentsMax: 1,
  numbers: 3,
  cells: 0,
  create: (numberAt) => new Average(numberAt),
};

class Average implements Accumulator {
  private readonly at: number;

  constructor(at: number) {
    this.at = at;
  }

  open(tally: Tally): void {
    openSum(tally);
  }

  add(tally: Tally, value: unknown): void {
    addToSum(tally.n, this.at, value as number);
  }

  merge(into: Tally, from: Tally): void {
    mergeSums(into.n, from.n, this.at);
  }

  result(tally: Tally): number | null {
    const values = valuesOf(tally.n, this.at);
    return values === 0 ? null : totalOf(tally.n, this.at) / values;
  }
}
