/** Promises through the whole runtime: what is judged, what is written, and what survives. */
import { describe, expect, it } from 'vitest';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import { waitFor } from '../../support/wait-for.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compileCount } from '../streams/counting-job.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { openSite, type Site } from '../streams/site.ts';

const T0 = Date.parse('2026-11-30T12:00:00Z');
const SECOND = 1000;

function job(sla: readonly Record<string, unknown>[], version = 1): DesiredJob {
  const document = {
    apiVersion: 'runnel/v1',
    kind: 'StreamJob',
    metadata: { name: 'rms' },
    sla,
    sources: { in: { mqtt: { topic: 'a/+' } } },
    steps: [{ filter: 'true' }],
    sinks: [{ from: 'filter', results: { dataset: 'rms' } }],
  };
  return { name: 'rms', version, hash: 'h', document, parameters: {}, paused: false };
}

const FRESH = { name: 'fresh', freshness: '60s' };
const compile = (desired: DesiredJob) => compileCount({ ...desired, document: {} });

async function siteAt(clock: ManualClock, dataDir = tempDir('sla')): Promise<Site> {
  return await openSite({ clock, dataDir, compile });
}

/** Rows of verdicts so far, acknowledged: `[verdict, when]`. */
async function told(site: Site, clock: ManualClock): Promise<(readonly [unknown, number])[]> {
  const rows: Row[] = [];
  const idle = async (): Promise<boolean> => {
    const more = await site.take('alerts');
    rows.push(...more);
    clock.pass(1);
    return more.length === 0 && rows.length > 0;
  };
  await waitFor('the rows of verdicts', idle);
  return rows.map(({ value, time }) => [(value as { verdict: unknown }).verdict, time - T0]);
}

describe('freshness on the device', () => {
  //  0 promised   48 s at risk   60 s breached, with no network at all
  it('is judged offline, and each change waits in the outbox', async () => {
    const clock = new ManualClock(T0);
    const site = await siteAt(clock);
    await site.runtime.applyJobs([job([FRESH])]);
    clock.pass(61 * SECOND);
    expect(site.runtime.slaReports()).toEqual([
      {
        job: 'rms',
        sla: 'fresh',
        verdict: 'breached',
        since: T0 + 60 * SECOND,
        cause: 'no result yet, for 1m1s, promised every 1m',
      },
    ]);
    expect(await told(site, clock)).toEqual([
      ['met', 0],
      ['atRisk', 48 * SECOND],
      ['breached', 60 * SECOND],
    ]);
  });

  it('is at rest while results come, and is not written with each of them', async () => {
    const clock = new ManualClock(T0);
    const site = await siteAt(clock);
    await site.runtime.applyJobs([job([FRESH])]);
    await waitFor('the source to be made', () => site.sources.size === 1);
    for (let n = 0; n < 5; n++) {
      site.source().give({ payload: { k: 'a' } });
      await site.settled();
      clock.pass(30 * SECOND);
    }
    expect(site.runtime.slaReports()).toMatchObject([{ verdict: 'met', since: T0 }]);
    expect(await told(site, clock)).toEqual([['met', 0]]);
  });

  it('was breached while the agent was off, from the instant at which it was', async () => {
    const clock = new ManualClock(T0);
    const dataDir = tempDir('sla');
    const first = await siteAt(clock, dataDir);
    await first.runtime.applyJobs([job([FRESH])]);
    expect(await told(first, clock)).toEqual([['met', 0]]);
    await first.close();
    clock.pass(3600 * SECOND);
    const second = await siteAt(clock, dataDir);
    await second.runtime.applyJobs([job([FRESH])]);
    expect(await told(second, clock)).toEqual([
      ['atRisk', 48 * SECOND],
      ['breached', 60 * SECOND],
    ]);
  });

  it('keeps since when it is breached over a restart, and tells it once', async () => {
    const clock = new ManualClock(T0);
    const dataDir = tempDir('sla');
    const first = await siteAt(clock, dataDir);
    await first.runtime.applyJobs([job([FRESH])]);
    clock.pass(61 * SECOND);
    expect(await told(first, clock)).toHaveLength(3);
    await first.close();
    const second = await siteAt(clock, dataDir);
    await second.runtime.applyJobs([job([FRESH])]);
    clock.pass(5 * SECOND);
    expect(second.runtime.slaReports()).toMatchObject([
      { verdict: 'breached', since: T0 + 60 * SECOND },
    ]);
    expect(await second.take('alerts')).toEqual([]);
  });

  it('is not breached because the clock was set', async () => {
    const clock = new ManualClock(T0);
    const site = await siteAt(clock);
    await site.runtime.applyJobs([job([FRESH])]);
    clock.pass(10 * SECOND);
    clock.set(T0 + 7200 * SECOND);
    clock.pass(10 * SECOND);
    expect(site.runtime.slaReports()).toMatchObject([{ verdict: 'met' }]);
  });

  it('ends with the promise, and leaves nothing in the store', async () => {
    const clock = new ManualClock(T0);
    const dataDir = tempDir('sla');
    const site = await siteAt(clock, dataDir);
    await site.runtime.applyJobs([job([FRESH])]);
    await site.runtime.applyJobs([job([], 2)]);
    expect(site.runtime.slaReports()).toEqual([]);
    const rows = await told(site, clock);
    expect(rows.map(([verdict]) => verdict)).toEqual(['met', null]);
    await site.close();
    const second = await siteAt(clock, dataDir);
    await second.runtime.applyJobs([job([], 2)]);
    expect(second.runtime.slaReports()).toBeUndefined();
  });
});
