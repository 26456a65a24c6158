/** Sample variance (divided by n − 1); null for fewer than two values. */
import type { AggregateSpec } from './aggregate.ts';
import { momentsAggregate } from './moments.ts';

export const variance: AggregateSpec = momentsAggregate(
  {
    name: 'variance',
    summary: 'Sample variance of the values; null for fewer than two.',
    usage: 'variance(x)',
  },
  (value) => value,
);
