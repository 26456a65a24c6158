/** Who is told of alerts. An administrator edits and tests them; secrets are not shown. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ReceiverItem } from '../../http/alert-messages.ts';
import { formatCell } from '../format/amount.ts';
import { asError, useApp, useLoaded, useObservable, useRefresh } from '../hooks.ts';
import type { Look } from './look.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';
import { ReceiverDialog } from './receiver-dialog.tsx';
import { Ago } from './relative-time.tsx';
import { Worded } from './state-mark.tsx';

export function ReceiverList(): JSX.Element {
  const app = useApp();
  const me = useObservable(app.me);
  const loaded = useLoaded('receivers', () => app.api.alerts.receivers());
  useRefresh(loaded);
  const [editing, setEditing] = useState<ReceiverItem | 'new' | null>(null);
  const mayEdit = me?.role === 'admin';
  const add = mayEdit ? (
    <button type="button" class="button" onClick={() => setEditing('new')}>
      Add a receiver…
    </button>
  ) : undefined;
  return (
    <Panel title="Receivers" actions={add}>
      {loaded.status === 'loading' ? <Loading what="receivers" /> : null}
      {loaded.status === 'failed' ? <ErrorNote error={loaded.error} retry={loaded.reload} /> : null}
      {loaded.status === 'ready' && loaded.value.length === 0 ? (
        <EmptyNote>
          Nobody is told of alerts yet: they are seen here only. An administrator adds a webhook, a
          mailbox, a Slack-compatible channel or an Alertmanager, here or with{' '}
          <code>runnel receivers set NAME</code>.
        </EmptyNote>
      ) : null}
      {loaded.status === 'ready' ? (
        <ul class="receivers">
          {loaded.value.map((item) => (
            <Receiver
              key={item.name}
              item={item}
              onEdit={mayEdit ? () => setEditing(item) : null}
              onDone={loaded.reload}
            />
          ))}
        </ul>
      ) : null}
      {editing === null || loaded.status === 'loading' ? null : (
        <ReceiverDialog
          item={editing === 'new' ? null : editing}
          onDone={loaded.reload}
          onClose={() => setEditing(null)}
        />
      )}
    </Panel>
  );
}

function lookOf({ lastError, lastSentAt }: ReceiverItem): Look {
  if (lastError !== null) return { shape: 'square', tone: 'error', word: 'Fails' };
  if (lastSentAt === null) return { shape: 'ring', tone: 'quiet', word: 'Not used yet' };
  return { shape: 'disc', tone: 'ok', word: 'Works' };
}

function Receiver({
  item,
  onEdit,
  onDone,
}: {
  item: ReceiverItem;
  /** Null for those who may not. */
  onEdit: (() => void) | null;
  onDone: () => void;
}): JSX.Element {
  const settings = Object.entries({ ...item.settings, ...item.secrets });
  return (
    <li class="receiver" data-receiver={item.name}>
      <div class="receiver-head">
        <strong>{item.name}</strong>
        <span class="quiet">{item.kind}</span>
        <Worded look={lookOf(item)} />
        <span class="quiet">
          last sent <Ago at={item.lastSentAt} />
        </span>
        {onEdit === null ? null : (
          <span class="receiver-actions">
            <TestButton name={item.name} onDone={onDone} />
            <button
              type="button"
              class="button small"
              aria-label={`Change ${item.name}`}
              onClick={onEdit}
            >
              Change…
            </button>
            <DeleteButton name={item.name} onDone={onDone} />
          </span>
        )}
      </div>
      <p class="sub">
        {item.selector === '' ? 'Gets every alert' : null}
        {item.selector === '' ? null : (
          <>
            Gets alerts with <code>{item.selector}</code>
          </>
        )}
        , from severity {item.severity} on
        {item.sendResolved ? ', and hears when they end' : ''}
      </p>
      {settings.length === 0 ? null : (
        <p class="sub mono">
          {settings.map(([key, value]) => `${key}: ${formatCell(value)}`).join(' · ')}
        </p>
      )}
      {item.lastError === null ? null : <p class="wrong">{item.lastError}</p>}
    </li>
  );
}

type Outcome = 'idle' | 'busy' | 'sent' | Error;

function TestButton({ name, onDone }: { name: string; onDone: () => void }): JSX.Element {
  const app = useApp();
  const [outcome, setOutcome] = useState<Outcome>('idle');
  const test = async (): Promise<void> => {
    setOutcome('busy');
    try {
      const { outcome: came, error } = await app.api.alerts.testReceiver(name);
      setOutcome(came === 'sent' ? 'sent' : new Error(error ?? 'It was not sent.'));
    } catch (thrown) {
      setOutcome(asError(thrown));
    }
    onDone();
  };
  return (
    <span class="receiver-test">
      <span role="status">{outcome === 'sent' ? 'The test was sent.' : ''}</span>
      <button
        type="button"
        class="button small"
        disabled={outcome === 'busy'}
        aria-label={`Send a test to ${name}`}
        onClick={() => void test()}
      >
        {outcome === 'busy' ? 'Sending…' : 'Send a test'}
      </button>
      {outcome instanceof Error ? <ErrorNote error={outcome} /> : null}
    </span>
  );
}

function DeleteButton({ name, onDone }: { name: string; onDone: () => void }): JSX.Element {
  const app = useApp();
  const [asking, setAsking] = useState(false);
  return (
    <>
      <button
        type="button"
        class="button small"
        aria-label={`Delete ${name}`}
        onClick={() => setAsking(true)}
      >
        Delete…
      </button>
      {asking ? (
        <ConfirmDialog
          title={`Delete ${name}?`}
          confirm="Delete"
          kind="danger"
          onConfirm={async () => {
            await app.api.alerts.deleteReceiver(name);
            onDone();
          }}
          onClose={() => setAsking(false)}
        >
          It is told nothing more, and its secrets are forgotten. What it was sent stays in the log.
        </ConfirmDialog>
      ) : null}
    </>
  );
}
