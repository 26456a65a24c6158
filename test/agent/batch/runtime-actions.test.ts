/** What operators ask of runs where another answer would be the easy one. */
import { describe, expect, it } from 'vitest';
import { defineTaskRunner } from '@runnel/agent/batch/tasks/task.ts';
import { limits } from '@runnel/shared/limits.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { desiredJob, openBatchSite, runnersWith } from './batch-site.ts';
import { Gate } from './gate.ts';
import { HeldStore } from './held-store.ts';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const DAY = '2026-11-20';
const ASK = { action: 'run', job: 'job', partition: DAY, fullRefresh: false } as const;
const JOB = desiredJob(
  'job',
  `
partition: { every: 1d }
parameters: { what: { type: string, default: wait } }
tasks: [{ id: work, value: { value: "{{ params.what }}" } }]
`,
);

describe('a run that is asked for while one of its partition is under way', () => {
  it('is that one when it would be the same, and refused when it would not', async () => {
    const gate = new Gate();
    const site = await openBatchSite({ settings: { runners: gate.runners } });
    await site.runtime.applyJobs([JOB]);
    const first = await site.command({ ...ASK, parameters: {} });
    await waitFor('it to run', () => gate.waiting === 1);
    // What it would be without saying so counts as the same.
    const same = await site.command({ ...ASK, parameters: { what: 'wait' } });
    expect(same.runs[0]!.run).toBe(first.runs[0]!.run);
    const refused = {
      code: 'partition_active',
      message: expect.stringMatching(/other parameters.*wait for it, or cancel it/) as string,
    };
    const other = { ...ASK, parameters: { what: 'else' } };
    await expect(site.command(other, 'else')).rejects.toMatchObject(refused);
    await expect(site.command({ ...ASK, parameters: {}, fullRefresh: true })).rejects.toMatchObject(
      { code: 'partition_active' },
    );
    gate.open();
    await site.ended(first.runs[0]!.run);
    expect(await site.runs()).toHaveLength(1);
    // A command counts once, also when it was refused.
    await expect(site.command(other, 'else')).rejects.toMatchObject(refused);
  });

  it('is refused while that one is being cancelled', async () => {
    let release = (): void => undefined;
    const runners = runnersWith(() => new Promise<void>((resolve) => (release = resolve)));
    const site = await openBatchSite({ settings: { runners } });
    await site.runtime.applyJobs([JOB]);
    const { runs } = await site.command({ ...ASK, parameters: {} });
    await waitFor('it to run', async () => (await site.runs())[0]?.state === 'running');
    await site.command({ action: 'cancel', run: runs[0]!.run });
    await expect(site.command({ ...ASK, parameters: {} })).rejects.toMatchObject({
      code: 'partition_active',
      message: expect.stringMatching(/is being cancelled/) as string,
    });
    release();
    expect(await site.ended(runs[0]!.run)).toMatchObject({ state: 'cancelled' });
  });
});

describe('a rerun of all', () => {
  it('makes a run that succeeded again, with what it was given', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([JOB]);
    const { runs } = await site.command({ ...ASK, parameters: { what: 'made' } });
    const { run } = runs[0]!;
    await site.ended(run);
    const rest = { action: 'rerun', run, from: null, fullRefresh: false } as const;
    await expect(site.command(rest)).rejects.toMatchObject({ code: 'nothing_to_rerun' });
    expect(await site.command({ ...rest, all: true })).toMatchObject({ runs: [{ run }] });
    await waitFor('it to be made again', async () => {
      const [report] = await site.runs();
      return report?.tries === 2 && report.state === 'success';
    });
    expect(await site.runs()).toMatchObject([{ run, parameters: { what: 'made' } }]);
  });
});

describe('a report', () => {
  it('says that a run is being cancelled until it has ended', async () => {
    let release = (): void => undefined;
    const runners = runnersWith(() => new Promise<void>((resolve) => (release = resolve)));
    const site = await openBatchSite({ settings: { runners } });
    await site.runtime.applyJobs([JOB]);
    const { runs } = await site.command({ ...ASK, parameters: {} });
    await waitFor('it to run', async () => (await site.runs())[0]?.state === 'running');
    expect((await site.runs())[0]).not.toHaveProperty('cancelling');
    await site.command({ action: 'cancel', run: runs[0]!.run });
    await waitFor('that to be told', async () => (await site.runs())[0]?.cancelling === true);
    expect((await site.runs())[0]).toMatchObject({ state: 'running' });
    release();
    expect(await site.ended(runs[0]!.run)).not.toHaveProperty('cancelling');
  });
});

describe('an attempt that is told to end before it began', () => {
  it('does not begin, and the run ends', async () => {
    const held = new HeldStore();
    let begun = 0;
    const compact = defineTaskRunner<object>({
      kind: 'compact',
      run(_config, { signal }) {
        begun++;
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        });
      },
    });
    const site = await openBatchSite({ wrapStore: held.wrap, settings: { runners: [compact] } });
    await site.runtime.applyJobs([desiredJob('job', 'tasks: [{ id: t, compact: {} }]')]);
    const { runs } = await site.command({ ...ASK, partition: null, parameters: {} });
    held.hold();
    await waitFor('its attempt to wait', () => {
      return site.runtime.counters().batch_attempts === 1;
    });
    const cancelled = site.command({ action: 'cancel', run: runs[0]!.run });
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toBe(0);
    held.release();
    await cancelled;
    expect(await site.ended(runs[0]!.run)).toMatchObject({ state: 'cancelled' });
    expect(begun).toBe(0);
  });
});

describe('a task that does not listen', () => {
  it('holds the stop of the agent up no longer than its grace', async () => {
    const clock = new ManualClock(NOON);
    let begun = 0;
    const runners = runnersWith(() => {
      begun++;
      return new Promise<void>(() => undefined);
    });
    const site = await openBatchSite({ clock, settings: { runners } });
    await site.runtime.applyJobs([JOB]);
    await site.command({ ...ASK, parameters: {} });
    await waitFor('it to run', () => begun === 1);
    let closed = false;
    const closing = site.runtime.close().then(() => (closed = true));
    await waitFor('it to stop', () => {
      clock.pass(limits.attemptGraceMs);
      return closed;
    });
    await closing;
  });
});
