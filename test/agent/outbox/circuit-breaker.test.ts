/** When a sink is tried again, as a pure transition. */
import { describe, expect, it } from 'vitest';
import {
  type Breaker,
  CLOSED,
  FAILURES_OPEN,
  openForMs,
  pauseMs,
  transition,
} from '@runnel/agent/outbox/circuit-breaker.ts';

function failed(times: number, nowMs = 0): Breaker {
  let breaker = CLOSED;
  for (let n = 0; n < times; n++) breaker = transition(breaker, 'failed', nowMs);
  return breaker;
}

describe('the circuit breaker', () => {
  it('opens with the fifth failure in a row and not before', () => {
    expect(failed(FAILURES_OPEN - 1)).toEqual({ state: 'closed', failures: 4 });
    expect(failed(FAILURES_OPEN, 1000)).toEqual({ state: 'open', failures: 5, untilMs: 5000 });
  });

  it('closes with one delivery, wherever it was', () => {
    const open = failed(FAILURES_OPEN);
    for (const breaker of [open, transition(open, 'probe', 0), failed(2)]) {
      expect(transition(breaker, 'delivered', 0)).toEqual(CLOSED);
    }
  });

  it('opens for longer when the probe fails, up to a minute', () => {
    const open = failed(FAILURES_OPEN);
    const probe = transition(open, 'probe', 4000);
    expect(probe).toEqual({ state: 'halfOpen', failures: 5 });
    expect(openForMs(probe, 4000)).toBe(0);
    expect(openForMs(transition(probe, 'failed', 4000), 4000)).toBe(8000);
    expect(openForMs(failed(50), 0)).toBe(60_000);
    expect(pauseMs(1)).toBe(250);
  });

  it('stays open for a minute at most, however far the clock was set back', () => {
    expect(openForMs(failed(FAILURES_OPEN, 1e12), 0)).toBe(60_000);
  });
});
