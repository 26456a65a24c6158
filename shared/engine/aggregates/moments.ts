/**
 * Mean and sum of squared differences, in one pass and without cancellation.
 *
 * Sources: B. P. Welford, "Note on a Method for Calculating Corrected Sums of Squares and
 * Products", Technometrics 4 (1962); merging: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating
 * Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979). Three numbers of a
 * tally: count, mean, sum of squared differences from the mean.
 */
import type { Accumulator, AggregateSpec, Tally } from './aggregate.ts';

/** What `variance` and `stddev` have in common; `finish` makes the result of the variance. */
export function momentsAggregate(
  about: Pick<AggregateSpec, 'name' | 'summary' | 'usage'>,
  finish: (variance: number) => number,
): AggregateSpec {
  return {
    ...about,
    numeric: true,
    output: 'number',
    argumentsMin: 1,
    argumentsMax: 1,
    numbers: 3,
    cells: 0,
    create: (numberAt) => new Moments(numberAt, finish),
  };
}

class Moments implements Accumulator {
  private readonly at: number;
  private readonly finish: (variance: number) => number;

  constructor(at: number, finish: (variance: number) => number) {
    this.at = at;
    this.finish = finish;
  }

  open(tally: Tally): void {
    tally.n.push(0, 0, 0);
  }

  add(tally: Tally, value: unknown): void {
    const numbers = tally.n;
    const count = numbers[this.at]! + 1;
    const delta = (value as number) - numbers[this.at + 1]!;
    const mean = numbers[this.at + 1]! + delta / count;
    numbers[this.at] = count;
    numbers[this.at + 1] = mean;
    numbers[this.at + 2]! += delta * ((value as number) - mean);
  }

  merge(into: Tally, from: Tally): void {
    const left = into.n;
    const right = from.n;
    const at = this.at;
    const rightCount = right[at]!;
    if (rightCount === 0) return;
    const leftCount = left[at]!;
    const count = leftCount + rightCount;
    const delta = right[at + 1]! - left[at + 1]!;
    left[at] = count;
    left[at + 1]! += (delta * rightCount) / count;
    left[at + 2]! += right[at + 2]! + (delta * delta * leftCount * rightCount) / count;
  }

  /** Sample variance: null for fewer than two values. */
  result(tally: Tally): number | null {
    const count = tally.n[this.at]!;
    return count < 2 ? null : this.finish(tally.n[this.at + 2]! / (count - 1));
  }
}
