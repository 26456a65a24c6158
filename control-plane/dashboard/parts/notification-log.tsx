/** What was sent to whom, and what could not be. */
import type { JSX } from 'preact';
import type { NotificationItem } from '../../http/alert-messages.ts';
import { plural } from '../format/amount.ts';
import { useApp, useLoaded, useRefresh } from '../hooks.ts';
import type { Look } from './look.ts';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';
import { Ago } from './relative-time.tsx';
import { Worded } from './state-mark.tsx';

const OUTCOMES: Readonly<Record<NotificationItem['outcome'], Look>> = {
  sent: { shape: 'disc', tone: 'ok', word: 'Sent' },
  retrying: { shape: 'triangle', tone: 'warning', word: 'Tried again' },
  failed: { shape: 'square', tone: 'error', word: 'Given up' },
};

export function NotificationLog(): JSX.Element {
  const app = useApp();
  const loaded = useLoaded('notifications', () => app.api.alerts.notifications());
  useRefresh(loaded);
  return (
    <Panel title="Sent">
      {loaded.status === 'loading' ? <Loading what="what was sent" /> : null}
      {loaded.status === 'failed' ? <ErrorNote error={loaded.error} retry={loaded.reload} /> : null}
      {loaded.status === 'ready' && loaded.value.length === 0 ? (
        <EmptyNote>Nothing was sent yet.</EmptyNote>
      ) : null}
      {loaded.status === 'ready' && loaded.value.length > 0 ? <Log items={loaded.value} /> : null}
    </Panel>
  );
}

function Log({ items }: { items: readonly NotificationItem[] }): JSX.Element {
  return (
    <div class="table-wrap">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Receiver</th>
            <th scope="col">Outcome</th>
            <th scope="col">What</th>
            <th scope="col">When</th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.id}>
              <th scope="row">{item.receiver}</th>
              <td data-label="Outcome">
                <Worded look={OUTCOMES[item.outcome]} />
                {item.error === null ? null : <span class="sub wrong">{item.error}</span>}
              </td>
              <td data-label="What">
                {item.alerts.length === 0 ? 'a test' : plural(item.alerts.length, 'alert')}
                {item.attempts < 2 ? null : <span class="sub">{item.attempts} attempts</span>}
              </td>
              <td data-label="When">
                <Ago at={item.at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
