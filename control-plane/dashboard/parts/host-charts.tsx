/** The device itself over the last while. What its platform does not offer is left out. */
import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { HostPoint } from '../../http/live-messages.ts';
import { appendHost, usedPercent } from '../charts/host-history.ts';
import { formatBytes, formatPercent } from '../format/amount.ts';
import { useApp, useLoaded } from '../hooks.ts';
import { Chart, type ChartProps, type ChartSeries } from './chart.tsx';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';

export function HostCharts({ id, newest }: { id: string; newest: HostPoint | null }): JSX.Element {
  const app = useApp();
  const history = useLoaded(`host/${id}`, () => app.api.agentHost(id));
  const [points, setPoints] = useState<readonly HostPoint[]>([]);
  const loaded = history.status === 'ready' ? history.value : null;
  useEffect(() => {
    // The history is whole and replaces what was gathered, so that a gap closes after a reconnect.
    if (loaded !== null) setPoints((known) => appendHost(appendHost([], loaded), known));
  }, [loaded]);
  useEffect(() => {
    if (newest !== null) setPoints((known) => appendHost(known, [newest]));
  }, [newest]);
  return (
    <Panel title="Host">
      {history.status === 'loading' ? <Loading what="readings" /> : null}
      {history.status === 'failed' ? (
        <ErrorNote error={history.error} retry={history.reload} />
      ) : null}
      {history.status === 'ready' && points.length === 0 ? (
        <EmptyNote>No readings yet: they come with the heartbeats.</EmptyNote>
      ) : null}
      {points.length === 0 ? null : <Charts points={points} />}
    </Panel>
  );
}

function Charts({ points }: { points: readonly HostPoint[] }): JSX.Element {
  const charts = useMemo(() => chartsOf(points), [points]);
  return (
    <div class="chart-grid">
      {charts.map((chart) => (
        <Chart key={chart.title} {...chart} height={132} />
      ))}
    </div>
  );
}

const PERCENT = { format: formatPercent, range: [0, 100] } as const;

function chartsOf(points: readonly HostPoint[]): ChartProps[] {
  const times = points.map((point) => point.at);
  const line = (label: string, read: (point: HostPoint) => number | null) => ({
    label,
    values: points.map(read),
  });
  const charts: ChartProps[] = [
    {
      title: 'CPU',
      times,
      ...PERCENT,
      series: [
        line('Device', (point) => point.cpuPercent),
        line('Agent', (point) => point.agentCpuPercent),
      ],
    },
    {
      title: 'Memory and disk',
      times,
      ...PERCENT,
      series: [
        line('Memory', (point) => usedPercent(point.memoryUsedBytes, point.memoryTotalBytes)),
        line('Disk', (point) => usedPercent(point.diskUsedBytes, point.diskTotalBytes)),
      ],
    },
    {
      title: 'Agent memory',
      times,
      format: formatBytes,
      series: [line('Resident', (point) => point.agentRssBytes)],
    },
    {
      title: 'Load',
      times,
      format: (value) => value.toFixed(2),
      series: [line('1 minute', (point) => point.load1)],
    },
    {
      title: 'Temperature',
      times,
      format: (value) => `${value.toFixed(1)} °C`,
      series: [line('Hottest sensor', (point) => point.temperatureCelsius)],
    },
  ];
  return charts
    .map((chart) => ({ ...chart, series: chart.series.filter(hasValues) }))
    .filter((chart) => chart.series.length > 0);
}

function hasValues(series: ChartSeries): boolean {
  return series.values.some((value) => typeof value === 'number');
}
