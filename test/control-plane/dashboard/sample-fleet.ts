/** Alerts, rollouts and promises as the API gives them; each test changes what it is about. */
import type { AlertItem } from '@runnel/control-plane/http/alert-messages.ts';
import type { RolloutItem } from '@runnel/control-plane/http/rollout-messages.ts';
import type { SlaComplianceItem, SlaItem } from '@runnel/control-plane/http/sla-messages.ts';

export function sampleAlert(change: Partial<AlertItem> & { readonly id: string }): AlertItem {
  return {
    source: 'job',
    severity: 'warning',
    state: 'firing',
    title: change.id,
    message: 'why',
    labels: {},
    agent: null,
    agentName: null,
    job: null,
    startedAt: 1000,
    lastAt: 2000,
    endedAt: null,
    count: 1,
    acknowledgedBy: null,
    silencedBy: null,
    link: '',
    ...change,
  };
}

export function sampleRollout(change: Partial<RolloutItem> = {}): RolloutItem {
  return {
    id: 'r',
    job: 'j',
    version: 2,
    from: 1,
    phase: 'progressing',
    batch: { n: 1, of: 3 },
    counts: { updated: 1, pending: 2, unknown: 0, failed: 0 },
    reason: 'waits for 2 devices',
    startedAt: 1000,
    endedAt: null,
    since: 1000,
    nextAt: null,
    by: 'ana',
    byGate: false,
    stuck: false,
    ...change,
  };
}

export function sampleSla(change: Partial<SlaItem> = {}): SlaItem {
  return {
    job: 'j',
    agent: 'a',
    agentName: 'a',
    sla: 'fresh',
    kind: 'freshness',
    verdict: 'met',
    since: 1000,
    cause: 'the newest result is 3 s old',
    target: '2m',
    deviceVerdict: null,
    ...change,
  };
}

export function sampleCompliance(change: Partial<SlaComplianceItem> = {}): SlaComplianceItem {
  return {
    job: 'j',
    agent: null,
    sla: 'fresh',
    kind: 'freshness',
    compliance: 0.999,
    objective: 0.99,
    budgetLeft: 0.9,
    breaches: 1,
    breachedMs: 60_000,
    unreachableMs: 0,
    knownMs: 86_400_000,
    from: 0,
    to: 86_400_000,
    ...change,
  };
}
