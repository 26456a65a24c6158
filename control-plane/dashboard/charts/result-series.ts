/**
 * From result rows to lines of a chart. Pure.
 *
 * A window counts once, with its highest revision; a retraction (`value: null`) removes it. Series
 * are drawn per key (and per device, when there is more than one); at most `SERIES_MAX` at a time,
 * because a chart with fifty lines says nothing: the page says how many there are and lets the
 * reader narrow them.
 */
import type { ResultItem } from '../../http/live-messages.ts';

export const SERIES_MAX = 8;
/** Results held by the page; the oldest go first. */
export const RESULTS_MAX = 5000;

export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [at: number, value: number])[];
}

export interface SeriesSet {
  /** At most `SERIES_MAX`, in natural order of their labels. */
  readonly shown: readonly Series[];
  /** How many match in all. */
  readonly total: number;
}

function identity(item: ResultItem): string {
  const { agent, job, step, key, windowStart, windowEnd } = item;
  // A result without a window is a record of its own, not a revision of another.
  const own = windowStart === null ? `${item.epoch}/${item.lane}/${item.seq}` : '';
  return JSON.stringify([agent, job, step, key, windowStart, windowEnd, own]);
}

/**
 * Adds `incoming` to `known`: the same row twice counts once, and of a window only the newest
 * revision stays. The `RESULTS_MAX` rows that were stored last are kept.
 */
export function mergeResults(
  known: readonly ResultItem[],
  incoming: readonly ResultItem[],
): readonly ResultItem[] {
  if (incoming.length === 0) return known;
  const byWindow = new Map<string, ResultItem>();
  for (const item of [...known, ...incoming]) {
    const id = identity(item);
    const before = byWindow.get(id);
    if (before !== undefined && isNewer(before, item)) continue;
    // Deleted first so that the newer revision takes its place at the end.
    byWindow.delete(id);
    byWindow.set(id, item);
  }
  const merged = [...byWindow.values()];
  if (merged.length <= RESULTS_MAX) return merged;
  return merged.sort((a, b) => a.receivedAt - b.receivedAt || a.seq - b.seq).slice(-RESULTS_MAX);
}

/** As the store judges it: the higher revision, and of equal ones the later. */
function isNewer(a: ResultItem, b: ResultItem): boolean {
  return a.revision > b.revision || (a.revision === b.revision && a.receivedAt > b.receivedAt);
}

/** What a table or chart shows: retractions are gone, newest event time first. */
export function latestResults(items: readonly ResultItem[], max: number): ResultItem[] {
  return items
    .filter((item) => item.value !== null || item.windowEnd === null)
    .sort((a, b) => b.time - a.time || b.seq - a.seq)
    .slice(0, max);
}

/** The columns that hold numbers in any of the rows; `value` stands for a bare number. */
export function numericColumns(items: readonly ResultItem[]): string[] {
  return columnsOf(items, (value) => typeof value === 'number');
}

/** Every column of the rows' values, in the order in which they first appear. */
export function allColumns(items: readonly ResultItem[]): string[] {
  return columnsOf(items, () => true);
}

function columnsOf(items: readonly ResultItem[], accept: (value: unknown) => boolean): string[] {
  const columns = new Set<string>();
  for (const { value } of items) {
    if (value === null) continue;
    if (!isObject(value)) {
      if (accept(value)) columns.add('value');
      continue;
    }
    for (const [name, field] of Object.entries(value)) if (accept(field)) columns.add(name);
  }
  return [...columns];
}

export function columnValue(item: ResultItem, column: string): unknown {
  if (isObject(item.value)) return item.value[column];
  return column === 'value' ? item.value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function keyLabel(key: unknown): string {
  if (key === null || key === undefined) return 'all';
  return typeof key === 'string' ? key : JSON.stringify(key);
}

const collator = new Intl.Collator('en', { numeric: true });

export function seriesOf(
  items: readonly ResultItem[],
  column: string,
  options: { readonly search?: string; readonly agentName: (id: string) => string },
): SeriesSet {
  const agents = new Set(items.map((item) => item.agent));
  const wanted = (options.search ?? '').trim().toLowerCase();
  const points = new Map<string, [number, number][]>();
  for (const item of items) {
    const value = columnValue(item, column);
    if (typeof value !== 'number' || !Number.isFinite(value)) continue;
    const key = keyLabel(item.key);
    const label = agents.size > 1 ? `${key} · ${options.agentName(item.agent)}` : key;
    if (!label.toLowerCase().includes(wanted)) continue;
    const line = points.get(label) ?? [];
    line.push([item.windowEnd ?? item.time, value]);
    points.set(label, line);
  }
  const labels = [...points.keys()].sort((a, b) => collator.compare(a, b));
  const shown = labels.slice(0, SERIES_MAX).map((label) => ({
    label,
    points: (points.get(label) ?? []).sort(([a], [b]) => a - b),
  }));
  return { shown, total: labels.length };
}

/** Values of a line over the times of all: null is a gap, undefined another line's time. */
export type LineValues = (number | null | undefined)[];

/** Points further apart than that many usual distances have a gap between them. */
const GAP_DISTANCES = 4;

/**
 * Series over one common, ascending time axis: the shape uPlot draws. Where a series paused, a time
 * of its own holds the gap, so that no line is drawn through what was not measured.
 */
export function alignSeries(series: readonly Series[]): {
  readonly times: number[];
  readonly values: LineValues[];
} {
  const lines = series.map(({ points }) => withGaps(points));
  const times = [...new Set(lines.flatMap((line) => line.map(([at]) => at)))].sort((a, b) => a - b);
  const position = new Map(times.map((at, index) => [at, index]));
  const values = lines.map((points) => {
    const line: LineValues = times.map(() => undefined);
    for (const [at, value] of points) line[position.get(at) ?? 0] = value;
    return line;
  });
  return { times, values };
}

function withGaps(points: Series['points']): (readonly [at: number, value: number | null])[] {
  const distances = points.slice(1).map(([at], index) => at - points[index]![0]);
  const usual = distances.toSorted((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 0;
  return points.flatMap((point, index) => {
    const distance = distances[index] ?? 0;
    if (usual === 0 || distance <= GAP_DISTANCES * usual) return [point];
    return [point, [point[0] + usual, null] as const];
  });
}
