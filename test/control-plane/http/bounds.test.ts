/** Small parts with a bound or a format of their own. */
import { describe, expect, it } from 'vitest';
import { HostHistory } from '@runnel/control-plane/http/host-history.ts';
import { Counters, renderPrometheus } from '@runnel/control-plane/http/metrics.ts';
import { problemOf } from '@runnel/control-plane/http/problem.ts';
import { RateLimit } from '@runnel/control-plane/http/rate-limit.ts';
import { type Clock, systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';

/** A clock that stands until it is set. */
function standingClock(): Clock & { at: number } {
  return {
    ...systemClock,
    at: 0,
    monotonicMs() {
      return this.at;
    },
  };
}

describe('a rate limit', () => {
  it('lets a burst pass, then its rate, for each address by itself', () => {
    const clock = standingClock();
    const limit = new RateLimit(clock, { burst: 3, perSecond: 2 });
    expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([0, 0, 0, 1]);
    expect(limit.take('b')).toBe(0);
    clock.at = 499;
    expect(limit.take('a')).toBe(1);
    clock.at = 600;
    expect(limit.take('a')).toBe(0);
    clock.at = 3_600_000;
    expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([0, 0, 0, 1]);
  });

  it('forgets the address that was used longest ago when there are too many', () => {
    const limit = new RateLimit(standingClock(), { burst: 1, perSecond: 1 });
    limit.take('first');
    expect(limit.take('first')).toBe(1);
    for (let index = 0; index < 10_001; index += 1) limit.take(`a${index}`);
    expect(limit.take('first')).toBe(0);
  });
});

describe('metrics', () => {
  it('escape what labels hold', () => {
    const counters = new Counters('x_total', 'Help\nof two lines.', ['route']);
    counters.add(['a"b\\c\nd'], 2);
    counters.add(['a"b\\c\nd']);
    expect(renderPrometheus([counters.family()])).toBe(
      '# HELP x_total Help of two lines.\n# TYPE x_total counter\n' +
        'x_total{route="a\\"b\\\\c\\nd"} 3\n',
    );
  });
});

describe('host history', () => {
  const host = { agentRssBytes: 1 } as never;

  it('keeps the newest readings of a device', () => {
    const history = new HostHistory();
    for (let at = 1; at <= 400; at += 1) history.add('a', at, host);
    expect(history.points('a')).toHaveLength(360);
    expect(history.points('a')[0]?.at).toBe(41);
    expect(history.points('a', 399).map((point) => point.at)).toEqual([399, 400]);
    expect(history.newest('a')?.at).toBe(400);
    history.forget('a');
    expect(history.newest('a')).toBeNull();
  });

  it('keeps less of each device in a large fleet', () => {
    const history = new HostHistory();
    for (let agent = 0; agent < 3000; agent += 1) history.add(`a${agent}`, 1, host);
    for (let at = 2; at < 300; at += 1) history.add('a0', at, host);
    expect(history.points('a0')).toHaveLength(100);
  });
});

describe('problems', () => {
  it('do not show what is not ours', () => {
    const problem = problemOf(new Error('password=hunter2'), 'r1');
    expect(problem).toMatchObject({ status: 500, code: 'internal', requestId: 'r1' });
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('have the status that their code says', () => {
    const statusOf = (code: string, retry: 'never' | 'backoff' = 'never'): number =>
      problemOf(new RunnelError(code, 'x', { retry })).status;
    expect(
      [
        'not_found',
        'agent_unknown',
        'agent_revoked',
        'agent_not_pending',
        'token_expired',
        'token_unknown',
        'name_taken',
        'definition_too_large',
        'labels_invalid',
        'rate_limited',
        'something_new',
      ].map((code) => statusOf(code)),
    ).toEqual([404, 404, 403, 409, 403, 403, 409, 413, 400, 429, 500]);
    expect(statusOf('store_busy', 'backoff')).toBe(503);
  });
});
