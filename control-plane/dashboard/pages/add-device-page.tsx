/**
 * Adds devices: one command to copy, then the page waits. The device shows up by itself, first as
 * enrolled, then as connected; nobody has to press anything.
 */
import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { AgentItem } from '../../http/live-messages.ts';
import type { TokenItem } from '../api/api-items.ts';
import { isForThisMachine } from '../fleet/enroll-command.ts';
import { type LabelInput, parseLabels } from '../fleet/label-input.ts';
import { newDevices } from '../fleet/new-devices.ts';
import { plural } from '../format/amount.ts';
import { formatDuration } from '../format/time.ts';
import { asError, useApp, useNow, useObservable } from '../hooks.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { FirstResult } from '../parts/first-result.tsx';
import { ErrorNote, Panel } from '../parts/panel.tsx';
import { ConnectionState } from '../parts/state-mark.tsx';
import { paths } from '../router.ts';

const HOUR = 3_600_000;
const EXPIRIES = [
  { ms: HOUR, word: '1 hour' },
  { ms: 24 * HOUR, word: '1 day' },
  { ms: 7 * 24 * HOUR, word: '1 week' },
  { ms: 30 * 24 * HOUR, word: '30 days' },
] as const;
const USES = [1, 10, 100, 1000] as const;

interface Invitation {
  readonly token: TokenItem;
  readonly labels: Readonly<Record<string, string>>;
  readonly uses: number;
  readonly knownBefore: ReadonlySet<string>;
}

export function AddDevicePage(): JSX.Element {
  const [invitation, setInvitation] = useState<Invitation | null>(null);
  return (
    <div class="page narrow">
      <nav class="crumbs" aria-label="Where this is">
        <a href={paths.devices}>Devices</a>
      </nav>
      <header class="page-head">
        <div>
          <h1>Add device</h1>
          <p class="lede">One command on the device. It then connects by itself, from then on.</p>
        </div>
      </header>
      {invitation === null ? (
        <InvitationForm onMade={setInvitation} />
      ) : (
        <>
          <Command invitation={invitation} onAgain={() => setInvitation(null)} />
          <Arrivals invitation={invitation} />
        </>
      )}
    </div>
  );
}

function InvitationForm({ onMade }: { onMade: (made: Invitation) => void }): JSX.Element {
  const app = useApp();
  const me = useObservable(app.me);
  const { loaded } = useObservable(app.fleet);
  const [text, setText] = useState('');
  const [expiresMs, setExpiresMs] = useState<number>(HOUR);
  const [uses, setUses] = useState<number>(1);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const parsed = parseLabels(text);
  const make = async (): Promise<void> => {
    if (!parsed.ok) return;
    setBusy(true);
    setError(null);
    // Taken before the request: a device that is quicker than the answer still counts as new.
    const knownBefore = new Set(app.fleet.value.agents.keys());
    try {
      const { labels } = parsed;
      const token = await app.api.createToken({ role: 'agent', labels, uses, expiresMs });
      onMade({ token, labels, uses, knownBefore });
    } catch (thrown) {
      setError(asError(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title="What joins">
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <LabelsField text={text} parsed={parsed} onText={setText} />
        <Limits expiresMs={expiresMs} uses={uses} onExpires={setExpiresMs} onUses={setUses} />
        {error === null ? null : <ErrorNote error={error} />}
        {me?.role === 'viewer' ? (
          <p class="help">You are signed in as a viewer; an operator can add devices.</p>
        ) : null}
        <button type="submit" class="button primary" disabled={busy || !parsed.ok || !loaded}>
          {busy ? 'Working…' : 'Make the command'}
        </button>
      </form>
    </Panel>
  );
}

function LabelsField({
  text,
  parsed,
  onText,
}: {
  text: string;
  parsed: LabelInput;
  onText: (text: string) => void;
}): JSX.Element {
  return (
    <label class="field">
      <span>Labels, fixed for what joins with this command</span>
      <input
        type="text"
        placeholder="site=lyon, role=press"
        autocomplete="off"
        spellcheck={false}
        value={text}
        aria-invalid={!parsed.ok}
        aria-describedby="labels-help"
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <span id="labels-help" class={parsed.ok ? 'help' : 'help wrong'} aria-live="polite">
        {parsed.ok ? 'Jobs choose devices by their labels. They may stay empty.' : parsed.error}
      </span>
    </label>
  );
}

function Limits({
  expiresMs,
  uses,
  onExpires,
  onUses,
}: {
  expiresMs: number;
  uses: number;
  onExpires: (ms: number) => void;
  onUses: (uses: number) => void;
}): JSX.Element {
  return (
    <div class="field-row">
      <label class="field">
        <span>Valid for</span>
        <select
          value={expiresMs}
          onChange={(event) => onExpires(Number(event.currentTarget.value))}
        >
          {EXPIRIES.map(({ ms, word }) => (
            <option key={ms} value={ms}>
              {word}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Devices</span>
        <select value={uses} onChange={(event) => onUses(Number(event.currentTarget.value))}>
          {USES.map((count) => (
            <option key={count} value={count}>
              {count === 1 ? '1 device' : `up to ${count}`}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

function Command({
  invitation,
  onAgain,
}: {
  invitation: Invitation;
  onAgain: () => void;
}): JSX.Element {
  const now = useNow();
  const { token, uses } = invitation;
  const command = token.install.command ?? token.enrollCommand;
  const left = token.expiresAt === null ? null : token.expiresAt - now;
  const over = left !== null && left <= 0;
  const span = left === null ? '' : `, for another ${formatDuration(left)}`;
  return (
    <Panel
      title="Run this on the device"
      actions={
        <button type="button" class="button" onClick={onAgain}>
          Another command
        </button>
      }
    >
      <div class="command">
        <code id="enroll-command">{command}</code>
        <CopyButton primary text={command} label="Copy" selectId="enroll-command" />
      </div>
      <p class="help">
        {over
          ? 'This command has expired. Make another one.'
          : `Good for ${plural(uses, 'device')}${span}. Its secret is shown only now.`}
      </p>
      <p class="help">
        {token.install.command === null
          ? `This needs the sources on the device: ${token.install.problem ?? 'no archives here'}.`
          : 'It needs curl or wget there. Without root rights leave out $(command -v sudo).'}
      </p>
      {isForThisMachine(command) ? (
        <p class="help">
          It works on this machine only; give the control plane --public-url for other devices.
        </p>
      ) : null}
    </Panel>
  );
}

function Arrivals({ invitation }: { invitation: Invitation }): JSX.Element {
  const { agents } = useObservable(useApp().fleet);
  const { knownBefore, labels } = invitation;
  const arrived = useMemo(
    () => newDevices(agents.values(), knownBefore, labels),
    [agents, knownBefore, labels],
  );
  const connected = arrived.filter((agent) => agent.connection === 'online').length;
  return (
    <section class="arrivals" aria-live="polite">
      {arrived.length === 0 ? (
        <div class="arrival waiting">
          <span class="drift" aria-hidden="true" />
          <p>
            <strong>Waiting for the device…</strong>
            <span class="quiet">This turns to connected by itself.</span>
          </p>
        </div>
      ) : null}
      {arrived.map((agent) => (
        <Arrival key={agent.id} agent={agent} />
      ))}
      {connected > 1 ? <p class="quiet">{plural(connected, 'device')} connected</p> : null}
    </section>
  );
}

function Arrival({ agent }: { agent: AgentItem }): JSX.Element {
  const here = agent.status === 'approved' && agent.connection === 'online';
  return (
    <div class={here ? 'arrival here' : 'arrival waiting'} data-agent={agent.id}>
      {here ? null : <span class="drift" aria-hidden="true" />}
      <p>
        <strong>
          {agent.name} {here ? 'is connected' : 'is enrolled'}
        </strong>
        <span class="quiet">
          {agent.status === 'pending'
            ? 'Its name was used with another key before: open it to approve.'
            : here
              ? 'Jobs for its labels start now.'
              : 'It connects in a moment.'}
        </span>
      </p>
      <ConnectionState status={agent.status} connection={agent.connection} />
      <a class="button" href={paths.device(agent.id)}>
        Open
      </a>
      {here ? <FirstResult agent={agent} /> : null}
    </div>
  );
}
