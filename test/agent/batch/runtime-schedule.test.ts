import { describe, expect, it } from 'vitest';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';
import { Gate } from './gate.ts';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function statesOf(runs: readonly RunReport[]): string[] {
  return runs.map(({ state }) => state);
}

async function untilRuns(site: BatchSite, states: readonly string[]): Promise<void> {
  await waitFor(`runs to be ${states.join(', ')}`, async () => {
    const found = statesOf(await site.runs());
    return JSON.stringify(found) === JSON.stringify(states);
  });
}

function batchOf(site: BatchSite) {
  const { batch } = site.runtime.jobReports()[0]!;
  return batch!;
}

describe('a time that comes while a run is active', () => {
  const table = [
    ['skip', 1, ['running'], ['success'], { overlap: 2 }],
    ['bufferOne', 1, ['running', 'queued'], ['success', 'success'], { overlap: 1 }],
    ['bufferAll', 1, ['running', 'queued', 'queued'], ['success', 'success', 'success'], {}],
    [
      'cancelOther',
      1,
      ['cancelled', 'cancelled', 'running'],
      ['cancelled', 'cancelled', 'success'],
      {},
    ],
    ['allow', 3, ['running', 'running', 'running'], ['success', 'success', 'success'], {}],
  ] as const;

  it.each(table)('with overlap %s', async (overlap, maxActiveRuns, during, after, skipped) => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([
      desiredJob(
        'often',
        `
schedule: { every: 1m, overlap: ${overlap} }
maxActiveRuns: ${maxActiveRuns}
tasks: [{ id: work, value: { value: wait } }]
`,
      ),
    ]);
    for (let fire = 1; fire <= 3; fire++) {
      const before = JSON.stringify(batchOf(site));
      clock.pass(MINUTE_MS);
      await waitFor('the time to be seen', () => JSON.stringify(batchOf(site)) !== before);
      const running = during.slice(0, fire).filter((state) => state === 'running').length;
      if (running > 0) await waitFor('its task to wait', () => gate.waiting === running);
      if (overlap === 'cancelOther') await waitFor('one to run', () => gate.waiting === 1);
    }
    await untilRuns(site, during);
    await waitFor('all to end', async () => {
      gate.open();
      return (await site.runs()).every(({ endedAt }) => endedAt !== null);
    });
    expect(statesOf(await site.runs())).toEqual(after);
    expect(batchOf(site).skipped).toEqual(skipped);
  });
});

const DAILY = `
schedule: { cron: "15 0 * * *" }
partition: { every: 1d }
tasks: [{ id: day, value: { value: "{{ partition.date }}" } }]
`;

describe('an agent that was off for three days', () => {
  it.each([
    ['runOnce', ['2026-11-24'], { misfire: 2 }],
    ['skip', [], { misfire: 3 }],
    ['runAll', ['2026-11-22', '2026-11-23', '2026-11-24'], {}],
  ] as const)('with misfire %s makes up for what it says', async (misfire, days, skipped) => {
    const dataDir = tempDir('outage');
    const job = desiredJob('daily', DAILY.replace('" }', `", misfire: ${misfire} }`));
    const first = await openBatchSite({ dataDir, clock: new ManualClock(NOON) });
    await first.runtime.applyJobs([job]);
    await first.close();
    const clock = new ManualClock(NOON + 3 * DAY_MS);
    const site = await openBatchSite({ dataDir, clock });
    await site.runtime.applyJobs([job]);
    await waitFor('all runs to have ended', async () => {
      const runs = await site.runs();
      return runs.length >= days.length && runs.every(({ endedAt }) => endedAt !== null);
    });
    await waitFor('skipped ones to be counted', () => {
      return JSON.stringify(batchOf(site).skipped) === JSON.stringify(skipped);
    });
    const runs = await site.runs();
    expect(runs.map(({ partition }) => partition)).toEqual(days);
    expect(runs.every(({ trigger }) => trigger === 'catchUp')).toBe(true);
    await waitFor('the skipped ones to be told', async () => {
      const events = (await site.rows()).filter(({ dataset }) => dataset === 'schedule_skipped');
      const counts = events.map(({ value }) => (value as { count: number }).count);
      return JSON.stringify(counts) === JSON.stringify(Object.values(skipped));
    });
    expect(batchOf(site).nextAt).toBe(Date.parse('2026-11-26T00:15:00Z'));
  });
});

describe('a partition', () => {
  it('that is done is not run again by the schedule, but is when somebody asks', async () => {
    const clock = new ManualClock(NOON);
    const site = await openBatchSite({ clock });
    await site.runtime.applyJobs([desiredJob('daily', DAILY)]);
    const ask = { action: 'run', job: 'daily', parameters: {}, fullRefresh: false } as const;
    clock.pass(DAY_MS / 2 + MINUTE_MS);
    const { runs } = await site.command({ ...ask, partition: null });
    expect(runs).toMatchObject([{ partition: '2026-11-22' }]);
    await site.ended(runs[0]!.run);
    clock.pass(20 * MINUTE_MS);
    await waitFor('the time to be counted', () => batchOf(site).skipped.done === 1);
    const again = await site.command({ ...ask, partition: '2026-11-22' });
    expect(again.runs[0]!.run).not.toBe(runs[0]!.run);
    expect(await site.ended(again.runs[0]!.run)).toMatchObject({ state: 'success' });
    await expect(site.command({ ...ask, partition: '22.11.2026' })).rejects.toThrow(/2026-11-2/);
  });
});

describe('a job that is paused', () => {
  it('starts nothing and counts what it missed when it goes on', async () => {
    const clock = new ManualClock(NOON);
    const site = await openBatchSite({ clock });
    const job = desiredJob('daily', DAILY);
    await site.runtime.applyJobs([{ ...job, paused: true }]);
    expect(site.runtime.jobReports()).toMatchObject([{ phase: 'paused', batch: { nextAt: null } }]);
    clock.pass(2 * DAY_MS);
    await site.runtime.applyJobs([job]);
    await waitFor('them to be counted', () => batchOf(site).skipped.paused === 2);
    expect(await site.runs()).toEqual([]);
  });
});

describe('a backfill', () => {
  const ask = {
    action: 'backfill',
    job: 'daily',
    from: Date.parse('2026-11-10T00:00:00Z'),
    to: Date.parse('2026-11-14T00:00:00Z'),
    which: 'none',
    order: 'newest',
    maxActive: 1,
    parameters: {},
  } as const;

  it('lists what it would run, runs that in order, and goes on after a restart', async () => {
    const dataDir = tempDir('backfill');
    const gate = new Gate();
    const settings = { runners: gate.runners };
    const job = desiredJob('daily', DAILY.replace('"{{ partition.date }}"', 'wait'));
    const clock = new ManualClock(NOON);
    const first = await openBatchSite({ dataDir, clock, settings });
    await first.runtime.applyJobs([job]);
    const days = ['2026-11-13', '2026-11-12', '2026-11-11', '2026-11-10'];
    expect((await first.command({ ...ask, dryRun: true })).partitions).toEqual(days);
    expect(await first.runs()).toEqual([]);
    const begun = await first.command({ ...ask, dryRun: false });
    expect(begun.runs).toMatchObject([{ partition: '2026-11-13' }]);
    await waitFor('the first to run', () => gate.waiting === 1);
    gate.open();
    await waitFor(
      'the second to run',
      async () => gate.waiting === 1 && (await first.runs()).length === 2,
    );
    await first.close();
    const second = await openBatchSite({ dataDir, clock: new ManualClock(NOON), settings });
    await second.runtime.applyJobs([job]);
    await waitFor('the backfill to end', async () => {
      gate.open();
      return (await second.rows()).some(({ dataset }) => dataset === 'backfill_ended');
    });
    const made = [...(await first.runs()), ...(await second.runs())];
    const partitions = [...new Set(made.map(({ partition }) => partition))];
    expect(partitions).toEqual(days);
    expect(new Set(made.map(({ run }) => run)).size).toBe(4);
    expect(batchOf(second).ended).toEqual({ success: 4 });
    expect((await second.command({ ...ask, dryRun: true })).partitions).toEqual([]);
    const all = await second.command({ ...ask, which: 'all', dryRun: true });
    expect(all.partitions).toEqual(days);
  });
});
