/** Alerts, one line each: what, where, since when, how often, and what one can do about it. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { AlertItem } from '../../http/alert-messages.ts';
import { alertLook, severityLookOf, sourceWord } from '../alerts/alert-look.ts';
import { isOpen } from '../alerts/alert-list.ts';
import { formatCount } from '../format/amount.ts';
import { formatDuration } from '../format/time.ts';
import { asError, useApp, useMayOperate } from '../hooks.ts';
import { paths } from '../router.ts';
import { ErrorNote } from './panel.tsx';
import { Ago, Since } from './relative-time.tsx';
import { SilenceDialog } from './silence-dialog.tsx';
import { Worded } from './state-mark.tsx';

const SHOWN_MORE = 50;

export function AlertRows({
  alerts,
  onDone,
  atFirst = 25,
}: {
  alerts: readonly AlertItem[];
  /** Something was done with one of them. */
  onDone: () => void;
  atFirst?: number;
}): JSX.Element {
  const [shown, setShown] = useState(atFirst);
  const rest = alerts.length - shown;
  return (
    <>
      <ul class="attention alerts">
        {alerts.slice(0, shown).map((alert) => (
          <AlertRow key={alert.id} alert={alert} onDone={onDone} />
        ))}
      </ul>
      {rest <= 0 ? null : (
        <button
          type="button"
          class="button small more"
          onClick={() => setShown(shown + SHOWN_MORE)}
        >
          Show more ({formatCount(rest)} left)
        </button>
      )}
    </>
  );
}

function AlertRow({ alert, onDone }: { alert: AlertItem; onDone: () => void }): JSX.Element {
  const mayOperate = useMayOperate();
  const severity = alert.state === 'firing' ? alert.severity : 'ok';
  return (
    <li
      class={`attention-line severity-${severity}`}
      data-alert={alert.id}
      data-state={alert.state}
    >
      <Worded look={alertLook(alert)} />
      <div class="attention-text">
        <a class="attention-what" href={alert.link || paths.alerts()}>
          {alert.title}
        </a>
        <p class="attention-cause">{alert.message}</p>
        <p class="attention-places">
          <About alert={alert} />
        </p>
      </div>
      <span class="attention-since">
        {alert.endedAt === null ? <Since at={alert.startedAt} /> : <Ago at={alert.endedAt} />}
        {alert.endedAt === null ? null : (
          <span>after {formatDuration(alert.endedAt - alert.startedAt)}</span>
        )}
        {alert.count > 1 ? <span>said {formatCount(alert.count)} times</span> : null}
      </span>
      {mayOperate && isOpen(alert) ? <Actions alert={alert} onDone={onDone} /> : null}
    </li>
  );
}

function About({ alert }: { alert: AlertItem }): JSX.Element {
  const { agent, agentName, job, labels, source, state } = alert;
  return (
    <>
      <span>{sourceWord(source)}</span>
      {job === null ? null : <a href={paths.job(job)}>{job}</a>}
      {agent === null ? null : <a href={paths.device(agent)}>{agentName ?? agent}</a>}
      {labels.site === undefined ? null : <span>site {labels.site}</span>}
      {state === 'firing' ? null : <span>{severityLookOf(alert.severity).word.toLowerCase()}</span>}
      {alert.acknowledgedBy === null ? null : <span>acknowledged by {alert.acknowledgedBy}</span>}
      {alert.silencedBy === null ? null : <a href={paths.alerts('silences')}>by a silence</a>}
    </>
  );
}

function Actions({ alert, onDone }: { alert: AlertItem; onDone: () => void }): JSX.Element {
  const app = useApp();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [silencing, setSilencing] = useState(false);
  const taken = alert.acknowledgedBy !== null;
  const toggle = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await (taken ? app.api.alerts.unacknowledge(alert.id) : app.api.alerts.acknowledge(alert.id));
      onDone();
    } catch (thrown) {
      setError(asError(thrown));
    } finally {
      setBusy(false);
    }
  };
  const name = (verb: string): string => `${verb}: ${alert.title}`;
  return (
    <div class="alert-actions">
      <button
        type="button"
        class="button small"
        disabled={busy}
        aria-label={name(taken ? 'Take back' : 'Acknowledge')}
        onClick={() => void toggle()}
      >
        {taken ? 'Take back' : 'Acknowledge'}
      </button>
      <button
        type="button"
        class="button small"
        aria-label={name('Silence')}
        onClick={() => setSilencing(true)}
      >
        Silence…
      </button>
      {error === null ? null : <ErrorNote error={error} />}
      {silencing ? (
        <SilenceDialog alert={alert} onDone={onDone} onClose={() => setSilencing(false)} />
      ) : null}
    </div>
  );
}
