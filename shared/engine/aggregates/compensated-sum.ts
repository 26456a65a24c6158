/**
 * Sums doubles with Neumaier's compensation: the error does not grow with the number of values, so
 * that sums agree to about 1e-15 in whatever order the records arrived.
 *
 * Source: A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen",
 * ZAMM 54 (1974). Three numbers of a tally: sum, compensation, count of values.
 */
import type { Tally } from './aggregate.ts';

export function openSum(tally: Tally): void {
  tally.n.push(0, 0, 0);
}

export function addToSum(numbers: number[], at: number, value: number): void {
  const sum = numbers[at]!;
  const total = sum + value;
  if (Math.abs(sum) >= Math.abs(value)) numbers[at + 1]! += sum - total + value;
  else numbers[at + 1]! += value - total + sum;
  numbers[at] = total;
  numbers[at + 2]! += 1;
}

export function mergeSums(into: number[], from: readonly number[], at: number): void {
  const values = into[at + 2]! + from[at + 2]!;
  addToSum(into, at, from[at]!);
  into[at + 1]! += from[at + 1]!;
  into[at + 2] = values;
}

export function totalOf(numbers: readonly number[], at: number): number {
  return numbers[at]! + numbers[at + 1]!;
}

export function valuesOf(numbers: readonly number[], at: number): number {
  return numbers[at + 2]!;
}
