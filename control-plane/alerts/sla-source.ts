/**
 * Promises as alerts: one that is breached is an error, one at risk a warning. While a device
 * cannot be heard nobody can say: what is open stays open, and nothing begins; that the device is
 * offline is an alert of its own.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { SlaItem } from '../http/sla-messages.ts';
import type { AgentRecord } from '../store/agents.ts';
import type { JudgedSource } from './alerting.ts';
import { agentLabels, type Finding, fingerprintOf, jobLink } from './finding.ts';
import type { Judged } from './reconcile.ts';

export interface SlaItems {
  list(): readonly SlaItem[];
  /** Told that a verdict changed or that there is none any more. */
  onChange(listener: () => void): unknown;
}

/** Causes and devices change without a verdict that does. */
const JUDGED_MS_MAX = 60_000;

/** Judges anew after a verdict changed, and now and then. */
export function slaSource(
  slas: SlaItems,
  agent: (id: string) => AgentRecord | undefined,
  clock: Pick<Clock, 'monotonicMs'>,
): JudgedSource {
  let judged: Judged | undefined;
  let judgedAtMs = 0;
  slas.onChange(() => {
    judged = undefined;
  });
  return {
    source: 'sla',
    judge() {
      const nowMs = clock.monotonicMs();
      if (judged === undefined || nowMs - judgedAtMs >= JUDGED_MS_MAX) {
        judged = judgeSlas(slas.list(), agent);
        judgedAtMs = nowMs;
      }
      return judged;
    },
  };
}

export function judgeSlas(
  items: readonly SlaItem[],
  agent: (id: string) => AgentRecord | undefined,
): Judged {
  const findings: Finding[] = [];
  const unknown = new Set<string>();
  for (const item of items) {
    const device = agent(item.agent ?? '');
    // Nothing is expected of it any more, also before its promises are taken back.
    if (device?.status === 'revoked') continue;
    const fingerprint = fingerprintOf('sla', item.job, item.sla, item.agent ?? '');
    switch (item.verdict) {
      case 'met':
        break;
      case 'unreachable':
        unknown.add(fingerprint);
        break;
      case 'atRisk':
      case 'breached':
        findings.push(slaFinding(item, fingerprint, device));
    }
  }
  return { findings, unknown };
}

function slaFinding(
  { job, sla, kind, verdict, agent: id, agentName, cause }: SlaItem,
  fingerprint: string,
  agent: AgentRecord | undefined,
): Finding {
  const where = agentName === null ? '' : ` on ${agentName}`;
  const breached = verdict === 'breached';
  return {
    fingerprint,
    source: 'sla',
    severity: breached ? 'error' : 'warning',
    title: `${job}: ${sla} ${breached ? 'is breached' : 'is at risk'}${where}`,
    // The cause says what was promised, too.
    message: cause,
    labels: { ...(agent === undefined ? {} : agentLabels(agent)), job, sla, kind },
    agent: id,
    job,
    link: jobLink(job),
  };
}
