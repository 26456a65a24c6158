/** The value below which a share of the values lies; see quantile-sketch.ts for its accuracy. */
import type { StateValue } from '../state.ts';
import type { Accumulator, AggregateSpec, Tally } from './aggregate.ts';
import {
  addToSketch,
  mergeSketches,
  openSketch,
  quantileOf,
  type QuantileSketch,
} from './quantile-sketch.ts';

export const quantile: AggregateSpec = {
  name: 'quantile',
  summary: 'Value below which the share q lies; exact up to 128 values, then within 0.5 %.',
  usage: 'quantile(x, 0.95)',
  numeric: true,
  output: 'number',
  argumentsMin: 2,
  argumentsMax: 2,
  numbers: 0,
  cells: 1,
  check: ([q]) =>
    q !== undefined && q >= 0 && q <= 1 ? undefined : `q must be from 0 to 1, but is ${q}`,
  create: (_, cellAt, constants) => new Quantile(cellAt, constants[0]!),
};

/** Shared by `median`. */
export class Quantile implements Accumulator {
  private readonly at: number;
  private readonly q: number;

  constructor(at: number, q: number) {
    this.at = at;
    this.q = q;
  }

  open(tally: Tally): void {
    tally.c.push(openSketch());
  }

  add(tally: Tally, value: unknown): void {
    tally.c[this.at] = addToSketch(this.sketch(tally), value as number);
  }

  merge(into: Tally, from: Tally): void {
    const merged: StateValue = mergeSketches(this.sketch(into), this.sketch(from));
    into.c[this.at] = merged;
  }

  result(tally: Tally): number | null {
    return quantileOf(this.sketch(tally), this.q);
  }

  private sketch(tally: Tally): QuantileSketch {
    return tally.c[this.at] as QuantileSketch;
  }
}
