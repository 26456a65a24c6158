import { describe, expect, it } from 'vitest';
import type { CircuitBreakerPolicy } from '@runnel/shared/definitions/batch-job.ts';
import { durationMs } from '@runnel/shared/ids.ts';
import {
  type BreakerEvent,
  type BreakerRecord,
  breakerRecord,
  CLOSED,
  transition,
} from '@runnel/agent/batch/dag/circuit-breaker.ts';
import { NOW } from './program-of.ts';

const policy: CircuitBreakerPolicy = {
  failureRate: 0.5,
  slowRate: 1,
  slowAfterMs: durationMs(1000),
  window: 6,
  callsMin: 4,
  openForMs: durationMs(60_000),
  probes: 2,
};

const CALL = { kind: 'call' } as const;
const WELL = { kind: 'succeeded', tookMs: 10 } as const;
const SLOW = { kind: 'succeeded', tookMs: 1000 } as const;
const FAILED = { kind: 'failed', tookMs: 10 } as const;
const OPEN: BreakerRecord = { state: 'open', untilMs: NOW + 60_000 };

function follow(record: BreakerRecord, now: number, ...events: BreakerEvent[]): BreakerRecord {
  return events.reduce((at, event) => transition(at, event, policy, now).record, record);
}

const refusedForMs = (record: BreakerRecord, now: number): number | null =>
  transition(record, CALL, policy, now).refusedForMs;

describe('a closed breaker', () => {
  it('opens when the share of failures is reached, and not before there are enough calls', () => {
    expect(follow(CLOSED, NOW, FAILED, FAILED, FAILED).state).toBe('closed');
    expect(follow(CLOSED, NOW, FAILED, FAILED, FAILED, WELL)).toEqual(OPEN);
    expect(follow(CLOSED, NOW, FAILED, WELL, WELL, WELL).state).toBe('closed');
  });

  it('looks at the last calls only', () => {
    const events = [FAILED, WELL, WELL, WELL, WELL, WELL, WELL, FAILED, FAILED];
    expect(follow(CLOSED, NOW, ...events)).toEqual({ state: 'closed', calls: '....ff' });
  });

  it('opens when calls are slow, though they succeed', () => {
    expect(follow(CLOSED, NOW, SLOW, SLOW, SLOW, SLOW)).toEqual(OPEN);
    expect(follow(CLOSED, NOW, SLOW, SLOW, SLOW, WELL).state).toBe('closed');
  });

  it('opens also with more calls asked for than it remembers', () => {
    const greedy = { ...policy, callsMin: 100, window: 2 };
    const first = transition(CLOSED, FAILED, greedy, NOW).record;
    expect(transition(first, FAILED, greedy, NOW).record.state).toBe('open');
  });

  it('learns nothing of a call that was abandoned', () => {
    expect(follow(CLOSED, NOW, CALL, { kind: 'abandoned' })).toEqual(CLOSED);
  });
});

describe('an open breaker', () => {
  it('refuses until its time is over, and says for how long', () => {
    expect(refusedForMs(OPEN, NOW)).toBe(60_000);
    expect(refusedForMs(OPEN, NOW + 59_999)).toBe(1);
    expect(refusedForMs(OPEN, NOW + 60_000)).toBe(null);
  });

  it('is not kept open by a clock that went back', () => {
    expect(refusedForMs(OPEN, NOW - 365 * 86_400_000)).toBe(null);
  });

  it('does not count calls that began before it opened', () => {
    expect(follow(OPEN, NOW, WELL, FAILED, { kind: 'restarted' })).toEqual(OPEN);
  });
});

describe('a half-open breaker', () => {
  const LATER = NOW + 60_000;

  it('lets its probes through, closes when all went well, and forgets', () => {
    const probing = follow(OPEN, LATER, CALL, CALL);
    expect(probing).toEqual({ state: 'halfOpen', begun: 2, passed: 0 });
    expect(refusedForMs(probing, LATER)).toBeGreaterThan(0);
    const one = follow(probing, LATER, WELL);
    expect(refusedForMs(one, LATER)).toBeGreaterThan(0);
    expect(follow(one, LATER, WELL)).toEqual(CLOSED);
  });

  it.each([FAILED, SLOW])('opens again at the first probe that ends as %o', (event) => {
    const again = follow(OPEN, LATER, CALL, CALL, WELL, event);
    expect(again).toEqual({ state: 'open', untilMs: LATER + 60_000 });
  });

  it('gets back the probes that were abandoned or lost in a restart', () => {
    for (const event of [{ kind: 'abandoned' }, { kind: 'restarted' }] as const) {
      expect(refusedForMs(follow(OPEN, LATER, CALL, CALL, event), LATER)).toBe(null);
    }
  });
});

describe('the record', () => {
  it('survives being stored, in every state', () => {
    for (const record of [
      follow(CLOSED, NOW, WELL, FAILED, SLOW),
      OPEN,
      follow(OPEN, 9e15, CALL),
    ]) {
      expect(breakerRecord.parse(JSON.parse(JSON.stringify(record)))).toEqual(record);
    }
  });
});
