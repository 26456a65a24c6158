/**
 * How well a promise was kept, from its history: pure. At risk counts as kept. Time in which the
 * device could not be heard and did not tell later is not known, and counts for nothing: neither
 * does a silent device keep its promises, nor does it break them.
 *
 * The error budget is the share of the known time in which the promise may be broken; what is left
 * of it is below 0 when it was overspent. Without any (an objective of 100%) it is 1 or, after any
 * breach, 0.
 */
import type { SlaComplianceItem } from '../http/sla-messages.ts';
import type { SlaIntervalRecord } from '../store/slas.ts';

export interface Kept {
  readonly metMs: number;
  readonly breachedMs: number;
  readonly unreachableMs: number;
  /** Breaches that began, or were under way when the time began. */
  readonly breaches: number;
}

export const NOTHING_KEPT: Kept = { metMs: 0, breachedMs: 0, unreachableMs: 0, breaches: 0 };

/** Of `[from, to)`; the intervals do not overlap. */
export function keptIn(intervals: readonly SlaIntervalRecord[], from: number, to: number): Kept {
  let kept = NOTHING_KEPT;
  for (const each of intervals) {
    const ms = Math.min(each.to ?? to, to) - Math.max(each.from, from);
    if (ms <= 0) continue;
    switch (each.verdict) {
      case 'met':
      case 'atRisk':
        kept = { ...kept, metMs: kept.metMs + ms };
        break;
      case 'breached':
        kept = { ...kept, breachedMs: kept.breachedMs + ms, breaches: kept.breaches + 1 };
        break;
      case 'unreachable':
        kept = { ...kept, unreachableMs: kept.unreachableMs + ms };
        break;
    }
  }
  return kept;
}

export function sumOf(a: Kept, b: Kept): Kept {
  return {
    metMs: a.metMs + b.metMs,
    breachedMs: a.breachedMs + b.breachedMs,
    unreachableMs: a.unreachableMs + b.unreachableMs,
    breaches: a.breaches + b.breaches,
  };
}

type Identity = Pick<SlaComplianceItem, 'job' | 'agent' | 'sla' | 'kind' | 'objective'>;
type Span = Pick<SlaComplianceItem, 'from' | 'to'>;

export function complianceOf(identity: Identity, kept: Kept, span: Span): SlaComplianceItem {
  const { metMs, breachedMs, unreachableMs, breaches } = kept;
  const knownMs = metMs + breachedMs;
  const budgetMs = knownMs * (1 - identity.objective);
  const budgetLeft =
    knownMs === 0 ? null : budgetMs > 0 ? 1 - breachedMs / budgetMs : breachedMs > 0 ? 0 : 1;
  return {
    ...identity,
    compliance: knownMs === 0 ? null : metMs / knownMs,
    budgetLeft,
    breaches,
    breachedMs,
    unreachableMs,
    knownMs,
    ...span,
  };
}
