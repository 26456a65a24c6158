import { describe, expect, it } from 'vitest';
import { ERROR_CLASSES, type RetryPolicy } from '@runnel/shared/definitions/batch-job.ts';
import { durationMs } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import {
  type FailedAttempt,
  longestPauseMs,
  retryPauseMs,
} from '@runnel/agent/batch/dag/retry-policy.ts';

const policy: RetryPolicy = {
  attempts: 3,
  backoff: { initialMs: durationMs(10_000), factor: 2, maxMs: durationMs(60_000) },
  on: { timeout: { attempts: 1 }, network: { attempts: 10 } },
};

const failed = (more: Partial<FailedAttempt> = {}): FailedAttempt => ({
  class: 'other',
  attempt: 1,
  interrupted: 0,
  seed: 'nightly/2026-11-22/daily/',
  ...more,
});

describe('a retry', () => {
  it('is made until the attempts are used up', () => {
    const pauses = [1, 2, 3].map((attempt) => retryPauseMs(policy, failed({ attempt })) !== null);
    expect(pauses).toEqual([true, true, false]);
  });

  it('has as many attempts as its class says', () => {
    const most = (errorClass: string): number => {
      let attempt = 1;
      while (retryPauseMs(policy, failed({ class: errorClass, attempt })) !== null) attempt += 1;
      return attempt;
    };
    expect(
      Object.fromEntries(
        ERROR_CLASSES.filter((name) => name !== 'interrupted').map((name) => [name, most(name)]),
      ),
    ).toEqual({
      timeout: 1,
      network: 10,
      definition: 1,
      policy: 1,
      resources: 3,
      rejected: 3,
      unavailable: 3,
      data: 3,
      process: 3,
      journal_incomplete: 3,
      circuit_open: 3,
      other: 3,
    });
    expect(most('a class of a later release')).toBe(3);
  });

  it('of a wrong document is made only where it is named', () => {
    const named = { ...policy, on: { definition: { attempts: 2 } } };
    expect(retryPauseMs(named, failed({ class: 'definition' }))).not.toBe(null);
  });

  it('waits longer and longer, within 20 % of the backoff and its cap', () => {
    for (const [attempt, wholeMs] of [
      [1, 10_000],
      [2, 20_000],
      [3, 40_000],
      [4, 60_000],
      [9, 60_000],
    ]) {
      const pauseMs =
        retryPauseMs(policy, failed({ class: 'network', attempt: attempt ?? 0 })) ?? 0;
      expect(Math.abs(pauseMs - (wholeMs ?? 0))).toBeLessThanOrEqual((wholeMs ?? 0) * 0.2);
    }
  });

  it('is spread the same way for the same attempt, and differently for another', () => {
    const seeds = Array.from({ length: 200 }, (_, at) => `nightly/2026-11-22/daily/${at}`);
    const draw = (): (number | null)[] =>
      seeds.map((seed) => retryPauseMs(policy, failed({ seed })));
    const pauses = draw();
    expect(pauses).toEqual(draw());
    expect(new Set(pauses).size).toBeGreaterThan(150);
    expect(Math.min(...pauses.map(Number))).toBeLessThan(8500);
    expect(Math.max(...pauses.map(Number))).toBeGreaterThan(11_500);
  });

  it('never waits longer than the policy says, spread or not', () => {
    const capped = { ...policy, backoff: { initialMs: 1000, factor: 2, maxMs: 1000 } } as const;
    const pauses = Array.from({ length: 200 }, (_, at) =>
      Number(retryPauseMs(capped as RetryPolicy, failed({ seed: `nightly/${at}` }))),
    );
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1000);
    expect(Math.min(...pauses)).toBeLessThan(850);
  });

  it('waits as long as the other side asked for, within a bound', () => {
    expect(retryPauseMs(policy, failed({ retryAfterMs: 300_000 }))).toBe(300_000);
    expect(retryPauseMs(policy, failed({ retryAfterMs: 1 }))).toBeGreaterThanOrEqual(8000);
    const forEver = retryPauseMs(policy, failed({ retryAfterMs: 1e12 }));
    expect(forEver).toBe(limits.retryAfterMsMax);
    expect(forEver).toBeLessThanOrEqual(longestPauseMs(policy));
  });
});

describe('an interrupted attempt', () => {
  it('does not count against the attempts', () => {
    expect(retryPauseMs(policy, failed({ attempt: 5, interrupted: 3 }))).not.toBe(null);
    expect(retryPauseMs(policy, failed({ attempt: 6, interrupted: 3 }))).toBe(null);
  });

  it('is made again at once, then with pauses, then no more', () => {
    const pauses = Array.from({ length: limits.interruptedAttemptsMax }, (_, at) =>
      retryPauseMs(policy, failed({ class: 'interrupted', attempt: at + 1, interrupted: at + 1 })),
    );
    expect(pauses[0]).toBe(0);
    expect(pauses.slice(1, -1).every((pauseMs) => (pauseMs ?? 0) > 0)).toBe(true);
    expect(pauses.at(-1)).toBe(null);
  });

  it('may be the last where the job says so', () => {
    const once = { ...policy, on: { interrupted: { attempts: 1 } } };
    expect(retryPauseMs(once, failed({ class: 'interrupted', interrupted: 1 }))).toBe(null);
  });
});
