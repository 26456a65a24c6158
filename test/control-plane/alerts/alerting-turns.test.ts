/** Looks of the alerts: asked for as often as a rollout changes, taken at a bounded rate. */
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Alerting } from '@runnel/control-plane/alerts/alerting.ts';
import type { Finding } from '@runnel/control-plane/alerts/finding.ts';
import type { Judged } from '@runnel/control-plane/alerts/reconcile.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { silentLog } from '../../support/nats.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

const STUCK: Finding = {
  fingerprint: 'press stuck',
  source: 'rollout',
  severity: 'warning',
  title: 'press version 2 does not get on',
  message: 'it waits',
  labels: { job: 'press' },
  agent: null,
  job: 'press',
  link: '/jobs/press',
};

it('a storm of changes costs few looks, and an alert still comes at once', async () => {
  const dir = tempDir('alerting');
  const store = await openStore(join(dir, 'store.db'));
  const alerting = await Alerting.open({
    db: store.db,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    events: { append: () => undefined },
    agents: () => [],
    agent: () => undefined,
    hasJob: () => true,
    report: () => {
      throw new Error('there is no device');
    },
    unjudged: () => [],
    hearsSinceMs: () => 0,
    offlineAfterMs: 1000,
    secrets: { env: {}, folder: join(dir, 'secrets') },
    page: '',
  });
  onTestFinished(async () => {
    await alerting.stop();
    await store.close();
  });
  let judged: Judged = { findings: [] };
  alerting.attach({ source: 'rollout', judge: () => judged });
  alerting.start();
  const startMs = performance.now();
  const waits: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    const wanted = round % 2 === 0 ? 1 : 0;
    judged = { findings: wanted === 1 ? [STUCK] : [] };
    const fromMs = performance.now();
    await waitFor('a look', () => {
      for (let poke = 0; poke < 100; poke += 1) alerting.poke();
      return [...alerting.book.openAlerts()].length === wanted;
    });
    waits.push(performance.now() - fromMs);
  }
  const looks = alerting.counters.turns;
  expect(alerting.counters.turnFailures).toBe(0);
  expect(looks).toBeLessThanOrEqual(2 + (performance.now() - startMs) / 200);
  // Sooner than the look that would have come by itself.
  expect(waits.toSorted((a, b) => a - b)[3]).toBeLessThan(450);
});
