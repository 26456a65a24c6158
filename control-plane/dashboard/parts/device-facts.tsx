/** What a device is, and what waits in its outbox. */
import type { ComponentChildren, JSX } from 'preact';
import type { AgentDetail, OutboxItem } from '../../http/live-messages.ts';
import { formatBytes, formatCount } from '../format/amount.ts';
import { formatDuration, formatTimestamp } from '../format/time.ts';
import { useNow } from '../hooks.ts';
import { EmptyNote, Panel } from './panel.tsx';
import { Ago } from './relative-time.tsx';

export function DeviceFacts({ agent }: { agent: AgentDetail }): JSX.Element {
  const { os, arch, node } = agent.platform;
  return (
    <>
      <Panel title="Device">
        <dl class="facts">
          <Fact name="Id">
            <span class="mono">{agent.id}</span>
          </Fact>
          <Fact name="Agent">{agent.version}</Fact>
          <Fact name="Platform">
            {os} {arch}, Node {node.replace(/^v/, '')}
          </Fact>
          <Fact name="Agent started">
            {agent.startedAt === null ? '–' : <Ago at={agent.startedAt} />}
          </Fact>
          <Fact name="Enrolled">
            <Ago at={agent.enrolledAt} />
          </Fact>
          <Fact name="Credentials">
            <Credentials agent={agent} />
          </Fact>
          {agent.capabilities.length === 0 ? null : (
            <Fact name="Can run">{agent.capabilities.join(', ')}</Fact>
          )}
        </dl>
      </Panel>
      <Panel title="Outbox">
        {agent.outbox === null ? (
          <EmptyNote>Not reported yet.</EmptyNote>
        ) : (
          <Outbox outbox={agent.outbox} />
        )}
      </Panel>
    </>
  );
}

function Credentials({ agent }: { agent: AgentDetail }): JSX.Element {
  const now = useNow();
  if (agent.revokedAt !== null) {
    return (
      <>
        revoked <Ago at={agent.revokedAt} />
      </>
    );
  }
  const until = agent.credentialsExpireAt;
  if (until === null) return <>–</>;
  return (
    <span title={formatTimestamp(until)}>
      {until > now
        ? `valid for ${formatDuration(until - now)}, renewed by itself`
        : 'expired; renewed when it is back'}
    </span>
  );
}

function Outbox({ outbox }: { outbox: OutboxItem }): JSX.Element {
  const now = useNow();
  return (
    <dl class="facts">
      <Fact name="Waiting">
        {outbox.rows === 0 ? 'nothing' : `${formatCount(outbox.rows)} rows`}
        {outbox.rows === 0 ? '' : `, ${formatBytes(outbox.bytes)}`}
      </Fact>
      <Fact name="Oldest">
        {outbox.oldestAt === null ? '–' : formatDuration(now - outbox.oldestAt)}
      </Fact>
      <Fact name="Lost">
        {outbox.lost === 0 ? 'none' : `${formatCount(outbox.lost)} rows, over its bound`}
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
