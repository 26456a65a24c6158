/**
 * What needs a person, put together from those who know: the fleet's devices and rollouts, the
 * alerts, the promises. Lists are cut to what a person can look at; counts are whole.
 */
import type { AlertBook } from '../alerts/alert-book.ts';
import { alertItem } from '../alerts/receivers/message.ts';
import type { SlaBoard } from '../sla/sla-board.ts';
import type { AlertItem } from './alert-messages.ts';
import type { FleetView } from './fleet-view.ts';
import type { AttentionItem } from './live-messages.ts';
import type { RolloutItem } from './rollout-messages.ts';
import type { SlaItem } from './sla-messages.ts';

export interface AttentionSources {
  readonly fleet: Pick<FleetView, 'agents' | 'jobItems'>;
  readonly slas: Pick<SlaBoard, 'counts' | 'list'>;
  readonly alerting: { readonly book: Pick<AlertBook, 'openAlerts'> };
}

/** Of each list. */
const ITEMS_MAX = 200;

export function attentionItem({ fleet, slas, alerting }: AttentionSources): AttentionItem {
  const alerts = [...alerting.book.openAlerts()].map(alertItem).toSorted(worstFirst);
  return {
    alerts: alerts.slice(0, ITEMS_MAX),
    alertsMore: Math.max(0, alerts.length - ITEMS_MAX),
    slas: notMet(slas),
    slaCounts: slas.counts(),
    rollouts: fleet
      .jobItems()
      .flatMap(({ rollout }) => (rollout === null || endedWell(rollout) ? [] : [rollout]))
      .slice(0, ITEMS_MAX),
    pending: fleet.agents().filter(({ status }) => status === 'pending').length,
  };
}

const STATES = ['firing', 'acknowledged', 'silenced', 'resolved'] as const;
const SEVERITIES = ['error', 'warning', 'info'] as const;

/** What fires before what somebody knows of, then the most severe, then the newest. */
function worstFirst(a: AlertItem, b: AlertItem): number {
  return (
    STATES.indexOf(a.state) - STATES.indexOf(b.state) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    b.startedAt - a.startedAt ||
    (a.id < b.id ? -1 : 1)
  );
}

function notMet(slas: Pick<SlaBoard, 'list'>): SlaItem[] {
  const verdicts = ['breached', 'atRisk', 'unreachable'] as const;
  return verdicts.flatMap((verdict) => slas.list({ verdict })).slice(0, ITEMS_MAX);
}

/** A superseded one is followed by another, which is the newest. */
function endedWell({ phase }: RolloutItem): boolean {
  return phase === 'succeeded' || phase === 'superseded';
}
