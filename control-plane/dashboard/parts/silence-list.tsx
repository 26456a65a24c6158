/** Silences: which alerts are held back, until when, by whom and why. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { SilenceItem } from '../../http/alert-messages.ts';
import { formatTimestamp } from '../format/time.ts';
import { useApp, useLoaded, useNow, useRefresh } from '../hooks.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';
import { Ago } from './relative-time.tsx';
import { SilenceDialog } from './silence-dialog.tsx';

export function SilenceList({ mayOperate }: { mayOperate: boolean }): JSX.Element {
  const app = useApp();
  const [making, setMaking] = useState(false);
  const loaded = useLoaded('silences', () => app.api.alerts.silences());
  useRefresh(loaded);
  const add = mayOperate ? (
    <button type="button" class="button" onClick={() => setMaking(true)}>
      Silence alerts…
    </button>
  ) : undefined;
  return (
    <Panel title="Silences" actions={add}>
      {loaded.status === 'loading' ? <Loading what="silences" /> : null}
      {loaded.status === 'failed' ? <ErrorNote error={loaded.error} retry={loaded.reload} /> : null}
      {loaded.status === 'ready' ? (
        <Silences items={loaded.value} mayOperate={mayOperate} onDone={loaded.reload} />
      ) : null}
      {making && loaded.status !== 'loading' ? (
        <SilenceDialog onDone={loaded.reload} onClose={() => setMaking(false)} />
      ) : null}
    </Panel>
  );
}

function Silences({
  items,
  mayOperate,
  onDone,
}: {
  items: readonly SilenceItem[];
  mayOperate: boolean;
  onDone: () => void;
}): JSX.Element {
  const app = useApp();
  const [ending, setEnding] = useState<SilenceItem | null>(null);
  if (items.length === 0) return <EmptyNote>No alert is held back.</EmptyNote>;
  return (
    <>
      <div class="table-wrap">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Alerts with</th>
              <th scope="col">Until</th>
              <th scope="col">Why</th>
              <th scope="col">By</th>
              <th scope="col">
                <span class="visually-hidden">End it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={item.id}>
                <th scope="row">
                  <code>{item.selector}</code>
                </th>
                <td data-label="Until">
                  <Until item={item} />
                </td>
                <td data-label="Why">{item.comment}</td>
                <td data-label="By">{item.by}</td>
                <td class="num">
                  {mayOperate ? (
                    <button type="button" class="button small" onClick={() => setEnding(item)}>
                      End…
                    </button>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {ending === null ? null : (
        <ConfirmDialog
          title="End this silence?"
          confirm="End the silence"
          kind="primary"
          onConfirm={async () => {
            await app.api.alerts.endSilence(ending.id);
            onDone();
          }}
          onClose={() => setEnding(null)}
        >
          Alerts with <code>{ending.selector}</code> that still fire are told again.
        </ConfirmDialog>
      )}
    </>
  );
}

function Until({ item }: { item: SilenceItem }): JSX.Element {
  const now = useNow();
  if (item.until <= now) return <span class="quiet">it is over</span>;
  return (
    <span title={formatTimestamp(item.until)}>
      <Ago at={item.until} />
      {item.from > now ? (
        <span class="sub">
          begins <Ago at={item.from} />
        </span>
      ) : null}
    </span>
  );
}
