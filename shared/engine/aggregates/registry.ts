/** Every aggregate. An explicit list: importing an aggregate registers nothing. */
import type { AggregateSpec } from './aggregate.ts';
import { avg } from './avg.ts';
import { count } from './count.ts';
import { first } from './first.ts';
import { last } from './last.ts';
import { max } from './max.ts';
import { median } from './median.ts';
import { min } from './min.ts';
import { quantile } from './quantile.ts';
import { stddev } from './stddev.ts';
import { sum } from './sum.ts';
import { variance } from './variance.ts';

export const aggregates: readonly AggregateSpec[] = [
  count,
  sum,
  avg,
  min,
  max,
  first,
  last,
  stddev,
  variance,
  median,
  quantile,
];
