/** What is wrong with a device, with the cause and for how long; what is fine takes one line. */
import type { JSX } from 'preact';
import type { AgentDetail } from '../../http/live-messages.ts';
import { attentionOf, type Cause } from '../fleet/attention.ts';
import { Panel } from './panel.tsx';
import { Since } from './relative-time.tsx';
import { SeverityState } from './state-mark.tsx';

export function ConditionList({ agent }: { agent: AgentDetail }): JSX.Element {
  const { causes, level } = attentionOf(agent);
  const fine = agent.conditions.filter((condition) => condition.severity === 'ok');
  return (
    <Panel title="Conditions">
      {causes.length === 0 ? (
        <p class="all-well">
          {level === 'revoked'
            ? 'Revoked: it can no longer connect.'
            : 'The device itself is well.'}
        </p>
      ) : (
        <ul class="conditions">
          {causes.map((cause) => (
            <ConditionRow key={`${cause.severity} ${cause.text}`} cause={cause} />
          ))}
        </ul>
      )}
      {fine.length === 0 ? null : (
        <p class="fine">Fine: {fine.map((condition) => condition.type).join(', ')}</p>
      )}
    </Panel>
  );
}

function ConditionRow({ cause }: { cause: Cause }): JSX.Element {
  return (
    <li class={`condition severity-${cause.severity}`}>
      <SeverityState severity={cause.severity} />
      <span class="condition-text">{cause.text}</span>
      <span class="condition-since">{cause.since === null ? '' : <Since at={cause.since} />}</span>
    </li>
  );
}
