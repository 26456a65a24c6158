/**
 * Brings a promise up to now. Whoever looks late (the device was off, the control plane was
 * restarted) goes through the instants at which time alone changed something, so that the history
 * has them as they were and not as one step.
 */
import type { Sla, SlaKind } from '../definitions/sla.ts';
import type { FactsByKind } from './facts.ts';
import { holdMs, judge } from './judge.ts';
import { easedAt, type SlaChange, slaTransition, type SlaState } from './sla-state.ts';

/** Met, at risk, breached, and better again; the rest of a promise that changes oftener is cut. */
const STEPS_MAX = 16;

export interface Settled {
  readonly state: SlaState;
  readonly changes: readonly SlaChange[];
  /** When to look again although no fact has changed; Infinity: never. */
  readonly nextAt: number;
}

/** `fromMs`: the earliest instant that was not looked at, as `nextAt` said before. */
export function settle<K extends SlaKind>(
  promise: Sla & { readonly kind: K },
  facts: FactsByKind[K],
  before: SlaState,
  fromMs: number,
  now: number,
): Settled {
  const hold = holdMs(promise);
  const changes: SlaChange[] = [];
  let state = before;
  // A rate is of the records of now: how it was earlier cannot be told from them.
  let at = promise.kind === 'successRate' ? now : Math.min(fromMs, now);
  for (let step = 1; ; step++) {
    const judged = judge(promise, facts, at);
    if (judged !== null) {
      const { verdict: kind, from, cause } = judged;
      const next = slaTransition(state, { kind, from, cause, holdMs: hold }, at);
      state = next.state;
      changes.push(...next.effects);
    }
    const due = Math.min(judged?.nextAt ?? Infinity, easedAt(state, hold));
    const nextAt = due > at ? due : Infinity;
    if (at === now) return { state, changes, nextAt };
    at = step >= STEPS_MAX ? now : Math.min(nextAt, now);
  }
}
