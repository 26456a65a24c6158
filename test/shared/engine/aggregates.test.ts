/** Aggregates against plain arithmetic over all values, merged in any way and in any order. */
import * as fc from 'fast-check';
import { decode, encode } from 'msgpackr';
import { expect, test } from 'vitest';
import type { AggregateSpec, Tally } from '@runnel/shared/engine/aggregates/aggregate.ts';
import { findAggregateCalls } from '@runnel/shared/engine/aggregates/find-calls.ts';
import { aggregates } from '@runnel/shared/engine/aggregates/registry.ts';
import { EXACT_MAX } from '@runnel/shared/engine/aggregates/quantile-sketch.ts';

type Reference = (values: readonly number[]) => number | null;

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;
const orNull =
  (least: number, reference: (values: readonly number[]) => number): Reference =>
  (values) =>
    values.length < least ? null : reference(values);

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return sum(values.map((value) => (value - middle) ** 2)) / (values.length - 1);
}

function quantile(values: readonly number[], q: number): number {
  const ordered = values.toSorted((left, right) => left - right);
  const rank = q * (ordered.length - 1);
  const low = ordered[Math.floor(rank)]!;
  return low + (rank - Math.floor(rank)) * (ordered[Math.ceil(rank)]! - low);
}

/** `first` and `last` see times equal to the values' positions. */
const references: Readonly<Record<string, Reference>> = {
  count: (values) => values.length,
  sum: orNull(1, sum),
  avg: orNull(1, mean),
  min: orNull(1, (values) => Math.min(...values)),
  max: orNull(1, (values) => Math.max(...values)),
  first: orNull(1, (values) => values[0]!),
  last: orNull(1, (values) => values.at(-1)!),
  stddev: orNull(2, (values) => Math.sqrt(variance(values))),
  variance: orNull(2, variance),
  median: orNull(1, (values) => quantile(values, 0.5)),
  quantile: orNull(1, (values) => quantile(values, 0.9)),
};

function tallyOf(spec: AggregateSpec, values: readonly [number, number][]): Tally {
  const accumulator = spec.create(0, 0, [0.9]);
  const tally: Tally = { n: [], c: [] };
  accumulator.open(tally);
  for (const [timeMs, value] of values) accumulator.add(tally, value, timeMs);
  return tally;
}

function expectClose(found: unknown, wanted: number | null, scale: number): void {
  if (wanted === null) expect(found).toBeNull();
  else expect(Math.abs((found as number) - wanted)).toBeLessThanOrEqual(1e-9 * Math.max(scale, 1));
}

const numbers = fc.array(
  fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.double({ min: -1e3, max: 1e3, noNaN: true })),
  { maxLength: EXACT_MAX },
);

test('every aggregate has a reference here', () => {
  expect(aggregates.map((each) => each.name).sort()).toEqual(Object.keys(references).sort());
});

test.each(aggregates.map((each) => [each.name, each] as const))(
  '%s gives what plain arithmetic gives, however it is split, merged and stored',
  (name, spec) => {
    fc.assert(
      fc.property(numbers, fc.nat(), (values, cut) => {
        const timed = values.map((value, index): [number, number] => [index, value]);
        const at = values.length === 0 ? 0 : cut % (values.length + 1);
        const accumulator = spec.create(0, 0, [0.9]);
        const left = tallyOf(spec, timed.slice(0, at));
        const right = decode(encode(tallyOf(spec, timed.slice(at)))) as Tally;
        accumulator.merge(left, right);
        const scale = sum(values.map((value) => value * value));
        expectClose(accumulator.result(left), references[name]!(values), scale);
        const whole = accumulator.result(tallyOf(spec, timed));
        expectClose(whole, references[name]!(values), scale);
      }),
      { numRuns: 200 },
    );
  },
);

test('sums are exact to 1e-15 where naive addition loses everything', () => {
  const spec = aggregates.find((each) => each.name === 'sum')!;
  const values: [number, number][] = [1, 1e100, 1, -1e100].map((value, index) => [index, value]);
  expect(spec.create(0, 0, []).result(tallyOf(spec, values))).toBe(2);
});

test('first and last of equal times follow the order of the journal', () => {
  const times: [number, number][] = [
    [5, 1],
    [5, 2],
    [5, 3],
  ];
  for (const [name, wanted] of [
    ['first', 1],
    ['last', 3],
  ] as const) {
    const spec = aggregates.find((each) => each.name === name)!;
    expect(spec.create(0, 0, []).result(tallyOf(spec, times)), name).toBe(wanted);
  }
});

test('quantiles of many values are within 0.5 % and do not depend on order or merging', () => {
  const spec = aggregates.find((each) => each.name === 'quantile')!;
  const many = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), {
    minLength: EXACT_MAX + 1,
    maxLength: 1500,
  });
  fc.assert(
    fc.property(many, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (values, cut, q) => {
      const accumulator = spec.create(0, 0, [q]);
      const timed = values.map((value): [number, number] => [0, value]);
      const at = cut % values.length;
      const merged = tallyOf(spec, timed.slice(0, at));
      accumulator.merge(merged, tallyOf(spec, timed.slice(at)));
      const whole = tallyOf(spec, timed.toReversed());
      expect(encode(merged)).toEqual(encode(whole));
      const found = accumulator.result(whole) as number;
      const ordered = values.toSorted((left, right) => left - right);
      const rank = q * (values.length - 1);
      const low = ordered[Math.floor(rank)]!;
      const high = ordered[Math.ceil(rank)]!;
      const slack = 0.0051 * Math.max(Math.abs(low), Math.abs(high)) + 1e-9;
      expect(found).toBeGreaterThanOrEqual(low - slack);
      expect(found).toBeLessThanOrEqual(high + slack);
    }),
    { numRuns: 60 },
  );
});

test('a sketch over all magnitudes of a double stays bounded', () => {
  const spec = aggregates.find((each) => each.name === 'quantile')!;
  const values = Array.from({ length: 2000 }, (_, index): [number, number] => [
    0,
    10 ** (((index * 7) % 600) - 300),
  ]);
  const tally = tallyOf(spec, values);
  expect(encode(tally).length).toBeLessThan(16_384);
  const top = spec.create(0, 0, [1]).result(tally) as number;
  expect(top / 1e299).toBeCloseTo(1, 1);
});

test('aggregate calls are found by name, not in text, methods or nested', () => {
  const names = new Set(['max', 'min', 'count']);
  const calls = (source: string): unknown =>
    findAggregateCalls(source, names).calls.map((call) => [call.name, ...call.arguments]);
  expect(calls('max(payload.a) - min (payload.b)')).toEqual([
    ['max', 'payload.a'],
    ['min', 'payload.b'],
  ]);
  expect(calls('count()')).toEqual([['count']]);
  expect(calls('max(f(a, b), 2)')).toEqual([['max', 'f(a, b)', '2']]);
  expect(calls("\"max(1)\" + payload.max(2) + 'min(\\'3)'")).toEqual([]);
  expect(calls('max(payload["a)"])')).toEqual([['max', 'payload["a)"]']]);
  expect(findAggregateCalls('max(payload.a', names).problem).toBe('max( is not closed');
  expect(findAggregateCalls('max(min(payload.a))', names).problem).toContain('inside of max');
  expect(findAggregateCalls(' max(payload.a) ', names).rest).toBeUndefined();
  expect(findAggregateCalls('max(a) * 2', names).rest).toBe('max_1 * 2');
});
