/** Times and spans in the causes of verdicts: exact enough to act on, short enough to read. */
import { durationText } from '../expressions/duration-text.ts';

const UNITS_MS = [86_400_000, 3_600_000, 60_000, 1000] as const;

/** Two units at most: `3m10s`, `2d4h`; below a second in milliseconds. */
export function spanText(ms: number): string {
  const whole = Math.max(0, Math.floor(ms));
  if (whole < 1000) return durationText(whole);
  const unit = UNITS_MS.findIndex((each) => whole >= each);
  const least = UNITS_MS[Math.min(unit + 1, UNITS_MS.length - 1)] ?? 1000;
  return durationText(whole - (whole % least));
}

/** In UTC, since the zone of the reader is unknown; with seconds where there are any. */
export function clockText(at: number): string {
  if (Math.abs(at) > 8_640_000_000_000_000) return 'at no time';
  const text = new Date(at).toISOString();
  const seconds = at % 60_000 === 0 ? '' : text.slice(16, 19);
  return `${text.slice(0, 10)} ${text.slice(11, 16)}${seconds} UTC`;
}
