/** Alerts: what is open, what was, what is held back, who is told, and what was sent. */
import type { JSX } from 'preact';
import { useMayOperate } from '../hooks.ts';
import { AlertBook } from '../parts/alert-book.tsx';
import { NotificationLog } from '../parts/notification-log.tsx';
import { ReceiverList } from '../parts/receiver-list.tsx';
import { SilenceList } from '../parts/silence-list.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { ALERT_TABS, type AlertTab, paths } from '../router.ts';

const WORDS: Readonly<Record<AlertTab, string>> = {
  open: 'Open',
  history: 'History',
  silences: 'Silences',
  receivers: 'Receivers',
  notifications: 'Sent',
};

export function AlertsPage({ tab }: { tab: AlertTab }): JSX.Element {
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Alerts</h1>
          <p class="lede">What is wrong, who was told, and who knows</p>
        </div>
      </header>
      <Tabs
        label="Parts of the alerts"
        current={tab}
        tabs={ALERT_TABS.map((key) => ({ key, word: WORDS[key], href: paths.alerts(key) }))}
      />
      <Body tab={tab} />
    </div>
  );
}

function Body({ tab }: { tab: AlertTab }): JSX.Element {
  const mayOperate = useMayOperate();
  switch (tab) {
    case 'open':
    case 'history':
      return <AlertBook key={tab} open={tab === 'open'} />;
    case 'silences':
      return <SilenceList mayOperate={mayOperate} />;
    case 'receivers':
      return <ReceiverList />;
    case 'notifications':
      return <NotificationLog />;
  }
}
