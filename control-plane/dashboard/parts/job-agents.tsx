/** The devices of one job, worst first, as many as can be read; the rest is counted. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { JobAgentItem } from '../../http/live-messages.ts';
import { isBrokenPhase } from '@runnel/shared/health/device-health.ts';
import { isBroken } from '../fleet/attention.ts';
import { phaseWord } from '../fleet/fleet-view.ts';
import { formatCount } from '../format/amount.ts';
import { paths } from '../router.ts';
import { connectionLook, Mark, phaseLook } from './state-mark.tsx';

/** An older version works on while the wanted one cannot start. */
const BEHIND = { shape: 'triangle', tone: 'warning' } as const;

const SHOWN_AT_FIRST = 12;
const SHOWN_MORE = 100;

export function JobAgents({ agents }: { agents: readonly JobAgentItem[] }): JSX.Element | null {
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  if (agents.length === 0) return null;
  const sorted = [...agents].sort(worstFirst);
  const rest = sorted.length - shown;
  return (
    <>
      <ul class="job-agents">
        {sorted.slice(0, shown).map((agent) => (
          <AgentLine key={agent.agent} agent={agent} />
        ))}
      </ul>
      {rest <= 0 ? null : (
        <button type="button" class="button small" onClick={() => setShown(shown + SHOWN_MORE)}>
          Show more ({formatCount(rest)} left)
        </button>
      )}
    </>
  );
}

function AgentLine({ agent }: { agent: JobAgentItem }): JSX.Element {
  const unseen = agent.connection === 'offline' || agent.connection === 'never';
  const tried = isBroken(agent) && agent.attempted !== null ? agent.attempted : null;
  const look = tried !== null && agent.phase === 'running' ? BEHIND : phaseLook(agent.phase);
  return (
    <li>
      <a href={paths.device(agent.agent)}>{agent.name}</a>
      <span class="state">
        {unseen ? <Mark {...connectionLook('approved', agent.connection)} /> : <Mark {...look} />}
        {unseen ? `unknown, ${agent.connection}` : phaseWord(agent.phase)}
      </span>
      <span class="quiet num">{agent.version === null ? '–' : `v${agent.version}`}</span>
      {tried === null ? null : (
        <span class="attempt-reason">
          v{tried.version} {phaseWord(tried.phase)}: {tried.reason || 'no reason given'}
        </span>
      )}
    </li>
  );
}

function worstFirst(a: JobAgentItem, b: JobAgentItem): number {
  const rank = (agent: JobAgentItem): number => {
    if (isBrokenPhase(agent.phase)) return 4;
    if (isBroken(agent)) return 3;
    if (agent.connection !== 'online') return 2;
    return agent.phase === 'running' ? 0 : 1;
  };
  return rank(b) - rank(a) || a.name.localeCompare(b.name, 'en', { numeric: true });
}
