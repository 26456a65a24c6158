/** What becomes of runs when somebody sets the clock, or the device learns the time. */
import { describe, expect, it } from 'vitest';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { type BatchSite, desiredJob, openBatchSite, runnersWith } from './batch-site.ts';
import { Gate } from './gate.ts';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const WOKEN = 5 * 60_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const ASK = { action: 'run', job: 'job', parameters: {}, fullRefresh: false } as const;

let asked = 0;

async function ask(site: BatchSite): Promise<string> {
  const n = ++asked;
  const partition = new Date(1_770_000_000_000 + n * 1000).toISOString();
  const { runs } = await site.command({ ...ASK, partition }, `ask-${n}`);
  return runs[0]!.run;
}

async function runOf(site: BatchSite, run: string): Promise<RunReport> {
  return (await site.runs()).find((each) => each.run === run)!;
}

/** Time goes by in steps in which everything can be seen. */
async function passing(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= MINUTE_MS) {
    clock.pass(Math.min(MINUTE_MS, left));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const TIMED = `timeout: 6h
tasks: [{ id: t, value: { value: wait } }]`;

describe('a run with a timeout', () => {
  it('goes on when the clock learns the time, and times out after what has passed', async () => {
    const clock = new ManualClock(WOKEN);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([desiredJob('job', TIMED)]);
    const run = await ask(site);
    await waitFor('it to run', () => gate.waiting === 1);
    await passing(clock, 2 * HOUR_MS);
    clock.set(NOON);
    await passing(clock, 4 * HOUR_MS - 2 * MINUTE_MS);
    expect(gate.waiting).toBe(1);
    // It began two hours before the time was known.
    await waitFor('its start to be told', async () => {
      const { startedAt } = await runOf(site, run);
      return Math.abs((startedAt ?? 0) - (NOON - 2 * HOUR_MS)) < MINUTE_MS;
    });
    await passing(clock, 3 * MINUTE_MS);
    expect(await site.ended(run)).toMatchObject({ error: { code: 'run_timeout' } });
  });

  it('times out after what has passed when the clock is set back', async () => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([desiredJob('job', TIMED)]);
    const run = await ask(site);
    await waitFor('it to run', () => gate.waiting === 1);
    await passing(clock, HOUR_MS);
    clock.set(NOON - 240 * HOUR_MS);
    await passing(clock, 5 * HOUR_MS - MINUTE_MS);
    expect(gate.waiting).toBe(1);
    await passing(clock, 2 * MINUTE_MS);
    expect(await site.ended(run)).toMatchObject({ error: { code: 'run_timeout' } });
  });

  it.each([
    ['learned the time while it was off', WOKEN, NOON],
    ['woke in 1970 once more', WOKEN, 1000],
  ])('keeps what had passed when the device %s', async (_, before, after) => {
    const dataDir = tempDir('clock');
    const gate = new Gate();
    const settings = { runners: gate.runners };
    const job = desiredJob(
      'job',
      `timeout: 6h
tasks:
  - { id: first, value: { value: wait } }
  - { id: then, needs: [first], value: { value: wait } }`,
    );
    const first = new ManualClock(before);
    const site = await openBatchSite({ dataDir, clock: first, settings });
    await site.runtime.applyJobs([job]);
    const run = await ask(site);
    await waitFor('it to run', () => gate.waiting === 1);
    await passing(first, 2 * HOUR_MS);
    gate.open();
    await waitFor('the second to run', () => gate.begun === 2);
    await waitFor('that to be stored', async () => (await site.rows()).length > 2);
    await site.close();
    const clock = new ManualClock(after);
    const again = await openBatchSite({ dataDir, clock, settings });
    await again.runtime.applyJobs([job]);
    await waitFor('it to go on', () => gate.begun === 3);
    await passing(clock, 4 * HOUR_MS - 2 * MINUTE_MS);
    expect(gate.waiting).toBe(1);
    await passing(clock, 3 * MINUTE_MS);
    expect(await again.ended(run)).toMatchObject({ error: { code: 'run_timeout' } });
  });
});

describe('the pause of a retry', () => {
  it('is as long as it is, whatever the clock on the wall says meanwhile', async () => {
    const clock = new ManualClock(WOKEN);
    let begun = 0;
    const runners = runnersWith(() => {
      begun++;
      throw new TaskError('network', 'is_down', 'the other side is down');
    });
    const site = await openBatchSite({ clock, settings: { runners } });
    const retry = '{ attempts: 2, backoff: { initial: 10m, factor: 1, max: 10m } }';
    await site.runtime.applyJobs([
      desiredJob('job', `tasks: [{ id: t, value: { value: 1 }, retry: ${retry} }]`),
    ]);
    const run = await ask(site);
    await waitFor('it to pause', async () =>
      (await site.rows()).some(({ kind }) => kind === 'task'),
    );
    clock.set(NOON);
    // Ten minutes, a fifth more or less.
    await passing(clock, 7 * MINUTE_MS);
    expect(begun).toBe(1);
    await passing(clock, 6 * MINUTE_MS);
    expect(await site.ended(run)).toMatchObject({ state: 'failed' });
    expect(begun).toBe(2);
  });
});

describe('a quota', () => {
  it('is not free again because the device learned the time', async () => {
    const clock = new ManualClock(WOKEN);
    const site = await openBatchSite({ clock });
    await site.runtime.applyJobs([
      desiredJob('job', 'quota: { runs: 1, per: 1h }\ntasks: [{ id: t, value: { value: 1 } }]'),
    ]);
    await site.ended(await ask(site));
    const second = await ask(site);
    clock.set(NOON);
    await passing(clock, 55 * MINUTE_MS);
    expect(await runOf(site, second)).toMatchObject({ state: 'queued' });
    await passing(clock, 6 * MINUTE_MS);
    expect(await site.ended(second)).toMatchObject({ state: 'success' });
  });
});

describe('runs that ended before the time was known', () => {
  it('are kept like others: nobody knows how old they are', async () => {
    const clock = new ManualClock(WOKEN);
    const site = await openBatchSite({ clock });
    await site.runtime.applyJobs([desiredJob('job', 'tasks: [{ id: t, value: { value: 1 } }]')]);
    const old = await ask(site);
    await site.ended(old);
    clock.set(NOON);
    await site.ended(await ask(site));
    await passing(clock, 2 * HOUR_MS);
    const again = await site.command({ action: 'clear', run: old, task: 't' });
    expect(again.runs).toMatchObject([{ run: old }]);
  });
});
