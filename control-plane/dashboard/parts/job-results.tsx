/**
 * What a job produces, live: one column as lines per key, and the newest rows as a table. The
 * newest page comes from the API, the rest over the websocket; both are merged by window, so a
 * repeated row or a higher revision never counts twice.
 */
import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ResultItem } from '../../http/live-messages.ts';
import {
  alignSeries,
  allColumns,
  columnValue,
  keyLabel,
  latestResults,
  mergeResults,
  numericColumns,
  seriesOf,
} from '../charts/result-series.ts';
import { columnFormat, formatCount, formatValue } from '../format/amount.ts';
import { formatTimestamp, formatWindow } from '../format/time.ts';
import { useApp, useLoaded, useObservable } from '../hooks.ts';
import { paths } from '../router.ts';
import { Chart } from './chart.tsx';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';

const TABLE_ROWS = 15;

export function JobResults({ dataset }: { dataset: string }): JSX.Element {
  const app = useApp();
  const first = useLoaded(`results/${dataset}`, () => app.api.newestResults(dataset));
  const [items, setItems] = useState<readonly ResultItem[]>([]);
  const loaded = first.status === 'ready' ? first.value : null;
  useEffect(() => {
    if (loaded !== null) setItems((known) => mergeResults(loaded, known));
  }, [loaded]);
  useEffect(
    () => app.followDataset(dataset, (fresh) => setItems((known) => mergeResults(known, fresh))),
    [app, dataset],
  );
  return (
    <Panel title="Results" note={dataset}>
      {first.status === 'loading' ? <Loading what="results" /> : null}
      {first.status === 'failed' ? <ErrorNote error={first.error} retry={first.reload} /> : null}
      {first.status === 'ready' && items.length === 0 ? (
        <EmptyNote>No results yet. The chart begins with the first one.</EmptyNote>
      ) : null}
      {items.length === 0 ? null : (
        <>
          <ResultChart items={items} />
          <ResultTable items={items} />
        </>
      )}
    </Panel>
  );
}

function useAgentName(): (id: string) => string {
  const { agents } = useObservable(useApp().fleet);
  return (id) => agents.get(id)?.name ?? id;
}

function ResultChart({ items }: { items: readonly ResultItem[] }): JSX.Element {
  const agentName = useAgentName();
  const columns = useMemo(() => numericColumns(items), [items]);
  const [chosen, setChosen] = useState<string | null>(null);
  const [search, setSearch] = useState('');
  const column = chosen !== null && columns.includes(chosen) ? chosen : columns[0];
  const { lines, total, shown } = useMemo(() => {
    const set = seriesOf(items, column ?? '', { search, agentName });
    const { times, values } = alignSeries(set.shown);
    const series = set.shown.map(({ label }, index) => ({ label, values: values[index] ?? [] }));
    return { lines: { times, series }, total: set.total, shown: set.shown.length };
  }, [items, column, search]);
  if (column === undefined) return <EmptyNote>No column of these results holds numbers.</EmptyNote>;
  return (
    <div class="result-chart">
      <div class="filters">
        <label class="field">
          <span>Column</span>
          <select value={column} onChange={(event) => setChosen(event.currentTarget.value)}>
            {columns.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Key</span>
          <input
            type="search"
            placeholder="contains"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <span class="shown" role="status">
          {shown === total
            ? `${formatCount(total)} series`
            : `${shown} of ${formatCount(total)} series shown, narrow by key`}
        </span>
      </div>
      <Chart
        title={column}
        times={lines.times}
        series={lines.series}
        format={formatValue}
        height={240}
      />
    </div>
  );
}

function ResultTable({ items }: { items: readonly ResultItem[] }): JSX.Element {
  const app = useApp();
  const agentName = useAgentName();
  const rows = useMemo(() => latestResults(items, TABLE_ROWS), [items]);
  const columns = useMemo(
    () =>
      allColumns(rows).map((name) => ({
        name,
        format: columnFormat(rows.map((row) => columnValue(row, name))),
      })),
    [rows],
  );
  const now = app.now.value;
  const windowed = rows.some((row) => row.windowStart !== null);
  return (
    <div class="table-wrap" tabIndex={0} role="region" aria-label="Newest results">
      <table class="table wide">
        <caption>The newest {rows.length} results</caption>
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">{windowed ? 'Window' : 'Time'}</th>
            {columns.map(({ name }) => (
              <th scope="col" class="num" key={name}>
                {name}
              </th>
            ))}
            <th scope="col">Device</th>
            <th scope="col" class="num">
              Revision
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.agent}/${row.epoch}/${row.lane}/${row.seq}`}>
              <th scope="row">{keyLabel(row.key)}</th>
              <td class="when">
                {windowed
                  ? formatWindow(row.windowStart, row.windowEnd, now)
                  : formatTimestamp(row.time)}
              </td>
              {columns.map(({ name, format }) => (
                <td class="num" key={name}>
                  {format(columnValue(row, name))}
                </td>
              ))}
              <td>
                <a href={paths.device(row.agent)}>{agentName(row.agent)}</a>
              </td>
              <td class="num">{row.revision}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
