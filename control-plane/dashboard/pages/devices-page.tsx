/**
 * The devices of the fleet, worst first. The filter lives in the address, so that a view can be
 * bookmarked and sent to a colleague.
 */
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { readFilter, writeFilter } from '../fleet/filter-query.ts';
import { countFleet, type FleetFilter, noFilter, selectRows } from '../fleet/fleet-view.ts';
import { plural } from '../format/amount.ts';
import { useApp, useObservable } from '../hooks.ts';
import { address, replaceQuery } from '../navigation.ts';
import { AddDeviceLink } from '../parts/add-device-link.tsx';
import { FleetFilters } from '../parts/fleet-filters.tsx';
import { FleetList } from '../parts/fleet-list.tsx';
import { FleetSummary } from '../parts/fleet-summary.tsx';
import { NoDevices } from '../parts/no-devices.tsx';
import { EmptyNote } from '../parts/panel.tsx';
import { PageLoading } from '../parts/whole-page.tsx';

export function DevicesPage(): JSX.Element {
  const app = useApp();
  const fleet = useObservable(app.fleet);
  const { query } = useObservable(address);
  const search = useRef<HTMLInputElement>(null);
  const filter = useMemo(() => readFilter(query), [query]);
  const counts = useMemo(() => countFleet(fleet.agents.values()), [fleet.agents]);
  const rows = useMemo(() => selectRows(fleet.agents.values(), filter), [fleet.agents, filter]);
  const change = (part: Partial<FleetFilter>): void =>
    replaceQuery(writeFilter({ ...filter, ...part }));
  useSlashKey(search);
  if (!fleet.loaded) return <PageLoading title="Devices" what="the fleet" />;
  if (fleet.agents.size === 0) return <NoDevices />;
  return (
    <div class="page fleet-page">
      <header class="page-head">
        <div>
          <h1>Devices</h1>
          <p class="lede">
            {plural(counts.all, 'device')}
            {counts.attention === 0
              ? ', nothing needs attention'
              : `, ${counts.attention} ${counts.attention === 1 ? 'needs' : 'need'} attention`}
          </p>
        </div>
        <AddDeviceLink />
      </header>
      <FleetSummary counts={counts} facet={filter.facet} onFacet={(facet) => change({ facet })} />
      <FleetFilters
        agents={fleet.agents}
        filter={filter}
        shown={rows.length}
        searchRef={search}
        onChange={change}
      />
      {rows.length === 0 ? (
        <EmptyNote>
          No device matches.{' '}
          <button type="button" class="link" onClick={() => change(noFilter)}>
            Show all
          </button>
        </EmptyNote>
      ) : (
        <FleetList rows={rows} />
      )}
    </div>
  );
}

/** `/` moves to the search, as engineers expect; not while they type elsewhere. */
function useSlashKey(search: { current: HTMLInputElement | null }): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const typing =
        event.target instanceof Element && event.target.closest('input,select,textarea');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [search]);
}
