/** What the control plane knows of devices at this moment, as a rollout looks at them. */
import type { ConnectionState } from '../http/live-messages.ts';
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import type { Sight } from './rollout-device.ts';
import type { RolloutState } from './rollout-state.ts';

/** The verdicts on the SLAs of a job on one device; `since` in epoch ms. */
export type SlaVerdicts = (
  agent: string,
  job: string,
) => readonly {
  readonly sla: string;
  readonly verdict: 'met' | 'atRisk' | 'breached' | 'unreachable';
  readonly since: number;
}[];

export interface SightParts {
  readonly report: (agent: string) => {
    readonly connection: ConnectionState;
    readonly heartbeat: Heartbeat | undefined;
  };
  /** It has spoken since the control plane can hear. */
  readonly hasSpoken: (agent: string) => boolean;
  readonly desired: {
    readonly revisionOf: (agent: string) => number;
    readonly versionsOf: (agent: string) => ReadonlyMap<string, number>;
  };
  readonly slaVerdicts: SlaVerdicts;
}

export function isConnected(connection: ConnectionState): boolean {
  return connection === 'online' || connection === 'late';
}

export function sightOf(parts: SightParts, agent: string, state: RolloutState): Sight {
  const { job, devices, phase, version, from, strategy } = state;
  const { connection, heartbeat } = parts.report(agent);
  const revision = parts.desired.revisionOf(agent);
  const target = phase === 'rollingBack' || phase === 'rolledBack' ? from : version;
  const device = devices.get(agent);
  // Only of one that was told the version can be said whether it is placed there.
  const told = device?.assigned === target ? target : null;
  const isPlaced = told === null || parts.desired.versionsOf(agent).get(job) === told;
  const { slas } = strategy;
  const verdicts = slas.length === 0 ? [] : parts.slaVerdicts(agent, job);
  return {
    link: !isConnected(connection) ? 'silent' : parts.hasSpoken(agent) ? 'heard' : 'unheard',
    placed: revision > 0 && isPlaced,
    current: (heartbeat?.observedRevision ?? 0) >= revision,
    job: heartbeat?.jobs.find(({ name }) => name === job) ?? null,
    breaches: verdicts.filter(({ sla, verdict }) => verdict === 'breached' && slas.includes(sla)),
  };
}
