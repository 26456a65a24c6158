/** Open alerts or those that are over, with filters that live in the address. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import {
  type AlertFilter,
  isOpen,
  matchesAlert,
  noAlertFilter,
  readAlertFilter,
  sortAlerts,
  writeAlertFilter,
} from '../alerts/alert-list.ts';
import { SEVERITY_WORDS, severityLookOf, SOURCE_WORDS, sourceWord } from '../alerts/alert-look.ts';
import { formatCount } from '../format/amount.ts';
import { useApp, useLoaded, useObservable, useRefresh } from '../hooks.ts';
import { address, replaceQuery } from '../navigation.ts';
import { AlertRows } from './alert-rows.tsx';
import { Facets } from './facets.tsx';
import { icons } from './icons.tsx';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';

/** Alerts come by the second, and this page is where one waits for them. */
const REFRESH_MS = 2000;

export function AlertBook({ open }: { open: boolean }): JSX.Element {
  const app = useApp();
  const { query } = useObservable(address);
  const filter = useMemo(() => readAlertFilter(query), [query]);
  const loaded = useLoaded(`alerts/${String(open)}`, () =>
    app.api.alerts.list({ state: open ? 'open' : 'resolved' }),
  );
  useRefresh(loaded, REFRESH_MS);
  if (loaded.status === 'loading') return <Loading what="alerts" />;
  if (loaded.status === 'failed') return <ErrorNote error={loaded.error} retry={loaded.reload} />;
  const all = loaded.value.filter((alert) => isOpen(alert) === open);
  const shown = sortAlerts(all.filter((alert) => matchesAlert(alert, filter)));
  const change = (part: Partial<AlertFilter>): void =>
    replaceQuery(writeAlertFilter({ ...filter, ...part }));
  if (all.length === 0) {
    return (
      <Panel title={open ? 'Open' : 'History'}>
        <EmptyNote>{open ? 'No alert is open.' : 'No alert was resolved yet.'}</EmptyNote>
      </Panel>
    );
  }
  return (
    <>
      <Facets
        label="Filter by severity"
        chosen={filter.severity}
        onChoose={(severity) => change({ severity })}
        facets={SEVERITY_WORDS.map((key) => ({
          ...{ key, look: severityLookOf(key) },
          count: all.filter(({ severity }) => severity === key).length,
        }))}
      />
      <Filters filter={filter} shown={shown.length} of={all.length} onChange={change} />
      <Panel title={open ? 'Open' : 'History'}>
        {shown.length === 0 ? (
          <EmptyNote>
            No alert matches.{' '}
            <button type="button" class="link" onClick={() => change(noAlertFilter)}>
              Show all
            </button>
          </EmptyNote>
        ) : (
          <AlertRows alerts={shown} onDone={loaded.reload} />
        )}
      </Panel>
    </>
  );
}

function Filters({
  filter,
  shown,
  of,
  onChange,
}: {
  filter: AlertFilter;
  shown: number;
  of: number;
  onChange: (part: Partial<AlertFilter>) => void;
}): JSX.Element {
  return (
    <div class="filters">
      <label class="search">
        <span class="visually-hidden">Search alerts</span>
        {icons.search}
        <input
          type="search"
          placeholder="Title, device, job, label"
          value={filter.search}
          onInput={(event) => onChange({ search: event.currentTarget.value })}
        />
      </label>
      <label class="select">
        <span class="visually-hidden">Source</span>
        <select
          value={filter.source ?? ''}
          onChange={(event) => {
            const source = SOURCE_WORDS.find((each) => each === event.currentTarget.value);
            onChange({ source: source ?? null });
          }}
        >
          <option value="">Every source</option>
          {SOURCE_WORDS.map((source) => (
            <option key={source} value={source}>
              {sourceWord(source)}
            </option>
          ))}
        </select>
      </label>
      <span class="shown" role="status">
        {formatCount(shown)} of {formatCount(of)} shown
      </span>
    </div>
  );
}
