/** The first page: what needs a person, each with its cause and where one acts; then the whole. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { AttentionItem } from '../../http/live-messages.ts';
import { countFleet } from '../fleet/fleet-view.ts';
import type { FleetState } from '../fleet/fleet-state.ts';
import { formatCount, plural } from '../format/amount.ts';
import { useApp, useObservable } from '../hooks.ts';
import { attentionList } from '../overview/attention-list.ts';
import {
  connectionSegments,
  jobSegments,
  rolloutSegments,
  slaSegments,
} from '../overview/segments.ts';
import { useAttention } from '../overview/use-attention.ts';
import { AddDeviceLink } from '../parts/add-device-link.tsx';
import { AttentionLines } from '../parts/attention-lines.tsx';
import { NoDevices } from '../parts/no-devices.tsx';
import { Panel } from '../parts/panel.tsx';
import { SegmentBar } from '../parts/segment-bar.tsx';
import { Mark } from '../parts/state-mark.tsx';
import { PageLoading } from '../parts/whole-page.tsx';
import { paths } from '../router.ts';

export function OverviewPage(): JSX.Element {
  const fleet = useObservable(useApp().fleet);
  const seen = useAttention();
  if (!fleet.loaded || seen === null) return <PageLoading title="Overview" what="the fleet" />;
  if (fleet.agents.size === 0) return <NoDevices />;
  return <Overview fleet={fleet} seen={seen} />;
}

function Overview({ fleet, seen }: { fleet: FleetState; seen: AttentionItem }): JSX.Element {
  const list = useMemo(() => attentionList(fleet.agents.values(), seen), [fleet.agents, seen]);
  const counts = useMemo(() => countFleet(fleet.agents.values()), [fleet.agents]);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Overview</h1>
          <p class="lede">
            {plural(counts.all, 'device')}, {plural(fleet.jobs.size, 'job')}
          </p>
        </div>
        <AddDeviceLink />
      </header>
      <div class="stack">
        <Panel
          title="Needs attention"
          note={list.open.length === 0 ? undefined : plural(list.open.length, 'thing')}
          actions={<a href={paths.alerts()}>All alerts</a>}
        >
          {list.open.length === 0 ? (
            <p class="all-well state">
              <Mark shape="disc" tone="ok" />
              Nothing needs attention.
            </p>
          ) : null}
          <AttentionLines list={list} />
          {seen.alertsMore === 0 ? null : (
            <p class="fine">
              <a href={paths.alerts()}>{plural(seen.alertsMore, 'more alert')}</a> beyond what is
              looked at here
            </p>
          )}
        </Panel>
        <Bars fleet={fleet} seen={seen} counts={counts} />
      </div>
    </div>
  );
}

function Bars({
  fleet,
  seen,
  counts,
}: {
  fleet: FleetState;
  seen: AttentionItem;
  counts: ReturnType<typeof countFleet>;
}): JSX.Element {
  const promises = Object.values(seen.slaCounts).reduce((sum, each) => sum + each, 0);
  const jobs = [...fleet.jobs.values()];
  return (
    <Panel title="The fleet">
      <div class="segment-grid">
        <SegmentBar
          title="Connection"
          unit={plural(counts.all, 'device')}
          segments={connectionSegments(counts)}
        />
        <SegmentBar title="Jobs" unit={plural(jobs.length, 'job')} segments={jobSegments(jobs)} />
        <SegmentBar
          title="Rollouts"
          unit="the newest of each job"
          segments={rolloutSegments(jobs)}
        />
        <SegmentBar
          title="SLAs"
          unit={`${formatCount(promises)} ${promises === 1 ? 'promise' : 'promises'}`}
          segments={slaSegments(seen.slaCounts)}
        />
      </div>
    </Panel>
  );
}
