/** The alerts of a job or a device: what fires, then what resolved lately. Absent when none was. */
import type { JSX } from 'preact';
import { keyLabel } from '../charts/result-series.ts';
import { type CurrentAlert, currentAlerts } from '../fleet/current-alerts.ts';
import { formatCell, plural } from '../format/amount.ts';
import { useApp, useLoaded, useObservable, useRefresh } from '../hooks.ts';
import { paths } from '../router.ts';
import { ErrorNote, Panel } from './panel.tsx';
import { Ago, Since } from './relative-time.tsx';
import { Mark, type Shape, type Tone } from './state-mark.tsx';

const SHOWN_MAX = 20;
const FIELDS_MAX = 4;

export function AlertPanel({
  of,
}: {
  of: { readonly job: string } | { readonly agent: string };
}): JSX.Element | null {
  const app = useApp();
  const loaded = useLoaded(`alerts/${JSON.stringify(of)}`, () => app.api.alerts(of));
  useRefresh(loaded);
  if (loaded.status === 'loading') return null;
  if (loaded.status === 'failed') {
    return (
      <Panel title="Alerts">
        <ErrorNote error={loaded.error} retry={loaded.reload} />
      </Panel>
    );
  }
  const alerts = currentAlerts(loaded.value);
  if (alerts.length === 0) return null;
  const firing = alerts.filter((alert) => alert.firing).length;
  const hidden = alerts.length - SHOWN_MAX;
  return (
    <Panel title="Alerts" note={firing === 0 ? 'none fires now' : `${firing} firing`}>
      <ul class="conditions">
        {alerts.slice(0, SHOWN_MAX).map((alert) => (
          <AlertRow key={`${alert.item.epoch}/${alert.item.seq}`} alert={alert} of={of} />
        ))}
      </ul>
      {hidden > 0 ? <p class="fine">and {plural(hidden, 'more alert')}</p> : null}
    </Panel>
  );
}

function look(alert: CurrentAlert): { shape: Shape; tone: Tone; word: string } {
  if (!alert.firing) return { shape: 'ring', tone: 'quiet', word: 'Resolved' };
  if (alert.severity === 'critical') return { shape: 'square', tone: 'error', word: 'Critical' };
  if (alert.severity === 'info') return { shape: 'ring', tone: 'info', word: 'Note' };
  return { shape: 'triangle', tone: 'warning', word: 'Warning' };
}

function AlertRow({ alert, of }: { alert: CurrentAlert; of: object }): JSX.Element {
  const { agents } = useObservable(useApp().fleet);
  const { item } = alert;
  const { shape, tone, word } = look(alert);
  const fields = alert.fields.slice(0, FIELDS_MAX);
  return (
    <li class="condition">
      <span class="state">
        <Mark shape={shape} tone={tone} />
        {word}
      </span>
      <span class="condition-text">
        {keyLabel(item.key)}: {item.step}
        {alert.absent ? ', nothing comes' : ''}
        <span class="event-about">
          {'agent' in of ? (
            <a href={paths.job(item.job)}>{item.job}</a>
          ) : (
            <a href={paths.device(item.agent)}>{agents.get(item.agent)?.name ?? item.agent}</a>
          )}
          {fields.map(([name, value]) => (
            <span key={name}>
              {name} {formatCell(value)}
            </span>
          ))}
        </span>
      </span>
      <span class="condition-since">
        {alert.firing ? <Since at={item.time} /> : <Ago at={item.time} />}
      </span>
    </li>
  );
}
