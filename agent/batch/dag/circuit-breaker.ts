/**
 * Whether attempts of a task are let through (DESIGN.md §8): a pure transition over one record per
 * job and task, which is stored, so that a restart does not hammer what is down.
 *
 * After the count-based breaker of Resilience4j: closed, it remembers how the last `window` calls
 * ended, and opens when at least `callsMin` of them are there and the share of failed or of slow
 * ones has reached its rate; open, it refuses for `openForMs`; half open, it lets `probes` calls
 * through, and closes when all of them succeeded and were not slow, or opens again at the first
 * that did not. A call that ends after the breaker opened says nothing new and is not counted.
 *
 * agent/outbox/circuit-breaker.ts is another one: a sink sends one thing at a time, without rates.
 */
import { z } from 'zod';
import type { CircuitBreakerPolicy } from '@runnel/shared/definitions/batch-job.ts';

/** One character a call, oldest first: `.` went well, `s` slow, `f` failed, `x` both. */
const CALLS = /^[.sfx]*$/;

export const breakerRecord = z.discriminatedUnion('state', [
  z.object({ state: z.literal('closed'), calls: z.string().regex(CALLS) }),
  z.object({ state: z.literal('open'), untilMs: z.number() }),
  /** Probes that were let through and have not ended, and those that went well. */
  z.object({ state: z.literal('halfOpen'), begun: z.number().int(), passed: z.number().int() }),
]);
export type BreakerRecord = Readonly<z.infer<typeof breakerRecord>>;

export type BreakerEvent =
  /** An attempt wants to begin. */
  | { readonly kind: 'call' }
  | { readonly kind: 'succeeded'; readonly tookMs: number }
  | { readonly kind: 'failed'; readonly tookMs: number }
  /** It was cancelled or interrupted: nothing was learned. */
  | { readonly kind: 'abandoned' }
  /** The agent started: calls that were under way never end. */
  | { readonly kind: 'restarted' };

export interface BreakerStep {
  readonly record: BreakerRecord;
  /** Of `call`: null when it may go on, else after how long it is worth asking again. */
  readonly refusedForMs: number | null;
}

export const CLOSED: BreakerRecord = { state: 'closed', calls: '' };

/** How long to wait for probes that are under way before asking again. */
const PROBES_PAUSE_MS = 1000;

type State = BreakerRecord['state'];
type Kind = BreakerEvent['kind'];
type Cell<S extends State, E extends Kind> = (
  record: Extract<BreakerRecord, { state: S }>,
  event: Extract<BreakerEvent, { kind: E }>,
  policy: CircuitBreakerPolicy,
  now: number,
) => BreakerStep;
type Table = { readonly [S in State]: { readonly [E in Kind]: Cell<S, E> } };

/** `now` is epoch ms, because the breaker outlives the process. */
export function transition(
  record: BreakerRecord,
  event: BreakerEvent,
  policy: CircuitBreakerPolicy,
  now: number,
): BreakerStep {
  // The one cast: TypeScript cannot see that row and cell belong to this state and event.
  const row = TABLE[record.state] as unknown as Record<Kind, Cell<State, Kind>>;
  return row[event.kind](record, event, policy, now);
}

const goOn = (record: BreakerRecord): BreakerStep => ({ record, refusedForMs: null });

const refuse = (record: BreakerRecord, refusedForMs: number): BreakerStep => ({
  record,
  refusedForMs,
});

function isSlow({ slowAfterMs }: CircuitBreakerPolicy, tookMs: number): boolean {
  return slowAfterMs !== null && tookMs >= slowAfterMs;
}

function remember(calls: string, call: string, policy: CircuitBreakerPolicy, now: number) {
  const kept = (calls + call).slice(-policy.window);
  const shareOf = (marks: RegExp): number => (kept.match(marks)?.length ?? 0) / kept.length;
  const failing = shareOf(/[fx]/g) >= policy.failureRate;
  const slow = policy.slowAfterMs !== null && shareOf(/[sx]/g) >= policy.slowRate;
  // The bound on calls cannot be above what is remembered, or it would never open.
  const enough = kept.length >= Math.min(policy.callsMin, policy.window);
  if (enough && (failing || slow)) return goOn({ state: 'open', untilMs: now + policy.openForMs });
  return goOn({ state: 'closed', calls: kept });
}

const TABLE: Table = {
  closed: {
    call: goOn,
    succeeded: ({ calls }, { tookMs }, policy, now) =>
      remember(calls, isSlow(policy, tookMs) ? 's' : '.', policy, now),
    failed: ({ calls }, { tookMs }, policy, now) =>
      remember(calls, isSlow(policy, tookMs) ? 'x' : 'f', policy, now),
    abandoned: goOn,
    restarted: goOn,
  },
  open: {
    call: (record, _, { openForMs }, now) => {
      const leftMs = record.untilMs - now;
      // A clock that went back must not keep it open for longer than it ever would be.
      const isOver = leftMs <= 0 || leftMs > openForMs;
      return isOver ? goOn({ state: 'halfOpen', begun: 1, passed: 0 }) : refuse(record, leftMs);
    },
    succeeded: goOn,
    failed: goOn,
    abandoned: goOn,
    restarted: goOn,
  },
  halfOpen: {
    call: (record, _, { probes }) =>
      record.begun + record.passed >= probes
        ? refuse(record, PROBES_PAUSE_MS)
        : goOn({ ...record, begun: record.begun + 1 }),
    succeeded: (record, { tookMs }, policy, now) => {
      if (isSlow(policy, tookMs)) return goOn({ state: 'open', untilMs: now + policy.openForMs });
      const passed = record.passed + 1;
      if (passed >= policy.probes) return goOn(CLOSED);
      return goOn({ state: 'halfOpen', begun: Math.max(0, record.begun - 1), passed });
    },
    failed: (_, _event, policy, now) => goOn({ state: 'open', untilMs: now + policy.openForMs }),
    abandoned: (record) => goOn({ ...record, begun: Math.max(0, record.begun - 1) }),
    restarted: (record) => goOn({ ...record, begun: 0 }),
  },
};
