/**
 * Quantiles in bounded space: exact for few values, then with a relative error of at most 0.5 %.
 *
 * Up to `EXACT_MAX` values are kept as they are; beyond that they move into a DDSketch, whose
 * buckets have borders at powers of gamma. Both forms depend on the values alone, never on their
 * order or on how they were merged, and so give the same bytes on every replay. Only when values
 * of one sign spread over more than `BUCKETS_MAX` buckets (17 orders of magnitude) are those
 * nearest to zero folded together.
 *
 * Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch
 * with Relative-Error Guarantees", VLDB 2019.
 *
 * Layout (plain data): `{ v: values }`, or
 * `{ z: zeros, l: least, g: greatest, p: [first index, …counts], m: same for −x }`.
 */
export const EXACT_MAX = 128;
const RELATIVE_ERROR = 0.005;
const BUCKETS_MAX = 4096;
const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GAMMA = Math.log(GAMMA);
/** Smaller magnitudes count as zero: their logarithm would spend buckets on nothing. */
const ZERO_BELOW = 1e-12;

export type QuantileSketch =
  | { v: number[] }
  | { z: number; l: number; g: number; p: number[]; m: number[] };
type Buckets = Exclude<QuantileSketch, { v: number[] }>;

export function openSketch(): QuantileSketch {
  return { v: [] };
}

/** Returns the sketch to keep, which is another object when the exact form has grown too long. */
export function addToSketch(sketch: QuantileSketch, value: number): QuantileSketch {
  if ('v' in sketch) {
    sketch.v.push(value);
    return sketch.v.length > EXACT_MAX ? toBuckets(sketch.v) : sketch;
  }
  addToBuckets(sketch, value);
  return sketch;
}

export function mergeSketches(into: QuantileSketch, from: QuantileSketch): QuantileSketch {
  if ('v' in from) {
    let merged = into;
    for (const value of from.v) merged = addToSketch(merged, value);
    return merged;
  }
  const merged = 'v' in into ? toBuckets(into.v) : into;
  merged.z += from.z;
  merged.l = Math.min(merged.l, from.l);
  merged.g = Math.max(merged.g, from.g);
  mergeStore(merged.p, from.p);
  mergeStore(merged.m, from.m);
  return merged;
}

/** Interpolated between the two nearest ranks; null for no values. */
export function quantileOf(sketch: QuantileSketch, q: number): number | null {
  const count = sizeOf(sketch);
  if (count === 0) return null;
  const rank = q * (count - 1);
  const below = Math.floor(rank);
  const at = valueReader(sketch);
  const low = at(below);
  return rank === below ? low : low + (rank - below) * (at(below + 1) - low);
}

function sizeOf(sketch: QuantileSketch): number {
  if ('v' in sketch) return sketch.v.length;
  return sketch.z + storeSize(sketch.p) + storeSize(sketch.m);
}

function valueReader(sketch: QuantileSketch): (rank: number) => number {
  if ('v' in sketch) {
    const sorted = Float64Array.from(sketch.v).sort();
    return (rank) => sorted[rank]!;
  }
  return (rank) => Math.min(Math.max(bucketAt(sketch, rank), sketch.l), sketch.g);
}

function toBuckets(values: readonly number[]): Buckets {
  const sketch: Buckets = { z: 0, l: Infinity, g: -Infinity, p: [], m: [] };
  for (const value of values) addToBuckets(sketch, value);
  return sketch;
}

function addToBuckets(sketch: Buckets, value: number): void {
  if (value < sketch.l) sketch.l = value;
  if (value > sketch.g) sketch.g = value;
  const magnitude = Math.abs(value);
  if (magnitude < ZERO_BELOW) sketch.z += 1;
  else {
    const index = Math.ceil(Math.log(magnitude) / LOG_GAMMA);
    addToStore(value > 0 ? sketch.p : sketch.m, index, 1);
  }
}

function addToStore(store: number[], index: number, times: number): void {
  if (store.length === 0) {
    store.push(index, times);
    return;
  }
  const first = store[0]!;
  const buckets = store.length - 1;
  if (index < first) {
    const missing = Math.min(first - index, BUCKETS_MAX - buckets);
    if (missing > 0) {
      store.splice(1, 0, ...Array.from({ length: missing }, () => 0));
      store[0] = first - missing;
    }
    store[Math.max(index - store[0]!, 0) + 1]! += times;
    return;
  }
  for (let length = buckets; length <= index - first; length += 1) store.push(0);
  store[index - first + 1]! += times;
  if (store.length - 1 > BUCKETS_MAX) foldLowest(store);
}

/** Folds the buckets nearest to zero into one, so that `BUCKETS_MAX` remain. */
function foldLowest(store: number[]): void {
  const excess = store.length - 1 - BUCKETS_MAX;
  let folded = 0;
  for (let at = 1; at <= excess; at += 1) folded += store[at]!;
  store.splice(1, excess);
  store[1]! += folded;
  store[0]! += excess;
}

function mergeStore(into: number[], from: readonly number[]): void {
  for (let at = 1; at < from.length; at += 1) {
    if (from[at]! > 0) addToStore(into, from[0]! + at - 1, from[at]!);
  }
}

function storeSize(store: readonly number[]): number {
  let size = 0;
  for (let at = 1; at < store.length; at += 1) size += store[at]!;
  return size;
}

function bucketAt(sketch: Buckets, rank: number): number {
  let left = rank;
  for (let at = sketch.m.length - 1; at >= 1; at -= 1) {
    left -= sketch.m[at]!;
    if (left < 0) return -middleOf(sketch.m[0]! + at - 1);
  }
  left -= sketch.z;
  if (left < 0) return 0;
  for (let at = 1; at < sketch.p.length; at += 1) {
    left -= sketch.p[at]!;
    if (left < 0) return middleOf(sketch.p[0]! + at - 1);
  }
  return sketch.g;
}

/** The value of bucket `(gamma^(index−1), gamma^index]` whose relative error is least. */
function middleOf(index: number): number {
  return (2 * Math.exp(index * LOG_GAMMA)) / (GAMMA + 1);
}
