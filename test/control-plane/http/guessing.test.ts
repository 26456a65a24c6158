/** Whoever guesses secrets is slowed down, wherever they can be guessed without a token. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '@runnel/shared/clock.ts';
import { type ApiAnswer, TestControlPlane } from '../../support/control-plane.ts';

/** As in create-http.ts. */
const BURST = 500;

/** The bound refills while it is used up: here a thousand times slower, so that a test can. */
const slow: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() / 1000 };

let control: TestControlPlane;
beforeEach(async () => {
  control = await TestControlPlane.start(undefined, { clock: slow });
});
afterEach(() => control.close());

const wrongCode = `abcdefghijkl.${'x'.repeat(43)}`;

const GUESSES: Readonly<Record<string, () => Promise<ApiAnswer>>> = {
  signin: () => control.request('GET', `/signin?code=${wrongCode}`, { token: null }),
  enroll: () => control.post('/enroll', { v: 1 }, { token: null }),
  renew: () => control.post('/renew', { v: 1 }, { token: null }),
};

describe('guesses from one address', () => {
  it('share one bound, over which each is refused before it is looked at', async () => {
    const kinds = Object.values(GUESSES);
    const answers: ApiAnswer[] = [];
    for (let sent = 0; sent < BURST; sent += 50) {
      const some = Array.from({ length: 50 }, (_, index) => kinds[(sent + index) % 3]!());
      answers.push(...(await Promise.all(some)));
    }
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400, 403]));
    for (const [route, guess] of Object.entries(GUESSES)) {
      // What refilled meanwhile is used up first.
      let answer = await guess();
      while (answer.status !== 429) answer = await guess();
      expect(answer.json.code, route).toBe('rate_limited');
      expect(Number(answer.headers.get('retry-after')), route).toBeGreaterThan(0);
    }
    const metrics = await control.request('GET', '/metrics');
    for (const route of Object.keys(GUESSES)) {
      const counted = `runnel_http_rate_limited_total\\{route="${route}"\\} [1-9]`;
      expect(metrics.text).toMatch(new RegExp(counted));
    }
    const counted = 'runnel_http_requests_total{method="POST",route="/api/v1/enroll"';
    expect(metrics.text).toContain(counted);
    // A good link waits its turn, and is not used up by having been refused.
    const link = control.signInLink!.slice(control.url.length);
    expect((await control.request('GET', link, { token: null })).status).toBe(429);
    expect((await control.get('/me')).status).toBe(200);
  });
});
