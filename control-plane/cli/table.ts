/** Tables and times for people. */

/** Rows under headings, columns as wide as they need to be; the last is cut to the terminal. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns?: number,
): string {
  const all = [headings, ...rows].map((row) => row.map(oneLine));
  const widths = headings.map((_, index) => Math.max(...all.map((row) => width(row[index] ?? ''))));
  const lines = all.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : pad(cell, widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return lines.map((line) => `${cut(line, columns)}\n`).join('');
}

/** Names and values of one thing, one per line. */
export function properties(entries: readonly (readonly [string, string])[]): string {
  const longest = Math.max(...entries.map(([name]) => name.length));
  return entries
    .map(([name, value]) => `${pad(`${name}:`, longest + 1)}  ${oneLine(value)}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}

/** Control characters would let a device's name or message write anywhere on the screen. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, ' ');
}

function width(text: string): number {
  return Array.from(text).length;
}

function pad(text: string, to: number): string {
  return text + ' '.repeat(Math.max(0, to - width(text)));
}

function cut(line: string, columns: number | undefined): string {
  if (columns === undefined || width(line) <= columns) return line;
  return `${Array.from(line)
    .slice(0, Math.max(1, columns - 1))
    .join('')}…`;
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
];

/** `12s ago`, `3h ago`, `in 5m`, `never`. */
export function ago(at: number | null | undefined, nowMs: number): string {
  if (at === null || at === undefined) return 'never';
  const distance = Math.abs(nowMs - at);
  if (distance < 1000) return 'now';
  const [size, unit] = UNITS.find(([each]) => distance >= each) ?? [1000, 's'];
  const text = `${Math.floor(distance / size)}${unit}`;
  return at <= nowMs ? `${text} ago` : `in ${text}`;
}

/** ISO 8601 in UTC without a fraction that is zero. */
export function instant(at: number | null | undefined): string {
  if (at === null || at === undefined || Math.abs(at) > 8_640_000_000_000_000) return '-';
  return new Date(at).toISOString().replace('.000Z', 'Z');
}

/** `a=b,c=d`, or a dash. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  const text = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  return text === '' ? '-' : text;
}

/** The key of a result as it is written, or a dash where there is none. */
export function keyText(key: unknown): string {
  if (key === null || key === undefined) return '-';
  return typeof key === 'string' ? key : JSON.stringify(key);
}
