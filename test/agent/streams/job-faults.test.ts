/** A bad job never takes the agent down or stops ingestion (I10). */
import { afterEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { desired, world } from './counting-job.ts';
import { openSite, type Site } from './site.ts';

afterEach(() => {
  world.poisonous = true;
});

const values = async (site: Site, job: string) =>
  (await site.take()).filter((row) => row.job === job).map(({ value }) => value);

const isRunning = (site: Site, name: string) =>
  site.runtime.jobReports().some((report) => report.name === name && report.phase === 'running');

describe('a job that throws', () => {
  it('loses only what it did since the last commit, and the others lose nothing', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a'), desired('b', 1, { source: 'other' })]);
    site.source().give({ payload: { v: 1 } }, { payload: { v: 2, poison: true } });
    site.source('other').give({ payload: { v: 5 } });
    await site.settled();
    expect(site.runtime.jobReports()).toMatchObject([
      { name: 'a', phase: 'backoff', recordsIn: 0, lagRecords: 3 },
      { name: 'b', phase: 'running', recordsIn: 1 },
    ]);
    expect(site.conditions.list()).toMatchObject([{ type: 'jobs/a', reason: 'Failing' }]);
    world.poisonous = false;
    await waitFor('a to run again', () => isRunning(site, 'a'));
    await site.runtime.applyJobs([desired('a'), desired('b', 1, { source: 'other' })]);
    expect(await values(site, 'a')).toEqual([
      { n: 1, sum: 1 },
      { n: 2, sum: 3 },
    ]);
    expect(site.conditions.list()).toEqual([]);
  });

  it('passes over a record that failed three times, which goes to the dead letters', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    for (const payload of [{ v: 1 }, { v: 2, poison: true }, { v: 4 }]) {
      site.source().give({ payload });
    }
    await site.settled();
    await waitFor('a to run again', () => isRunning(site, 'a'));
    await waitFor('its rows', () => site.runtime.outbox.depth().rows >= 2);
    expect(await values(site, 'a')).toEqual([
      { n: 1, sum: 1 },
      { n: 2, sum: 5 },
    ]);
    expect(site.runtime.deadLetters.list({ limit: 9 })).toMatchObject([
      { job: 'a', reason: 'failed', payload: expect.stringContaining('poison') },
    ]);
    expect(site.runtime.jobReports()).toMatchObject([{ deadLetters: 1, recordsIn: 2 }]);
  });

  it('does not stop ingestion while it is down', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a'), desired('b')]);
    site.source().give({ payload: { poison: true } });
    for (let v = 0; v < 50; v++) site.source().give({ payload: { v } });
    await site.settled();
    await waitFor('both to run', () => isRunning(site, 'a') && isRunning(site, 'b'), 20_000);
  });
});

describe('a job that lags', () => {
  it('catches up with the same rows as one that was live', async () => {
    const site = await openSite();
    const both = (paused: boolean) => [desired('live'), { ...desired('late'), paused }];
    await site.runtime.applyJobs(both(true));
    for (let v = 0; v < 3000; v++) site.source().give({ payload: { k: `k${v % 7}`, v } });
    await site.settled();
    expect(site.runtime.jobReports()).toMatchObject([
      { name: 'live', lagRecords: 0 },
      { name: 'late', phase: 'paused', lagRecords: 3000 },
    ]);
    await site.runtime.applyJobs(both(false));
    for (let v = 0; v < 100; v++) site.source().give({ payload: { k: `k${v % 7}`, v } });
    await site.settled();
    await waitFor('late to catch up', () => isRunning(site, 'late'));
    await waitFor('its rows', () => site.runtime.outbox.depth().rows === 6200);
    const rows = await site.take();
    const of = (name: string) =>
      rows.filter(({ job }) => job === name).map(({ key, value, at }) => ({ key, value, at }));
    expect(of('late')).toHaveLength(3100);
    expect(of('late')).toEqual(of('live'));
  });

  it('skips, counted, what the journal could not keep', async () => {
    const site = await openSite({ budgets: { journalBytesMax: 200_000 } });
    await site.runtime.applyJobs([{ ...desired('a'), paused: true }]);
    const pad = 'x'.repeat(1000);
    for (let v = 0; v < 1500; v++) {
      site.source().give({ payload: { v: 1, pad } });
      if (v % 100 === 99) await site.settled();
    }
    await site.runtime.applyJobs([desired('a')]);
    await waitFor('a to run', () => isRunning(site, 'a'));
    const [report] = site.runtime.jobReports();
    const skipped = report?.dropped['journal_skipped'] ?? 0;
    expect(skipped).toBeGreaterThan(500);
    expect((report?.recordsIn ?? 0) + skipped).toBe(1500);
    expect(site.runtime.counters()['journal_bytes']).toBeLessThan(400_000);
  });
});
