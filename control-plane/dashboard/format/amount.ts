/** Amounts as people read them: counts, bytes, measured values. Pure. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Powers of 1024, three significant digits: `512 B`, `1.5 KiB`, `118 MiB`. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null || !Number.isFinite(bytes)) return '–';
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : digits3(value)} ${BYTE_UNITS[unit]}`;
}

/** Whole numbers with thin spaces between thousands: they line up and no comma misleads. */
export function formatCount(count: number): string {
  const sign = count < 0 ? '−' : '';
  return sign + String(Math.abs(count)).replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

/** A measured value: enough digits to compare, few enough to read. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return formatCount(value);
  const size = Math.abs(value);
  if (size >= 1e9 || size < 1e-4) return value.toExponential(3);
  return String(Number(value.toPrecision(5)));
}

/** A rate: as exact as one can watch it change. */
export function formatRate(perSecond: number): string {
  return perSecond >= 100 ? formatCount(Math.round(perSecond)) : digits3(perSecond);
}

export function formatPercent(value: number | null): string {
  if (value === null) return '–';
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} %`;
}

/** `1 device`, `2 devices`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

function digits3(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

/** Any JSON value on one line, as a cell of a table shows it. */
export function formatCell(value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number') return formatValue(value);
  if (typeof value === 'string') return value;
  return JSON.stringify(value);
}

/**
 * How to write one column of numbers so that their points line up: as many decimals as five
 * significant digits of the largest need, none when all are whole.
 */
export function columnFormat(values: readonly unknown[]): (value: unknown) => string {
  const numbers = values.filter((value): value is number => typeof value === 'number');
  const largest = Math.max(0, ...numbers.map((value) => Math.abs(value)));
  const whole = numbers.every((value) => Number.isInteger(value));
  if (whole || largest >= 1e9 || largest < 1e-4) return formatCell;
  const decimals = Math.min(6, Math.max(0, 4 - Math.floor(Math.log10(largest))));
  return (value) =>
    typeof value === 'number' && Number.isFinite(value)
      ? value.toFixed(decimals).replace('-', '\u2212')
      : formatCell(value);
}
