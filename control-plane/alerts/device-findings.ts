/**
 * What is wrong with a device, from what it reports and what the control plane sees of it. Pure.
 *
 * A device that is not connected keeps the alerts of its conditions: nobody can say that they are
 * over. One that was revoked or deleted has none.
 */
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type { HealthReport } from '../intake/fleet-health.ts';
import type { AgentRecord } from '../store/agents.ts';
import { agentLabels, agentLink, type Finding, fingerprintOf } from './finding.ts';

type Seen = Pick<HealthReport, 'connection' | 'conditions' | 'lastSeenAt'>;

/** `offline`: it has been silent for long enough to be an alert. */
export function deviceFindings(agent: AgentRecord, seen: Seen, offline: boolean): Finding[] {
  if (agent.status === 'revoked') return [];
  if (agent.status === 'pending') return [pendingFinding(agent)];
  const conditions = seen.conditions
    .filter(({ severity }) => severity === 'warning' || severity === 'error')
    .map((condition) => conditionFinding(agent, condition));
  return offline ? [offlineFinding(agent, seen), ...conditions] : conditions;
}

export const offlineFingerprint = (agent: string): string =>
  fingerprintOf('device', 'offline', agent);

export const conditionFingerprint = (type: string, agent: string): string =>
  fingerprintOf(sourceOf(type), type, agent);

/** A cloned identity is about the device itself, and stays one alert whatever else it reports. */
function sourceOf(type: string): 'condition' | 'device' {
  return type === 'cloned' ? 'device' : 'condition';
}

function deviceFinding(agent: AgentRecord) {
  const head = { agent: agent.id, job: null, link: agentLink(agent.id) } as const;
  return { ...head, source: 'device', labels: agentLabels(agent) } as const;
}

function pendingFinding(agent: AgentRecord): Finding {
  const head = deviceFinding(agent);
  return {
    ...head,
    labels: { ...head.labels, reason: 'pending' },
    fingerprint: fingerprintOf('device', 'pending', agent.id),
    severity: 'info',
    title: `${agent.name} waits for approval`,
    message: `A device enrolled under a name that another has: runnel agents approve ${agent.id}`,
  };
}

function offlineFinding(agent: AgentRecord, { lastSeenAt }: Seen): Finding {
  const head = deviceFinding(agent);
  const seen = lastSeenAt === null ? '' : `, last at ${new Date(lastSeenAt).toISOString()}`;
  return {
    ...head,
    labels: { ...head.labels, reason: 'offline' },
    fingerprint: offlineFingerprint(agent.id),
    severity: 'error',
    title: `${agent.name} is offline`,
    message: `Nothing was heard of it for a while${seen}: it is off, or its network is cut.`,
  };
}

function conditionFinding(agent: AgentRecord, condition: Condition): Finding {
  const { type, severity, reason, axis, message } = condition;
  const head = deviceFinding(agent);
  return {
    ...head,
    source: sourceOf(type),
    labels: { ...head.labels, condition: labelValue(type), reason: labelValue(reason), axis },
    fingerprint: conditionFingerprint(type, agent.id),
    severity: severity === 'error' ? 'error' : 'warning',
    title: `${agent.name}: ${type} ${reason}`,
    message,
  };
}

/** What a selector can name. */
export function labelValue(text: string): string {
  return text.replaceAll(/[,()=!\s\0]/g, '_').slice(0, 128);
}
