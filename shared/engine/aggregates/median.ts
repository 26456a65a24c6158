/** The middle value: the quantile at one half. */
import type { AggregateSpec } from './aggregate.ts';
import { Quantile } from './quantile.ts';

export const median: AggregateSpec = {
  name: 'median',
  summary: 'Middle value; exact up to 128 values, then within 0.5 %.',
  usage: 'median(x)',
  numeric: true,
  output: 'number',
  argumentsMin: 1,
  argumentsMax: 1,
  numbers: 0,
  cells: 1,
  create: (_, cellAt) => new Quantile(cellAt, 0.5),
};
