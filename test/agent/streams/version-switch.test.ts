/** A new version takes over between two cycles, or leaves everything as it was. */
import { afterEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { type CountDocument, desired, world } from './counting-job.ts';
import { openSite, type Site } from './site.ts';

async function feed(site: Site, ...vs: number[]): Promise<unknown[]> {
  site.source().give(...vs.map((v) => ({ payload: { v } })));
  await site.settled();
  return (await site.take()).map(({ version, value }) => [version, (value as { sum: number }).sum]);
}

const N = 40_000;

/** Resolves when the job reads what came while it was paused, and is far from its end. */
async function lag(site: Site, job: DesiredJob): Promise<void> {
  await site.runtime.applyJobs([{ ...job, paused: true }]);
  for (let round = 0; round < 10; round++) {
    site.source().give(...Array.from({ length: N / 10 }, () => ({ payload: {} })));
  }
  await site.settled();
  await site.runtime.applyJobs([job]);
  await waitFor('it to read on', () => (report(site)?.lagRecords ?? N) < N - 100);
}

/** The rows in order: `n` is 1, 2, 3, … when none is missing and none was made twice. */
async function expectEach(site: Site, count: number): Promise<void> {
  await waitFor('it to run', () => report(site)?.phase === 'running');
  await waitFor('the rows', () => site.runtime.outbox.depth().rows >= count);
  const ns = (await site.take()).map(({ value }) => (value as { n: number }).n);
  expect(ns.length).toBe(count);
  expect(ns.findIndex((n, index) => n !== index + 1)).toBe(-1);
}

const report = (site: Site) => site.runtime.jobReports()[0];
const v1 = desired('a', 1);
const v2 = (document: CountDocument) => desired('a', 2, document);

describe('a new version', () => {
  it('goes on with the state of steps that are the same', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1, 2);
    await site.runtime.applyJobs([v2({ factor: 10 })]);
    expect(await feed(site, 4)).toEqual([[2, 43]]);
    expect(report(site)).toMatchObject({ version: 2, phase: 'running', attempted: null });
  });

  it('is refused when its state does not fit and the job says fail', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1);
    await site.runtime.applyJobs([v2({ fingerprint: 'other' })]);
    expect(report(site)).toMatchObject({
      version: 1,
      phase: 'running',
      attempted: { version: 2, phase: 'failed', reason: expect.stringContaining('count') },
    });
    expect(await feed(site, 2)).toEqual([[1, 3]]);
  });

  it('begins anew when the job says reset', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1);
    await site.runtime.applyJobs([v2({ fingerprint: 'other', onIncompatibleState: 'reset' })]);
    expect(await feed(site, 2)).toEqual([[2, 2]]);
  });

  it('rebuilds its state from the journal with outputs off when the job says replay', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1, 2);
    const document = { fingerprint: 'other', onIncompatibleState: 'replay', factor: 10 } as const;
    await site.runtime.applyJobs([v2(document)]);
    await waitFor('the replay', () => report(site)?.phase === 'running');
    expect(await site.take()).toEqual([]);
    expect(await feed(site, 4)).toEqual([[2, 70]]);
    expect(report(site)).toMatchObject({ version: 2, recordsIn: 3 });
  });

  it('that cannot be created leaves the one before running, untouched', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1);
    await site.runtime.applyJobs([v2({ broken: 'create' })]);
    expect(report(site)).toMatchObject({
      version: 1,
      phase: 'running',
      attempted: { version: 2, phase: 'failed', reason: 'this version cannot be created' },
    });
    expect(await feed(site, 2)).toEqual([[1, 3]]);
    expect(site.conditions.list()).toEqual([]);
  });

  it('that fails again and again gives way to the one before, which misses nothing', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1);
    await site.runtime.applyJobs([v2({ broken: 'record' })]);
    await feed(site, 2);
    await waitFor('the way back', () => report(site)?.version === 1, 20_000);
    await waitFor('it to run', () => report(site)?.phase === 'running');
    expect(await feed(site, 4)).toEqual([
      [1, 3],
      [1, 7],
    ]);
    expect(report(site)).toMatchObject({ attempted: { version: 2, phase: 'failed' } });
  });

  it('can be taken back: the old state returns, and outputs are not made twice', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1);
    await site.runtime.applyJobs([v2({ factor: 10 })]);
    expect(await feed(site, 2)).toEqual([[2, 21]]);
    await site.runtime.applyJobs([v1]);
    await waitFor('it to run', () => report(site)?.phase === 'running');
    expect(await feed(site, 4)).toEqual([[1, 7]]);
  });

  it('survives a restart right after the switch', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1);
    await site.runtime.applyJobs([v2({ factor: 10 })]);
    await site.close();
    const again = await openSite({
      dataDir: site.dataDir,
      prepare: (source) => source.give({ payload: { v: 1 } }),
    });
    await again.runtime.applyJobs([v2({ factor: 10 })]);
    expect(await feed(again, 2)).toEqual([[2, 21]]);
  });

  it('with other parameters only is the same version and keeps its state', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await feed(site, 1);
    await site.runtime.applyJobs([{ ...v1, parameters: { limit: 5 } }]);
    expect(await feed(site, 2)).toEqual([[1, 3]]);
  });
});

describe('a version switch while the job lags', () => {
  afterEach(() => {
    world.poisonous = true;
  });

  it('back loses no result that was not committed', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await site.runtime.applyJobs([v2({ factor: 10 })]);
    await lag(site, v2({ factor: 10 }));
    await site.runtime.applyJobs([v1]);
    await expectEach(site, N);
  });

  it('forward keeps a way back that loses no state', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await lag(site, v1);
    await site.runtime.applyJobs([v2({ factor: 10 })]);
    await waitFor('it to run', () => report(site)?.phase === 'running');
    await site.runtime.applyJobs([v1]);
    await waitFor('it to run', () => report(site)?.phase === 'running');
    site.source().give({ payload: {} });
    await site.settled();
    await expectEach(site, N + 1);
  });

  it('to one that cannot be created leaves it reading on', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await lag(site, v1);
    await site.runtime.applyJobs([v2({ broken: 'create' })]);
    expect(report(site)).toMatchObject({ version: 1, attempted: { version: 2, phase: 'failed' } });
    await expectEach(site, N);
  });

  it('back makes no result twice when the job fails where its outputs go on', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([v1]);
    await site.runtime.applyJobs([v2({ factor: 10 })]);
    const payloads = Array.from({ length: N / 10 }, () => ({ payload: {} }));
    for (let round = 0; round < 5; round++) site.source().give(...payloads);
    await site.settled();
    await site.runtime.applyJobs([v1]);
    site.source().give({ payload: { poison: true } });
    await waitFor('it to fail', () => report(site)?.phase === 'backoff');
    world.poisonous = false;
    await expectEach(site, N / 2 + 1);
  });
});
