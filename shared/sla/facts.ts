/**
 * What promises are judged by. Device and control plane each gather their own: the device from its
 * runtime, the control plane from what reached its store. Times are epoch milliseconds.
 */
import type { SlaKind } from '../definitions/sla.ts';

export interface FreshnessFacts {
  /** When there was a result last; null: never yet. */
  readonly lastAt: number | null;
  /** Silence before this does not count: the job began, or nobody could hear. */
  readonly sinceAt: number;
}

export interface DeliveryFacts {
  /** When the oldest of what still waits was made; null: nothing waits. */
  readonly oldestAt: number | null;
  /** What came last, and how long it had taken; null: nothing came, or nobody here sees it come. */
  readonly delivered: { readonly at: number; readonly lagMs: number } | null;
}

export interface DurationFacts {
  /** How long earlier successful runs took, oldest first, without `last`. */
  readonly recentMs: readonly number[];
  /** The run that ended last. */
  readonly last: { readonly endedAt: number; readonly tookMs: number } | null;
  /** When those that run now began. */
  readonly running: readonly number[];
}

export interface SuccessFacts {
  /** Records or runs of the promise's `over`. */
  readonly total: number;
  readonly failed: number;
  readonly of: 'records' | 'runs';
}

export interface CompletenessFacts {
  /** Windows or partitions that end here are due at `dueAt`; null: none is due yet. */
  readonly due: { readonly endAt: number; readonly dueAt: number } | null;
  /** When the next one is due; null: nobody can say. */
  readonly nextDueAt: number | null;
  readonly targeted: number;
  readonly reported: number;
  /** Of those that have not: devices that cannot be heard. */
  readonly unreachable: number;
}

export interface DeadlineFacts {
  /** The oldest time of the schedule that no successful run stands for; null: there is none. */
  readonly pending: { readonly at: number; readonly dueAt: number } | null;
  /** When the run last succeeded that is the newest; null: none has. */
  readonly lastSuccessAt: number | null;
  /** How the newest run ended that stands for what is pending; null: none has. */
  readonly failure: string | null;
}

export interface FactsByKind {
  readonly freshness: FreshnessFacts;
  readonly deliveryLag: DeliveryFacts;
  readonly duration: DurationFacts;
  readonly successRate: SuccessFacts;
  readonly completeness: CompletenessFacts;
  readonly deadline: DeadlineFacts;
}
export type FactsOf<K extends SlaKind> = FactsByKind[K];
