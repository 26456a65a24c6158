/** Number of records, or of values that are not null. */
import type { Accumulator, AggregateSpec, Tally } from './aggregate.ts';

export const count: AggregateSpec = {
  name: 'count',
  summary: 'Number of records; with an argument, of records where it is not null.',
  usage: 'count() or count(x)',
  numeric: false,
  output: 'number',
  argumentsMin: 0,
  argumentsMax: 1,
  numbers: 1,
  cells: 0,
  create: (numberAt) => new Count(numberAt),
};

class Count implements Accumulator {
  private readonly at: number;

  constructor(at: number) {
    this.at = at;
  }

  open(tally: Tally): void {
    tally.n.push(0);
  }

  add(tally: Tally): void {
    tally.n[this.at]! += 1;
  }

  merge(into: Tally, from: Tally): void {
    into.n[this.at]! += from.n[this.at]!;
  }

  result(tally: Tally): number {
    return tally.n[this.at]!;
  }
}
