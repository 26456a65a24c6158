/**
 * Durations as text: `10s`, `1h30m`, `1d`, `250ms`, `1w`, `1y`. Used by job documents and
 * expressions. A year is 365 days; a month has no length, so it is none.
 */

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

const PART = /(\d+(?:\.\d+)?)(ms|min|s|m|h|d|w|y)/g;
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|min|s|m|h|d|w|y))+$/;

/** Milliseconds, or undefined when the text is no duration. No unit may stand twice. */
export function durationOf(text: string): number | undefined {
  const negative = text.startsWith('-');
  const body = negative ? text.slice(1) : text;
  if (body === '0') return 0;
  if (!WHOLE.test(body)) return undefined;
  let total = 0;
  const seen = new Set<number>();
  for (const [, amount, unit] of body.matchAll(PART)) {
    const ms = UNIT_MS[unit ?? ''] ?? 0;
    if (seen.has(ms)) return undefined;
    seen.add(ms);
    total += Number(amount) * ms;
  }
  const rounded = Math.round(total);
  if (!Number.isSafeInteger(rounded)) return undefined;
  return negative ? 0 - rounded : rounded;
}

/** The shortest text that `durationOf` reads back: `90000` gives `1m30s`. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s';
  let rest = Math.abs(ms);
  let text = ms < 0 ? '-' : '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
