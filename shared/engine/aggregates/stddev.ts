/** Sample standard deviation (divided by n − 1); null for fewer than two values. */
import type { AggregateSpec } from './aggregate.ts';
import { momentsAggregate } from './moments.ts';

export const stddev: AggregateSpec = momentsAggregate(
  {
    name: 'stddev',
    summary: 'Sample standard deviation of the values; null for fewer than two.',
    usage: 'stddev(x)',
  },
  Math.sqrt,
);
