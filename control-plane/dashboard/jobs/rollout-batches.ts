/** The batches of a rollout: which are through, which is now, how many devices of each. Pure. */
import type { RolloutAgentItem, RolloutItem } from '../../http/rollout-messages.ts';
import { hasEnded } from './rollout-words.ts';

export interface BatchView {
  /** From 1. */
  readonly n: number;
  readonly state: 'done' | 'current' | 'waiting' | 'next' | 'stopped';
  readonly updated: number;
  readonly of: number;
}

export function batchViews(
  rollout: RolloutItem,
  agents: readonly RolloutAgentItem[],
): readonly BatchView[] {
  return Array.from({ length: rollout.batch.of }, (_, index) => {
    const n = index + 1;
    const own = agents.filter(({ batch }) => batch === n);
    const updated = own.filter(({ state }) => state === 'updated').length;
    return { n, state: stateOf(rollout, n), updated, of: own.length };
  });
}

function stateOf(rollout: RolloutItem, n: number): BatchView['state'] {
  const { phase, batch } = rollout;
  if (phase === 'succeeded') return 'done';
  if (hasEnded(rollout) || phase === 'rollingBack') return n < batch.n ? 'done' : 'stopped';
  // Until the next one is approved, `n` is the batch that is through.
  if (phase === 'awaitingApproval') {
    return n <= batch.n ? 'done' : n === batch.n + 1 ? 'waiting' : 'next';
  }
  if (n < batch.n) return 'done';
  return n > batch.n ? 'next' : 'current';
}
