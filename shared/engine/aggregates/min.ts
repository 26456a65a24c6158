/** Smallest value; null when there is none. Values are finite, so Infinity stands for none. */
import type { Accumulator, AggregateSpec, Tally } from './aggregate.ts';

export const min: AggregateSpec = {
  name: 'min',
  summary: 'Smallest value; null when there is none.',
  usage: 'min(x)',
  numeric: true,
  output: 'number',
  argumentsMin: 1,
  argumentsMax: 1,
  numbers: 1,
  cells: 0,
  create: (numberAt) => new Minimum(numberAt),
};

class Minimum implements Accumulator {
  private readonly at: number;

  constructor(at: number) {
    this.at = at;
  }

  open(tally: Tally): void {
    tally.n.push(Infinity);
  }

  add(tally: Tally, value: unknown): void {
    if ((value as number) < tally.n[this.at]!) tally.n[this.at] = value as number;
  }

  merge(into: Tally, from: Tally): void {
    if (from.n[this.at]! < into.n[this.at]!) into.n[this.at] = from.n[this.at]!;
  }

  result(tally: Tally): number | null {
    const value = tally.n[this.at]!;
    return value === Infinity ? null : value;
  }
}
