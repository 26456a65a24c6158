/** The parts of the product that are driven: its pure functions, which a planted bug replaces. */
import { connectionOf } from '@runnel/control-plane/intake/connection.ts';
import { rolloutState } from '@runnel/control-plane/rollouts/rollout-record.ts';
import { transition } from '@runnel/control-plane/rollouts/rollout-state.ts';
import { look as lookAtPromise } from '@runnel/control-plane/sla/sla-entry.ts';
import type { SlaOf } from '@runnel/shared/definitions/sla.ts';
import type { FreshnessFacts } from '@runnel/shared/sla/facts.ts';
import { type Settled, settle } from '@runnel/shared/sla/settle.ts';
import type { SlaState } from '@runnel/shared/sla/sla-state.ts';

/** Of the job on every device. */
export const PROMISE: SlaOf<'freshness'> = {
  name: 'fresh',
  kind: 'freshness',
  withinMs: 20_000,
  atRisk: 0.8,
  objective: 0.99,
  windowMs: 86_400_000,
};

export const PRODUCT = {
  transition,
  rolloutState,
  connectionOf,
  lookAtPromise,
  settleOnDevice: (facts: FreshnessFacts, before: SlaState, fromMs: number, now: number): Settled =>
    settle(PROMISE, facts, before, fromMs, now),
};
export type Product = typeof PRODUCT;
