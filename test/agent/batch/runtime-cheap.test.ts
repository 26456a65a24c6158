/** Jobs that share a device, and jobs that wait until running costs little. */
import { describe, expect, it } from 'vitest';
import { BATCH_BUDGET } from '@runnel/agent/batch/batch-budget.ts';
import type { Surroundings } from '@runnel/agent/batch/dag/cheap-window.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';
import { Gate } from './gate.ts';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const LOOK_MS = 30_000;

const batchOf = (site: BatchSite, job = 'job') =>
  site.runtime.jobReports().find(({ name }) => name === job)!.batch!;

describe('the share of a job', () => {
  it('holds its own tasks back, in parts of what the device gives, and nobody else', async () => {
    const gate = new Gate();
    const budget = { ...BATCH_BUDGET, tasksMax: 10, cpu: 2 };
    const site = await openBatchSite({ settings: { budget, runners: gate.runners } });
    const items =
      '{ id: work, forEach: [1, 2, 3, 4, 5, 6], cost: { cpu: 0.25 }, value: { value: wait } }';
    await site.runtime.applyJobs([
      desiredJob('greedy', `share: { cpu: 25% }\ntasks: [${items}]`),
      desiredJob('other', `tasks: [${items}]`),
    ]);
    const ask = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;
    const { runs } = await site.command({ ...ask, job: 'greedy' });
    // A quarter of two cores are two tasks of a quarter.
    await waitFor('two of its tasks to run', () => gate.waiting === 2);
    const other = await site.command({ ...ask, job: 'other' });
    await waitFor('all of the other job beside them', () => gate.waiting === 8);
    await waitFor('both to end', async () => {
      gate.open();
      return (await site.runs()).every(({ endedAt }) => endedAt !== null);
    });
    expect((await site.ended(runs[0]!.run)).state).toBe('success');
    expect((await site.ended(other.runs[0]!.run)).state).toBe('success');
  });

  it('fails a task that is above it alone, with the reason and how to mend it', async () => {
    const site = await openBatchSite({ settings: { budget: { ...BATCH_BUDGET, cpu: 1 } } });
    await site.runtime.applyJobs([
      desiredJob(
        'job',
        'share: { cpu: 25% }\ntasks: [{ id: t, cost: { cpu: 0.5 }, value: { value: 1 } }]',
      ),
    ]);
    const ask = { action: 'run', job: 'job', partition: null, parameters: {} } as const;
    const { runs } = await site.command({ ...ask, fullRefresh: false });
    const { state, error } = await site.ended(runs[0]!.run);
    expect(state).toBe('failed');
    expect(error?.message).toContain("0.25 are free of the job's share");
    expect(error?.message).toContain('raise the share of its job');
  });
});

describe('a job with a cheap window', () => {
  const around: { power: Surroundings['power'] } = { power: 'battery' };
  const settings = { surroundings: () => ({ ...around, network: 'unmetered' as const }) };

  const hourly = (more: string) =>
    desiredJob(
      'job',
      `
schedule: { cron: "0 * * * *", overlap: bufferAll }
partition: { every: 1h }
cheapWindow: { power: mains, ${more} }
tasks: [{ id: t, value: { value: 1 } }]
`,
    );

  async function due(site: BatchSite, clock: ManualClock): Promise<void> {
    clock.pass(HOUR_MS);
    await waitFor('a run to wait', () => batchOf(site).queuedRuns === 1);
  }

  it('waits, says for what, also over a restart, and starts when it opens', async () => {
    around.power = 'battery';
    const dataDir = tempDir('cheap');
    const clock = new ManualClock(NOON);
    const job = hourly('waitAtMost: 12h');
    const first = await openBatchSite({ dataDir, clock, settings });
    await first.runtime.applyJobs([job]);
    await due(first, clock);
    await first.close();
    const site = await openBatchSite({ dataDir, clock, settings });
    await site.runtime.applyJobs([job]);
    await waitFor('the reason', () => batchOf(site).waits !== undefined);
    expect(batchOf(site)).toMatchObject({
      queuedRuns: 1,
      waits: '2026-11-22T12: waits for mains power; runs all the same at 2026-11-23T01:00:00.000Z',
    });
    around.power = 'mains';
    clock.pass(LOOK_MS);
    await waitFor('it to succeed', () => batchOf(site).ended['success'] === 1);
    expect(batchOf(site)).not.toHaveProperty('waits');
  });

  it('starts at once when a person asks for the run that waits', async () => {
    around.power = 'battery';
    const clock = new ManualClock(NOON);
    const site = await openBatchSite({ clock, settings });
    await site.runtime.applyJobs([hourly('waitAtMost: 12h')]);
    await due(site, clock);
    const ask = { action: 'run', job: 'job', partition: '2026-11-22T12', parameters: {} } as const;
    const { runs } = await site.command({ ...ask, fullRefresh: false });
    expect(await site.ended(runs[0]!.run)).toMatchObject({ state: 'success', trigger: 'schedule' });
  });

  it('starts all the same when it has waited as long as it says', async () => {
    around.power = 'battery';
    const clock = new ManualClock(NOON);
    const site = await openBatchSite({ clock, settings });
    await site.runtime.applyJobs([hourly('waitAtMost: 30m')]);
    await due(site, clock);
    clock.pass(29 * MINUTE_MS);
    await waitFor('the reason', () => batchOf(site).waits !== undefined);
    expect(batchOf(site).queuedRuns).toBe(1);
    clock.pass(MINUTE_MS);
    await waitFor('it to succeed', () => batchOf(site).ended['success'] === 1);
  });

  it('leaves it out where it says so, counted and told; it can be asked for', async () => {
    around.power = 'battery';
    const clock = new ManualClock(NOON);
    const site = await openBatchSite({ clock, settings });
    await site.runtime.applyJobs([hourly('waitAtMost: 30m, otherwise: skip')]);
    await due(site, clock);
    clock.pass(30 * MINUTE_MS);
    await waitFor('it to be left out', () => batchOf(site).skipped['cheap_window'] === 1);
    expect(batchOf(site)).toMatchObject({ queuedRuns: 0, ended: { cancelled: 1 } });
    await waitFor('it to be told', async () => {
      const told = (await site.rows()).find(({ dataset }) => dataset === 'schedule_skipped');
      return (told?.value as { message?: string } | undefined)?.message?.includes(
        'the run of 2026-11-22T12 was left out: its cheap window did not open in time, ' +
          'it waited for mains power',
      );
    });
    expect(site.runtime.counters()['batch_windows_missed']).toBe(1);
    const { runs } = await site.command({
      ...{ action: 'run', job: 'job', partition: '2026-11-22T12', parameters: {} },
      fullRefresh: false,
    });
    // A person asked: neither the window nor what became of it before is in the way.
    expect((await site.ended(runs[0]!.run)).state).toBe('success');
  });

  it('lets a run that has started go on when it closes', async () => {
    around.power = 'mains';
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { ...settings, runners: gate.runners } });
    const job = hourly('waitAtMost: 1h');
    const tasks = [
      { id: 'a', value: { value: 'wait' } },
      { id: 'b', needs: 'a', value: { value: 1 } },
    ];
    await site.runtime.applyJobs([{ ...job, document: { ...(job.document as object), tasks } }]);
    clock.pass(HOUR_MS);
    await waitFor('its task to run', () => gate.waiting === 1);
    around.power = 'battery';
    clock.pass(LOOK_MS);
    await waitFor('it to succeed', () => {
      gate.open();
      return batchOf(site).ended['success'] === 1;
    });
  });
});
