/** The open alerts of a job or a device. Absent when there is none. */
import type { JSX } from 'preact';
import { isOpen, sortAlerts } from '../alerts/alert-list.ts';
import { plural } from '../format/amount.ts';
import { useApp, useLoaded, useRefresh } from '../hooks.ts';
import { paths } from '../router.ts';
import { AlertRows } from './alert-rows.tsx';
import { ErrorNote, Panel } from './panel.tsx';

const SHOWN_AT_FIRST = 5;

export function AlertPanel({
  of,
}: {
  of: { readonly job: string } | { readonly agent: string };
}): JSX.Element | null {
  const app = useApp();
  const loaded = useLoaded(`alerts/${JSON.stringify(of)}`, () =>
    app.api.alerts.list({ ...of, state: 'open' }),
  );
  useRefresh(loaded);
  if (loaded.status === 'loading') return null;
  if (loaded.status === 'failed') {
    return (
      <Panel title="Alerts">
        <ErrorNote error={loaded.error} retry={loaded.reload} />
      </Panel>
    );
  }
  const open = sortAlerts(loaded.value.filter(isOpen));
  if (open.length === 0) return null;
  const firing = open.filter(({ state }) => state === 'firing').length;
  return (
    <Panel
      title="Alerts"
      note={firing === 0 ? 'none that nobody knows of' : `${plural(firing, 'alert')} firing`}
      actions={<a href={paths.alerts()}>All alerts</a>}
    >
      <AlertRows alerts={open} onDone={loaded.reload} atFirst={SHOWN_AT_FIRST} />
    </Panel>
  );
}
