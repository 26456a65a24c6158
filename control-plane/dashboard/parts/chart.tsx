/**
 * A time chart with its own legend. uPlot comes in a file of its own that is fetched when the first
 * chart is shown. Lines differ in dash as well as in colour. The legend shows the value under the
 * cursor, else the newest; the same numbers are in the text for a screen reader.
 */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatClock, formatTimestamp } from '../format/time.ts';
import { useObservable } from '../hooks.ts';
import { theme } from '../theme.ts';
import type { ChartHandle } from '../charts/draw-chart.ts';

export interface ChartSeries {
  readonly label: string;
  /** One per time; null is a gap, undefined another line's time. */
  readonly values: readonly (number | null | undefined)[];
}

export interface ChartProps {
  readonly title: string;
  /** Ascending epoch ms. */
  readonly times: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly format: (value: number) => string;
  /** A fixed scale, for percentages and the like. */
  readonly range?: readonly [number, number];
  readonly height?: number;
}

export function Chart(props: ChartProps): JSX.Element {
  const { title, times, series, format, range, height = 160 } = props;
  const host = useRef<HTMLDivElement>(null);
  const handle = useRef<ChartHandle | null>(null);
  const newest = useRef(props);
  const [cursor, setCursor] = useState<number | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const shade = useObservable(theme);
  newest.current = props;
  const shape = JSON.stringify([shade, height, range, series.map(({ label }) => label)]);
  useEffect(() => {
    let current = true;
    const draw = async (): Promise<void> => {
      const { drawChart } = await import('../charts/draw-chart.ts');
      if (!current || host.current === null) return;
      handle.current = drawChart(host.current, newest.current, height, setCursor);
    };
    draw().catch((error: unknown) => {
      console.error('the chart cannot be drawn', error);
      if (current) setFailure('The chart could not be loaded. Reload the page to try again.');
    });
    return () => {
      current = false;
      handle.current?.destroy();
      handle.current = null;
    };
  }, [shape]);
  useEffect(() => handle.current?.setData(times, series), [times, series]);
  const at = cursor === null ? undefined : times[cursor];
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="chart-at">{at === undefined ? '' : formatTimestamp(at)}</span>
      </figcaption>
      <div class="chart-plot" ref={host} style={{ height: `${height}px` }} aria-hidden="true">
        {failure}
      </div>
      <ul class="legend">
        {series.map((line, index) => (
          <li key={line.label}>
            <svg class={`swatch series-${index}`} width="18" height="8" aria-hidden="true">
              <path d="M0 4h18" />
            </svg>
            <span class="legend-label" title={line.label}>
              {line.label}
            </span>
            <span class="legend-value">{valueAt(line.values, cursor, format)}</span>
          </li>
        ))}
      </ul>
      {times.length === 0 ? null : (
        <span class="visually-hidden">
          {times.length} readings, the last at {formatClock(times.at(-1) ?? 0)}.
        </span>
      )}
    </figure>
  );
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number';
}

function valueAt(
  values: ChartSeries['values'],
  cursor: number | null,
  format: (value: number) => string,
): string {
  const value = cursor === null ? values.findLast(isNumber) : values[cursor];
  return isNumber(value) ? format(value) : '–';
}
