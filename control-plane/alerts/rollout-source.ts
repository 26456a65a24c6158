/**
 * Rollouts as alerts: a version that its gate stopped or turned back is an error, one that does not
 * move a warning, one that waits for a person's word an information. What a person did is none.
 *
 * The newest rollout of a job speaks for it: an alert ends when that goes on or has succeeded, or
 * when the next one begins.
 */
import type { RolloutItem } from '../http/rollout-messages.ts';
import type { AlertSeverity } from './alert-state.ts';
import type { JudgedSource } from './alerting.ts';
import { type Finding, fingerprintOf, jobLink } from './finding.ts';
import type { Judged } from './reconcile.ts';

export interface RolloutItems {
  list(): readonly RolloutItem[];
}

/** Judged anew at every look: that one does not move is told by nothing but time. */
export function rolloutSource(rollouts: RolloutItems): JudgedSource {
  return { source: 'rollout', judge: () => judgeRollouts(rollouts.list()) };
}

export function judgeRollouts(items: readonly RolloutItem[]): Judged {
  return { findings: items.flatMap(rolloutFinding) };
}

function rolloutFinding(item: RolloutItem): Finding[] {
  const trouble = troubleOf(item);
  if (trouble === undefined) return [];
  const { job, id, version, phase, reason, counts } = item;
  const failed = counts.failed === 0 ? '' : ` (${counts.failed} failed)`;
  return [
    {
      fingerprint: fingerprintOf('rollout', job, id),
      source: 'rollout',
      severity: trouble.severity,
      title: `${job} version ${version} ${trouble.title}`,
      message: `${reason}${failed}`,
      labels: { job, version: String(version), phase },
      agent: null,
      job,
      link: `${jobLink(job)}/rollout`,
    },
  ];
}

function troubleOf({
  phase,
  byGate,
  stuck,
}: RolloutItem): { readonly severity: AlertSeverity; readonly title: string } | undefined {
  switch (phase) {
    case 'suspended':
      return byGate ? { severity: 'error', title: 'is stopped by its gate' } : undefined;
    case 'rollingBack':
      return byGate
        ? { severity: 'error', title: 'failed its gate and goes back' }
        : stalled(stuck);
    case 'rolledBack':
      return byGate
        ? { severity: 'error', title: 'failed its gate and was taken back' }
        : undefined;
    case 'awaitingApproval':
      return { severity: 'info', title: 'waits for approval' };
    case 'progressing':
    case 'soaking':
      return stalled(stuck);
    case 'succeeded':
    case 'aborted':
    case 'superseded':
      return undefined;
  }
}

function stalled(stuck: boolean) {
  return stuck ? ({ severity: 'warning', title: 'does not get on' } as const) : undefined;
}
