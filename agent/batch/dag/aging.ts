/**
 * The order in which what waits goes first: by priority, to which waiting adds
 * `limits.agingPerMinute`, so that nothing waits for ever behind what keeps coming.
 */
import { limits } from '@runnel/shared/limits.ts';

export interface Waiting {
  readonly priority: number;
  /** Epoch ms since when it waits. */
  readonly since: number;
}

const MINUTE_MS = 60_000;

export function agedPriority({ priority, since }: Waiting, now: number): number {
  return priority + (Math.max(0, now - since) / MINUTE_MS) * limits.agingPerMinute;
}

/** Highest first, then who waits longest; what is equal keeps its order. */
export function byAgedPriority<Entry extends Waiting>(
  entries: readonly Entry[],
  now: number,
): Entry[] {
  return [...entries].sort(
    (a, b) => agedPriority(b, now) - agedPriority(a, now) || a.since - b.since,
  );
}
