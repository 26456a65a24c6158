/**
 * When to try a sink again: a pure transition. Failures pause longer and longer; after
 * FAILURES_OPEN in a row the circuit is open, and one probe at a time looks whether the target is
 * back. The breaker is stored with the lane, so a restart does not hammer a target that is down.
 */
export type Breaker =
  | { readonly state: 'closed'; readonly failures: number }
  | { readonly state: 'open'; readonly failures: number; readonly untilMs: number }
  | { readonly state: 'halfOpen'; readonly failures: number };

export type BreakerEvent = 'delivered' | 'failed' | 'probe';

export const CLOSED: Breaker = { state: 'closed', failures: 0 };
export const FAILURES_OPEN = 5;
const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 60_000;

/** `nowMs` is wall-clock time, because the breaker outlives the process. */
export function transition(breaker: Breaker, event: BreakerEvent, nowMs: number): Breaker {
  switch (event) {
    case 'delivered':
      return CLOSED;
    case 'probe':
      return { state: 'halfOpen', failures: breaker.failures };
    case 'failed': {
      const failures = breaker.failures + 1;
      if (failures < FAILURES_OPEN) return { state: 'closed', failures };
      return { state: 'open', failures, untilMs: nowMs + pauseMs(failures) };
    }
  }
}

/** How long to wait after this many failures in a row, before jitter. */
export function pauseMs(failures: number): number {
  return Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.max(0, failures - 1));
}

/** A clock that jumped must not keep a circuit open for longer than its longest pause. */
export function openForMs(breaker: Breaker, nowMs: number): number {
  if (breaker.state !== 'open') return 0;
  return Math.max(0, Math.min(breaker.untilMs - nowMs, PAUSE_MS_MAX));
}
