/** One device: what is wrong with it, what it runs, what it measures, what happened to it. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { AgentDetail } from '../../http/live-messages.ts';
import { addReading, type WorkReading } from '../fleet/work-history.ts';
import { OldContext, useApp, useLoaded, useMayOperate, useRefresh } from '../hooks.ts';
import { AlertPanel } from '../parts/alert-panel.tsx';
import { ConditionList } from '../parts/condition-list.tsx';
import { ConfirmDialog } from '../parts/confirm-dialog.tsx';
import { DeviceFacts } from '../parts/device-facts.tsx';
import { DeviceJobs } from '../parts/device-jobs.tsx';
import { EventList } from '../parts/event-list.tsx';
import { HealthAxes } from '../parts/health-axes.tsx';
import { HostCharts } from '../parts/host-charts.tsx';
import { Labels } from '../parts/labels.tsx';
import { ErrorNote, Loading, Panel } from '../parts/panel.tsx';
import { Ago } from '../parts/relative-time.tsx';
import { DeviceSources } from '../parts/device-sources.tsx';
import { ConnectionState } from '../parts/state-mark.tsx';
import { isNotThere, NotThere, PageFailure, PageLoading } from '../parts/whole-page.tsx';
import { WorkCharts } from '../parts/work-charts.tsx';
import { paths } from '../router.ts';

export function DevicePage({ id }: { id: string }): JSX.Element {
  const app = useApp();
  const loaded = useLoaded(`agent/${id}`, () => app.api.agent(id));
  const [live, setLive] = useState<AgentDetail | null>(null);
  // The address may carry a name; the live view knows ids alone.
  const agentId = loaded.status === 'ready' ? loaded.value.id : null;
  useEffect(
    () => (agentId === null ? undefined : app.followAgent(agentId, setLive)),
    [app, agentId],
  );
  if (loaded.status === 'loading') return <PageLoading title="Device" what="the device" />;
  if (loaded.status === 'ready') {
    return <Device agent={live ?? loaded.value} reload={loaded.reload} />;
  }
  const { error, reload } = loaded;
  const wayOn = { href: paths.devices, word: 'To the devices' };
  if (!isNotThere(error)) {
    return <PageFailure title="Device" error={error} retry={reload} wayOn={wayOn} />;
  }
  return (
    <NotThere heading="No such device" name={id} wayOn={wayOn}>
      is not, or no longer, part of this fleet.
    </NotThere>
  );
}

/** What it does now and did while one looks. */
function useWork(agent: AgentDetail): readonly WorkReading[] {
  const [readings, setReadings] = useState<readonly WorkReading[]>([]);
  useEffect(() => setReadings((known) => addReading(known, agent)), [agent]);
  return readings;
}

function Device({ agent, reload }: { agent: AgentDetail; reload: () => void }): JSX.Element {
  const work = useWork(agent);
  return (
    <div class="page">
      <nav class="crumbs" aria-label="Where this is">
        <a href={paths.devices}>Devices</a>
      </nav>
      <header class="page-head device-head">
        <div>
          <h1>{agent.name}</h1>
          <p class="lede">
            <ConnectionState status={agent.status} connection={agent.connection} />
            <span>
              Last seen <Ago at={agent.lastSeenAt} />
            </span>
            <Labels labels={agent.labels} fixed={agent.fixedLabels} />
          </p>
        </div>
        <DeviceActions agent={agent} onDone={reload} />
      </header>
      {agent.status === 'approved' ? <HealthAxes agent={agent} /> : null}
      <div class="columns">
        <div class="column-main">
          <ConditionList agent={agent} />
          <AlertPanel of={{ agent: agent.id }} />
          <OldContext.Provider value={agent.connection === 'offline' || agent.status === 'revoked'}>
            <DeviceJobs agent={agent} work={work} />
            <WorkCharts readings={work} />
            <HostCharts id={agent.id} newest={agent.host} />
            <DeviceSources sources={agent.sources} />
          </OldContext.Provider>
        </div>
        <div class="column-side">
          <DeviceFacts agent={agent} />
          <DeviceEvents id={agent.id} />
        </div>
      </div>
    </div>
  );
}

function DeviceEvents({ id }: { id: string }): JSX.Element {
  const app = useApp();
  const events = useLoaded(`events/${id}`, () => app.api.agentEvents(id));
  useRefresh(events);
  return (
    <Panel title="Events">
      {events.status === 'loading' ? <Loading what="events" /> : null}
      {events.status === 'failed' ? <ErrorNote error={events.error} retry={events.reload} /> : null}
      {events.status === 'ready' ? <EventList events={events.value} /> : null}
    </Panel>
  );
}

function DeviceActions({
  agent,
  onDone,
}: {
  agent: AgentDetail;
  onDone: () => void;
}): JSX.Element | null {
  const app = useApp();
  const mayOperate = useMayOperate();
  const [asking, setAsking] = useState<'approve' | 'revoke' | null>(null);
  if (!mayOperate || agent.status === 'revoked') return null;
  const act = async (what: 'approve' | 'revoke'): Promise<void> => {
    await (what === 'approve' ? app.api.approve(agent.id) : app.api.revoke(agent.id));
    onDone();
  };
  return (
    <div class="actions">
      {agent.status === 'pending' ? (
        <button type="button" class="button primary" onClick={() => setAsking('approve')}>
          Approve…
        </button>
      ) : null}
      <button type="button" class="button" onClick={() => setAsking('revoke')}>
        Revoke…
      </button>
      {asking === 'approve' ? (
        <ConfirmDialog
          title={`Approve ${agent.name}?`}
          confirm="Approve"
          kind="primary"
          onConfirm={() => act('approve')}
          onClose={() => setAsking(null)}
        >
          Another device of this name was enrolled with another key. Approve only if you know that
          this device was set up anew, or is a different one.
        </ConfirmDialog>
      ) : null}
      {asking === 'revoke' ? (
        <ConfirmDialog
          title={`Revoke ${agent.name}?`}
          confirm="Revoke"
          kind="danger"
          onConfirm={() => act('revoke')}
          onClose={() => setAsking(null)}
        >
          Its connection is cut at once and its credentials never work again. What it has not sent
          yet stays on the device. To return, it must enrol again with a new token.
        </ConfirmDialog>
      ) : null}
    </div>
  );
}
