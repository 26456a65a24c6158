/**
 * Whether a measure is far from what it was before: more than so many deviations from the middle
 * of its history. Two ways to say what the middle and a deviation are:
 *
 * - `stddev`: mean and sample standard deviation.
 * - `mad`: median, and 1.4826 × the median absolute deviation, which estimates the standard
 *   deviation of a normal distribution and is not moved by a few odd values. Source: F. R. Hampel,
 *   "The Influence Curve and its Role in Robust Estimation", JASA 69 (1974).
 */
export interface AnomalySettings {
  readonly measure: string;
  readonly method: 'stddev' | 'mad';
  readonly deviations: number;
  readonly minRuns: number;
  /** A difference up to this passes. */
  readonly least: number;
}

export interface AnomalyVerdict {
  readonly problem: string | undefined;
  /** Null while the history is too short. */
  readonly middle: number | null;
  readonly deviation: number | null;
  /** Measures in the history. */
  readonly runs: number;
}

const MAD_SCALE = 1.4826;

export function judgeAnomaly(
  value: number,
  past: readonly number[],
  settings: AnomalySettings,
): AnomalyVerdict {
  const runs = past.length;
  if (runs < settings.minRuns) return { problem: undefined, middle: null, deviation: null, runs };
  const [middle, deviation] = settings.method === 'mad' ? robust(past) : classic(past);
  const allowed = Math.max(settings.deviations * deviation, settings.least);
  const distance = Math.abs(value - middle);
  const problem =
    distance > allowed
      ? `${settings.measure} is ${short(value)}, and was ${short(middle)} ± ${short(deviation)} ` +
        `over ${runs} runs`
      : undefined;
  return { problem, middle, deviation, runs };
}

function classic(values: readonly number[]): [middle: number, deviation: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, Math.sqrt(squares / (values.length - 1))];
}

function robust(values: readonly number[]): [middle: number, deviation: number] {
  const middle = median(values);
  return [middle, MAD_SCALE * median(values.map((value) => Math.abs(value - middle)))];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}
