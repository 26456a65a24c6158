/** What holds runs and tasks back, and what ends them, through the whole runtime. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BATCH_BUDGET } from '@runnel/agent/batch/batch-budget.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import type { RunReport, TaskReport } from '@runnel/shared/protocol/runs.ts';
import { repository } from '../../support/processes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { type BatchSite, desiredJob, openBatchSite, runnersWith } from './batch-site.ts';
import { Gate } from './gate.ts';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const ASK = { action: 'run', job: 'job', parameters: {}, fullRefresh: false } as const;

let asked = 0;

/** Asks for the run of an instant, which is a partition of its own. */
async function ask(site: BatchSite): Promise<string> {
  const n = ++asked;
  const partition = new Date(1_760_000_000_000 + n * 1000).toISOString();
  const { runs } = await site.command({ ...ASK, partition }, `ask-${n}`);
  return runs[0]!.run;
}

async function runOf(site: BatchSite, run: string): Promise<RunReport> {
  return (await site.runs()).find((each) => each.run === run)!;
}

async function tasksOf(site: BatchSite, run: string): Promise<TaskReport[]> {
  const rows = (await site.rows()).filter(({ dataset }) => dataset === run);
  return rows.flatMap(({ kind, value }) => (kind === 'task' ? [value as TaskReport] : []));
}

/** Runs that were made of the first job, over all processes. */
function madeOf(site: BatchSite): number {
  const { activeRuns, queuedRuns, ended } = site.runtime.jobReports()[0]!.batch!;
  return activeRuns + queuedRuns + Object.values(ended).reduce((sum, count) => sum + count, 0);
}

const WAIT = 'tasks: [{ id: work, value: { value: wait } }]';

describe('a disk that fills up', () => {
  it('starts a run, and the next only after there was room, also over a restart', async () => {
    const dataDir = tempDir('disk');
    const clock = new ManualClock(NOON);
    const disk = { share: 0.5 };
    const settings = { diskShare: () => disk.share };
    const job = desiredJob(
      'job',
      'schedule: { diskAbove: 80% }\ntasks: [{ id: t, value: { value: "{{ run.trigger }}" } }]',
    );
    const look = async (site: BatchSite, share: number, runs: number): Promise<void> => {
      disk.share = share;
      clock.pass(30_000);
      // A run is there as soon as the time was looked at.
      expect(madeOf(site), `at ${share}`).toBe(runs);
      await waitFor('it to end', () => {
        const { activeRuns, queuedRuns } = site.runtime.jobReports()[0]!.batch!;
        return activeRuns + queuedRuns === 0;
      });
    };
    const site = await openBatchSite({ dataDir, clock, settings });
    await site.runtime.applyJobs([job]);
    await look(site, 0.79, 0);
    await look(site, 0.81, 1);
    await waitFor('its report', async () => (await site.runs())[0]?.trigger === 'disk');
    await look(site, 0.95, 1);
    await site.close();
    const second = await openBatchSite({ dataDir, clock, settings });
    await second.runtime.applyJobs([job]);
    await look(second, 0.95, 1);
    await look(second, 0.6, 1);
    await look(second, 0.9, 2);
  });
});

describe('a partition that is done', () => {
  const path = join(repository, 'deploy/examples/archive-on-pressure.yaml');
  const example = parse(readFileSync(path, 'utf8')) as Record<'schedule' | 'partition', object>;
  const nightly = {
    cron: '30 2 * * *',
    timezone: 'Europe/Paris',
    onStartup: true,
    overlap: 'bufferAll',
  };

  it.each([
    ['the disk fills up', example.schedule, 'disk'],
    ['the agent starts', nightly, 'startup'],
  ])('is made again when %s', async (_, schedule, trigger) => {
    const dataDir = tempDir('again');
    const clock = new ManualClock(NOON);
    const disk = { share: 0.5 };
    const settings = { diskShare: () => disk.share };
    const tasks = [{ id: 'archive', value: { value: '{{ run.trigger }}' } }];
    const { partition } = example;
    const job = desiredJob('job', JSON.stringify({ schedule, partition, tasks }));
    const first = await openBatchSite({ dataDir, clock, settings });
    await first.runtime.applyJobs([job]);
    clock.pass(15 * HOUR_MS);
    const of = async (site: BatchSite, by: string): Promise<readonly RunReport[]> =>
      (await site.runs()).filter(({ trigger: made, state }) => made === by && state === 'success');
    await waitFor('the night to be done', async () => (await of(first, 'schedule')).length === 1);
    const [night] = await of(first, 'schedule');
    await first.close();
    const site = await openBatchSite({ dataDir, clock, settings });
    await site.runtime.applyJobs([job]);
    disk.share = 0.85;
    clock.pass(30_000);
    await waitFor('it to be made again', async () => (await of(site, trigger)).length === 1);
    const [again] = await of(site, trigger);
    expect(again).toMatchObject({ key: night!.key, partition: '2026-11-22', tries: 1 });
    expect(site.runtime.jobReports()[0]!.batch!.skipped).toEqual({});
  });
});

describe('a circuit breaker', () => {
  it('that is open stays open over a restart, and lets a probe through in time', async () => {
    const dataDir = tempDir('breaker');
    const clock = new ManualClock(NOON);
    const calls = { count: 0, broken: true };
    const runners = runnersWith(() => {
      calls.count++;
      if (calls.broken) throw new TaskError('network', 'is_down', 'the other side is down');
    });
    const breaker = '{ failureRate: 50%, window: 4, callsMin: 2, openFor: 1h, probes: 1 }';
    const job = desiredJob(
      'job',
      `tasks: [{ id: t, value: { value: 1 }, retry: { attempts: 1 }, circuitBreaker: ${breaker} }]`,
    );
    const first = await openBatchSite({ dataDir, clock, settings: { runners } });
    await first.runtime.applyJobs([job]);
    for (const _ of [1, 2]) {
      expect(await first.ended(await ask(first))).toMatchObject({ error: { code: 'is_down' } });
    }
    await first.close();
    const second = await openBatchSite({ dataDir, clock, settings: { runners } });
    await second.runtime.applyJobs([job]);
    expect(await second.ended(await ask(second))).toMatchObject({
      state: 'failed',
      error: { code: 'circuit_open', class: 'circuit_open' },
    });
    expect(second.runtime.counters()).toMatchObject({
      batch_breaker_refusals: 1,
      batch_attempts: 0,
    });
    expect(calls.count).toBe(2);
    calls.broken = false;
    clock.pass(HOUR_MS);
    for (const _ of [1, 2]) {
      expect(await second.ended(await ask(second))).toMatchObject({ state: 'success' });
    }
    expect(calls.count).toBe(4);
  });
});

describe('a quota', () => {
  it('of runs holds the next one back until the oldest is out of its period', async () => {
    const clock = new ManualClock(NOON);
    const site = await openBatchSite({ clock });
    await site.runtime.applyJobs([
      desiredJob('job', 'quota: { runs: 2, per: 1h }\ntasks: [{ id: t, value: { value: 1 } }]'),
    ]);
    for (const _ of [1, 2]) await site.ended(await ask(site));
    clock.pass(30 * MINUTE_MS);
    const third = await ask(site);
    clock.pass(29 * MINUTE_MS);
    await waitFor('it to be told', async () => (await runOf(site, third)).state === 'queued');
    expect(site.runtime.jobReports()[0]!.batch).toMatchObject({ queuedRuns: 1, activeRuns: 0 });
    clock.pass(2 * MINUTE_MS);
    expect(await site.ended(third)).toMatchObject({ state: 'success' });
  });

  it('of running time counts what failed too', async () => {
    const clock = new ManualClock(NOON);
    const runners = runnersWith(() => {
      clock.pass(10 * MINUTE_MS);
      throw new TaskError('rejected', 'is_broken', 'is broken');
    });
    const site = await openBatchSite({ clock, settings: { runners } });
    await site.runtime.applyJobs([
      desiredJob(
        'job',
        `quota: { time: 5m, per: 1h }
tasks: [{ id: t, value: { value: 1 }, retry: { attempts: 1 } }]`,
      ),
    ]);
    expect(await site.ended(await ask(site))).toMatchObject({ state: 'failed' });
    const second = await ask(site);
    clock.pass(40 * MINUTE_MS);
    expect(await runOf(site, second)).toMatchObject({ state: 'queued' });
    clock.pass(11 * MINUTE_MS);
    expect(await site.ended(second)).toMatchObject({ state: 'failed' });
  });
});

describe("the device's budget", () => {
  it('gives as many tasks at a time a pool as it has slots, over all jobs', async () => {
    const gate = new Gate();
    const budget = { ...BATCH_BUDGET, cpu: 8, tasksMax: 8, pools: { press: 2 } };
    const site = await openBatchSite({ settings: { runners: gate.runners, budget } });
    const pooled = (id: string, slots = 1) =>
      `  - { id: ${id}, pool: press, slots: ${slots}, value: { value: wait } }\n`;
    await site.runtime.applyJobs([
      desiredJob('job', `tasks:\n${pooled('a')}${pooled('b')}${pooled('c', 2)}`),
      desiredJob('free', WAIT),
    ]);
    const run = await ask(site);
    await site.command({ ...ASK, job: 'free', partition: null }, 'free');
    await waitFor('two of the pool and the free one', () => gate.waiting === 3);
    expect(site.runtime.counters()).toMatchObject({ batch_attempts_running: 3 });
    gate.open();
    await waitFor('the big one to run alone', () => gate.begun === 4 && gate.waiting === 1);
    gate.open();
    expect(await site.ended(run)).toMatchObject({ state: 'success' });
  });

  it('fails a task that costs more than all of it, with the reason and no attempt', async () => {
    const budget = { ...BATCH_BUDGET, memoryBytes: 64 * 1024 * 1024 };
    const site = await openBatchSite({ settings: { budget } });
    await site.runtime.applyJobs([
      desiredJob('job', 'tasks: [{ id: big, value: { value: 1 }, cost: { memory: 100MiB } }]'),
    ]);
    const run = await ask(site);
    const message = expect.stringMatching(/needs 100 MiB of memory, and 64 are free/) as string;
    expect(await site.ended(run)).toMatchObject({
      state: 'failed',
      error: { code: 'cost_exceeds_budget', class: 'resources', message },
    });
    expect(await tasksOf(site, run)).toMatchObject([{ state: 'failed', attempt: 0 }]);
  });
});

describe('a timeout', () => {
  it('of a task ends the attempt, which is made again as its retry says', async () => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([
      desiredJob(
        'job',
        `tasks:
  - id: t
    value: { value: wait }
    timeout: 1m
    retry: { attempts: 2, backoff: { initial: 1s, max: 1s } }`,
      ),
    ]);
    const run = await ask(site);
    await waitFor('it to run', () => gate.begun === 1);
    clock.pass(MINUTE_MS);
    await waitFor('it to be told', async () => (await tasksOf(site, run)).length === 1);
    await waitFor('it to run again', () => {
      clock.pass(1000);
      return gate.begun === 2;
    });
    clock.pass(MINUTE_MS);
    expect(await site.ended(run)).toMatchObject({
      state: 'failed',
      error: { code: 'task_timeout', class: 'timeout' },
    });
    const states = (await tasksOf(site, run)).map(({ state, attempt }) => `${state} ${attempt}`);
    expect(states).toEqual(['ready 1', 'failed 2']);
    expect(gate.waiting).toBe(0);
  });

  it('of a run ends what runs, and what waits never starts', async () => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([
      desiredJob(
        'job',
        `timeout: 5m
tasks:
  - { id: first, value: { value: wait } }
  - { id: then, needs: [first], value: { value: wait } }`,
      ),
    ]);
    const run = await ask(site);
    await waitFor('it to run', () => gate.waiting === 1);
    clock.pass(4 * MINUTE_MS);
    expect((await runOf(site, run)).state).toBe('running');
    clock.pass(MINUTE_MS);
    expect(await site.ended(run)).toMatchObject({
      state: 'failed',
      error: { code: 'run_timeout', class: 'timeout' },
    });
    expect(gate).toMatchObject({ begun: 1, waiting: 0 });
    const states = (await tasksOf(site, run)).map(({ task, state }) => `${task} ${state}`);
    expect(states.toSorted()).toEqual(['first cancelled', 'then cancelled']);
  });
});

describe('a job that starts with the agent', () => {
  it('does so once a process, whatever is applied meanwhile', async () => {
    const dataDir = tempDir('startup');
    const yaml = 'schedule: { onStartup: true }\ntasks: [{ id: t, value: { value: 1 } }]';
    for (const [before, version] of [1, 1, 2].entries()) {
      const site = await openBatchSite({ dataDir });
      await site.runtime.applyJobs([desiredJob('job', yaml, { version })]);
      await waitFor('its run', async () => (await site.runs())[0]?.state === 'success');
      await site.runtime.applyJobs([desiredJob('job', yaml, { version, parameters: {} })]);
      await site.runtime.applyJobs([desiredJob('job', yaml, { version: version + 1 })]);
      expect(madeOf(site)).toBe(before + 1);
      expect(await site.runs()).toMatchObject([{ trigger: 'startup' }]);
      await site.close();
    }
  });
});
