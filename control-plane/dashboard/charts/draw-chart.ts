/**
 * uPlot behind one function: sizes with its container, takes colours and dashes from the style
 * sheet (so that themes live in one place), and reports the cursor.
 */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface ChartHandle {
  setData(times: readonly number[], series: readonly Line[]): void;
  destroy(): void;
}

interface Line {
  readonly label: string;
  /** Null is a gap, undefined another line's time. */
  readonly values: readonly (number | null | undefined)[];
}

export interface ChartData {
  readonly times: readonly number[];
  readonly series: readonly Line[];
  readonly format: (value: number) => string;
  readonly range?: readonly [number, number];
}

/** Colour and dash together tell lines apart: eight colours twice over would not. */
const DASHES: readonly number[][] = [[], [7, 3], [2, 3], [9, 3, 2, 3]];

export function drawChart(
  host: HTMLElement,
  data: ChartData,
  height: number,
  onCursor: (index: number | null) => void,
): ChartHandle {
  const plot = new uPlot(
    options(host, data, height, onCursor),
    table(data.times, data.series),
    host,
  );
  const resize = new ResizeObserver(() => {
    const width = Math.floor(host.clientWidth);
    if (width > 0 && width !== plot.width) plot.setSize({ width, height });
  });
  resize.observe(host);
  return {
    setData: (times, series) => plot.setData(table(times, series)),
    destroy: () => {
      resize.disconnect();
      plot.destroy();
    },
  };
}

function table(times: readonly number[], series: readonly Line[]): uPlot.AlignedData {
  return [[...times], ...series.map(({ values }) => [...values])];
}

function options(
  host: HTMLElement,
  { series, format, range }: ChartData,
  height: number,
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(host);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--ink-3'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: Math.max(1, Math.floor(host.clientWidth)),
    height,
    ms: 1,
    legend: { show: false },
    // Room for half of the last time, which is centred on its tick.
    padding: [8, 26, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { y: range === undefined ? { range: autoRange } : { range: [range[0], range[1]] } },
    axes: [
      { ...axis, space: 80, values: axisTimes, size: 26 },
      {
        ...axis,
        size: (_plot, values) => 14 + 6.2 * Math.max(4, ...(values ?? []).map((v) => v.length)),
        space: 32,
        values: (_plot, splits) => splits.map((split) => format(split)),
      },
    ],
    series: [
      {},
      ...series.map((line, index) => ({
        label: line.label,
        stroke: colour(`--series-${index}`),
        width: 1.6,
        dash: DASHES[Math.floor(index / 2) % DASHES.length] ?? [],
        points: { show: false, filter: loneValues },
      })),
    ],
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)] },
  };
}

/** Where a gap is on both sides of a value no line can show it. */
function loneValues(plot: uPlot, line: number): number[] | null {
  const values = plot.data[line] ?? [];
  const there = [...values.keys()].filter((index) => values[index] !== undefined);
  const isValue = (index: number | undefined): boolean =>
    index !== undefined && typeof values[index] === 'number';
  const lone = there.filter(
    (index, at) => isValue(index) && !isValue(there[at - 1]) && !isValue(there[at + 1]),
  );
  return lone.length === 0 ? null : lone;
}

/** Some air above and below; a flat line is not drawn on the frame. */
function autoRange(_plot: uPlot, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const span = high - low;
  const air = span === 0 ? Math.max(Math.abs(high) * 0.1, 0.5) : span * 0.12;
  // A quantity that is never negative keeps zero as its floor.
  return [low >= 0 && low - air < 0 ? 0 : low - air, high + air];
}

function axisTimes(_plot: uPlot, splits: number[]): string[] {
  const span = (splits.at(-1) ?? 0) - (splits[0] ?? 0);
  return splits.map((at) => {
    const date = new Date(at);
    const two = (value: number): string => String(value).padStart(2, '0');
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
    if (span > 2 * 86_400_000) return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
    return span < 5 * 60_000 ? `${clock}:${two(date.getSeconds())}` : clock;
  });
}
