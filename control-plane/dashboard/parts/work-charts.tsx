/** Records a second and lag of a device's stream jobs, since this page was opened. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { type WorkReading, workLines } from '../fleet/work-history.ts';
import { formatValue } from '../format/amount.ts';
import { Chart } from './chart.tsx';
import { EmptyNote, Panel } from './panel.tsx';

export function WorkCharts({ readings }: { readings: readonly WorkReading[] }): JSX.Element | null {
  const lines = useMemo(() => workLines(readings), [readings]);
  const [newest] = readings.slice(-1);
  if (newest === undefined || Object.keys(newest.jobs).length === 0) return null;
  return (
    <Panel title="Work" note="since this page was opened">
      {lines.times.length < 2 ? (
        <EmptyNote>The charts begin with the third heartbeat.</EmptyNote>
      ) : (
        <div class="chart-grid">
          <Chart
            title="Records in, per second"
            times={lines.times}
            series={lines.in}
            format={formatValue}
          />
          <Chart title="Lag, records" times={lines.times} series={lines.lag} format={formatValue} />
        </div>
      )}
    </Panel>
  );
}
