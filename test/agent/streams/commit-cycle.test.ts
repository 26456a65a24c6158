/** What the commit cycle promises: everything of a commit or nothing, and nothing before it. */
import { describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { compileCount, desired } from './counting-job.ts';
import { openSite } from './site.ts';

describe('a commit', () => {
  it('acknowledges a record and hands on its row only when both are on disk', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    site.source().give({ payload: { k: 'x', v: 2 } }, { payload: { k: 'x', v: 3 } });
    await site.settled();
    const rows = await site.take();
    expect(rows.map(({ seq, job, value }) => ({ seq, job, value }))).toEqual([
      { seq: 1, job: 'a', value: { n: 1, sum: 2 } },
      { seq: 2, job: 'a', value: { n: 2, sum: 5 } },
    ]);
  });

  it('keeps state, offset and totals over a clean restart', async () => {
    const first = await openSite();
    await first.runtime.applyJobs([desired('a')]);
    first.source().give({ payload: { v: 1 } }, { payload: { v: 2 } });
    await first.settled();
    await first.close();

    const again = await openSite({
      dataDir: first.dataDir,
      prepare: (source) => {
        for (const v of [1, 2, 4]) source.give({ payload: { v } });
      },
    });
    await again.runtime.applyJobs([desired('a')]);
    await again.settled();
    const rows = await again.take();
    expect(rows.map(({ value }) => value)).toEqual([
      { n: 1, sum: 1 },
      { n: 2, sum: 3 },
      { n: 3, sum: 7 },
    ]);
    expect(new Set(rows.map(({ epoch }) => epoch)).size).toBe(2);
    expect(again.runtime.jobReports()).toMatchObject([
      { name: 'a', version: 1, phase: 'running', recordsIn: 3, lagRecords: 0, stateKeys: 1 },
    ]);
  });

  it('carries many records when they come together', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    const { commits } = site.runtime.counters();
    for (let v = 0; v < 500; v++) site.source().give({ payload: { v } });
    await site.settled();
    expect(site.runtime.counters()['commits']).toBeLessThan((commits ?? 0) + 10);
  });

  it('sends a record that is no JSON to the dead letters and goes on', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    site.source().give({ payload: '{"v":' }, { payload: { v: 7 } });
    await site.settled();
    expect(site.runtime.deadLetters.list({ limit: 10 })).toMatchObject([
      { job: 'a', reason: 'bad_json', payload: '"{\\"v\\":"' },
    ]);
    expect((await site.take()).map(({ value }) => value)).toEqual([{ n: 1, sum: 7 }]);
    expect(site.runtime.jobReports()).toMatchObject([{ deadLetters: 1, recordsIn: 1 }]);
  });

  it('keeps a hundred dead letters of a job, and counts those beyond', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    site.source().give(...Array.from({ length: 130 }, () => ({ payload: '{"v":' })));
    await site.settled();
    expect(site.runtime.jobReports()).toMatchObject([{ deadLetters: 130 }]);
    expect(site.runtime.counters()).toMatchObject({ dead_letters: 100, dead_letters_dropped: 30 });
  });

  it('is made for a timer when no record comes', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    site.source().give({ payload: { v: 1, wait: 60 } });
    const rows = await waitFor('the timer', async () => {
      const taken = await site.take();
      return taken.some(({ step }) => step === 'timer') ? taken : undefined;
    });
    expect(rows.at(-1)).toMatchObject({ step: 'timer', value: { due: true } });
  });

  it('pauses a source at the gather bound, and takes everything all the same', async () => {
    const site = await openSite({ budgets: { gather: { recordsMax: 100, bytesMax: 1e9 } } });
    await site.runtime.applyJobs([desired('a')]);
    site.source().give(...Array.from({ length: 1000 }, (_, v) => ({ payload: { v } })));
    await site.settled();
    expect((await site.take()).at(-1)?.value).toEqual({ n: 1000, sum: 499_500 });
  });
});

describe('jobs', () => {
  it('share one source by its connector', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a'), desired('b')]);
    site.source().give({ payload: { v: 1 } });
    await site.settled();
    expect((await site.take()).map(({ job }) => job).toSorted()).toEqual(['a', 'b']);
    expect(site.sources.size).toBe(1);
  });

  it('that are no longer desired go, with their source', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a'), desired('b', 1, { source: 'other' })]);
    await site.runtime.applyJobs([desired('a')]);
    expect(site.runtime.jobReports().map(({ name }) => name)).toEqual(['a']);
    expect(site.source('other').stopped).toBe(true);
  });

  it('whose document does not compile are refused with the reason', async () => {
    const site = await openSite({
      compile: (job) => {
        if (job.name === 'bad') throw new Error('steps[0].window: is no window');
        return compileCount(job);
      },
    });
    await site.runtime.applyJobs([desired('bad'), desired('good')]);
    expect(site.runtime.jobReports()).toMatchObject([
      { name: 'good', version: 1, phase: 'running' },
      { name: 'bad', version: null, phase: 'refused', attempted: { version: 1 } },
    ]);
  });
});
