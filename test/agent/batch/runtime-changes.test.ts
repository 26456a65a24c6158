/** Jobs and runs that change or go while something of them is under way. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { agentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { taskPolicy } from '@runnel/agent/config/task-policy.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { type BatchSite, desiredJob, openBatchSite, runnersWith } from './batch-site.ts';
import { Gate } from './gate.ts';
import { HeldStore } from './held-store.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;
const WAIT = 'tasks: [{ id: work, value: { value: wait } }]';

function batchOf(site: BatchSite) {
  return site.runtime.jobReports()[0]!.batch!;
}

/** Runs a shell that says its pid and then only ends when it is ended. */
const SLEEPER = (file: string): string =>
  `tasks: [{ id: sleep, command: { run: [/bin/sh, -c, "echo $$ > ${file}; exec sleep 600"] } }]`;

function pidIn(file: string): number {
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

function isGone(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  if (!existsSync(stat)) return true;
  const text = readFileSync(stat, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
}

function shellPolicy(dataDir: string) {
  const policy = { apiVersion: 'runnel/v1', kind: 'AgentPolicy', commands: ['/bin/sh'] };
  return taskPolicy(agentPolicy.parse(policy), dataDir, {});
}

describe('a job that is taken away while a run is active', () => {
  it('leaves no program, no record and no file', async () => {
    const dataDir = tempDir('taken');
    const held = new HeldStore();
    const settings = { policy: shellPolicy(dataDir) };
    const site = await openBatchSite({ dataDir, settings, wrapStore: held.wrap });
    const file = join(dataDir, 'pid');
    await site.runtime.applyJobs([desiredJob('job', SLEEPER(file))]);
    await site.command({ ...ASK, job: 'job' });
    await waitFor('its program', () => pidIn(file) > 0);
    expect(held.batchKeys()).toContain('open');
    await site.runtime.applyJobs([]);
    await waitFor('its program to be gone', () => isGone(pidIn(file)));
    await waitFor('the job to be gone', () => site.runtime.jobReports().length === 0);
    // The answer to the command stays for as long as it may come again.
    await waitFor('its records to be gone', () =>
      held.batchKeys().every((kind) => kind === 'command' || kind === 'time'),
    );
    const files = (folder: string): string[] => {
      const path = join(dataDir, 'batch', folder);
      return existsSync(path) ? readdirSync(path) : [];
    };
    await waitFor('its files to be gone', () =>
      ['logs', 'tables', 'scratch'].every((folder) => files(folder).length === 0),
    );
  });

  it('and put back before its run has ended fires as before', async () => {
    const clock = new ManualClock(NOON);
    let goOn = (): void => undefined;
    const ending = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    // It takes its time to end.
    const runners = runnersWith(async (_value, _config, { signal }) => {
      await ending;
      signal.throwIfAborted();
    });
    const site = await openBatchSite({ clock, settings: { runners } });
    const job = desiredJob('job', `schedule: { every: 1h }\n${WAIT}`);
    await site.runtime.applyJobs([job]);
    const { runs } = await site.command({ ...ASK, job: 'job' });
    await waitFor('it to run', () => batchOf(site).activeRuns === 1);
    const { nextAt } = batchOf(site);
    await site.runtime.applyJobs([]);
    await site.runtime.applyJobs([job]);
    goOn();
    expect(await site.ended(runs[0]!.run)).toMatchObject({ state: 'cancelled' });
    expect(batchOf(site)).toMatchObject({ nextAt, ended: { cancelled: 1 } });
    clock.passTo(nextAt!);
    await waitFor('its next run', async () => (await site.runs()).length === 2);
  });

  it('with a backfill takes that with it, also when the agent was off', async () => {
    const dataDir = tempDir('taken-backfill');
    const gate = new Gate();
    const job = desiredJob('job', `partition: { every: 1d }\n${WAIT}`);
    const open = async (held = new HeldStore()) => ({
      held,
      site: await openBatchSite({
        dataDir,
        settings: { runners: gate.runners },
        clock: new ManualClock(NOON),
        wrapStore: held.wrap,
      }),
    });
    const first = await open();
    await first.site.runtime.applyJobs([job]);
    await first.site.command({ ...BACKFILL, job: 'job' }, 'fill');
    await waitFor('it to run', () => gate.waiting === 1);
    await first.site.close();
    const second = await open();
    expect(second.held.batchKeys()).toContain('backfill');
    await second.site.runtime.applyJobs([]);
    await waitFor('all to be gone', () =>
      second.held.batchKeys().every((kind) => kind === 'command' || kind === 'time'),
    );
  });
});

const BACKFILL = {
  action: 'backfill',
  from: NOON - 4.5 * DAY_MS,
  to: NOON - 1.5 * DAY_MS,
  which: 'none',
  order: 'oldest',
  maxActive: 1,
  parameters: {},
  dryRun: false,
} as const;

describe('overlap cancelOther', () => {
  it('ends the program of the run before and then runs', async () => {
    const dataDir = tempDir('cancel-other');
    const clock = new ManualClock(NOON);
    const settings = { policy: shellPolicy(dataDir) };
    const site = await openBatchSite({ dataDir, clock, settings });
    const file = join(dataDir, 'pid');
    const schedule = 'schedule: { every: 1m, overlap: cancelOther }';
    await site.runtime.applyJobs([desiredJob('job', `${schedule}\n${SLEEPER(file)}`)]);
    clock.pass(MINUTE_MS);
    await waitFor('its program', () => pidIn(file) > 0);
    const before = pidIn(file);
    rmSync(file);
    clock.pass(MINUTE_MS);
    await waitFor('the next program', () => {
      // A program that does not end at once is ended when its grace is over.
      clock.pass(100);
      return pidIn(file) > 0;
    });
    expect(pidIn(file)).not.toBe(before);
    expect(isGone(before)).toBe(true);
    expect((await site.runs()).map(({ state }) => state)).toEqual(['cancelled', 'running']);
    let isClosed = false;
    const closing = site.close().then(() => (isClosed = true));
    await waitFor('its program to be ended too', () => {
      clock.pass(100);
      return isClosed;
    });
    await closing;
  });
});

describe('a job that is paused while a task waits to be made again', () => {
  it('lets the run go on, and starts no other', async () => {
    const clock = new ManualClock(NOON);
    let calls = 0;
    const runners = runnersWith(() => {
      if (calls++ === 0) throw new TaskError('network', 'is_down', 'is down');
    });
    const site = await openBatchSite({ clock, settings: { runners } });
    const retry = 'retry: { attempts: 2, backoff: { initial: 1m } }';
    const job = desiredJob(
      'job',
      `maxActiveRuns: 2\ntasks: [{ id: t, value: { value: 1 }, ${retry} }]`,
    );
    await site.runtime.applyJobs([job]);
    const [first] = (await site.command({ ...ASK, job: 'job' })).runs;
    await waitFor('it to fail', async () =>
      (await site.rows()).some(({ kind }) => kind === 'task'),
    );
    await site.runtime.applyJobs([{ ...job, paused: true }]);
    const partition = new Date(NOON - DAY_MS).toISOString();
    const [second] = (await site.command({ ...ASK, job: 'job', partition })).runs;
    clock.pass(5 * MINUTE_MS);
    expect(await site.ended(first!.run)).toMatchObject({ state: 'success' });
    expect(batchOf(site)).toMatchObject({ queuedRuns: 1, activeRuns: 0 });
    await site.runtime.applyJobs([job]);
    expect(await site.ended(second!.run)).toMatchObject({ state: 'success' });
  });
});

describe('a backfill', () => {
  it('holds no time of the schedule up, and is held up by none', async () => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    const schedule = 'schedule: { cron: "0 0 * * *", overlap: skip }\npartition: { every: 1d }';
    await site.runtime.applyJobs([desiredJob('job', `${schedule}\nmaxActiveRuns: 2\n${WAIT}`)]);
    await site.command({ ...BACKFILL, job: 'job' });
    await waitFor('it to run', () => gate.waiting === 1);
    clock.pass(DAY_MS / 2);
    await waitFor('the scheduled run beside it', () => gate.waiting === 2);
    expect(batchOf(site).skipped).toEqual({});
    await waitFor('all to end', async () => {
      gate.open();
      return batchOf(site).ended.success === 4;
    });
  });

  it('passes by a partition that another run is making, and ends', async () => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([
      desiredJob('job', `partition: { every: 1d }\nmaxActiveRuns: 2\n${WAIT}`),
    ]);
    const [own] = (await site.command({ ...ASK, job: 'job', partition: '2026-11-18' })).runs;
    await waitFor('it to run', () => gate.waiting === 1);
    await site.command({ ...BACKFILL, job: 'job' });
    await waitFor('the other', () => gate.waiting === 2);
    gate.open();
    await waitFor('the last', () => gate.begun === 3);
    gate.open();
    await waitFor('it to end', async () =>
      (await site.rows()).some(({ dataset }) => dataset === 'backfill_ended'),
    );
    const runs = await site.runs();
    expect(runs.map(({ partition }) => partition)).toEqual([
      '2026-11-18',
      '2026-11-19',
      '2026-11-20',
    ]);
    expect(runs[0]).toMatchObject({ run: own!.run, trigger: 'manual' });
  });

  it('that the job no longer takes ends, and its run with its own state', async () => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    const head = 'partition: { every: 1d }';
    const parameters = 'parameters: { n: { type: number, default: 1 } }';
    await site.runtime.applyJobs([desiredJob('job', `${head}\n${parameters}\n${WAIT}`)]);
    await site.command({ ...BACKFILL, job: 'job', parameters: { n: 2 } });
    await waitFor('it to run', () => gate.waiting === 1);
    await site.runtime.applyJobs([desiredJob('job', `${head}\n${WAIT}`, { version: 2 })]);
    gate.open();
    await waitFor('it to end', async () =>
      (await site.rows()).some(({ dataset }) => dataset === 'backfill_ended'),
    );
    expect(await site.runs()).toMatchObject([{ state: 'success' }]);
    expect(batchOf(site).ended).toEqual({ success: 1 });
  });
});

describe('a run that has ended', () => {
  it('is not run again while another of its partition is under way', async () => {
    const gate = new Gate();
    const site = await openBatchSite({ settings: { runners: gate.runners } });
    await site.runtime.applyJobs([desiredJob('job', WAIT)]);
    const partition = new Date(NOON).toISOString();
    const [first] = (await site.command({ ...ASK, job: 'job', partition })).runs;
    await waitFor('it to run', () => gate.waiting === 1);
    await site.command({ action: 'cancel', run: first!.run });
    await site.ended(first!.run);
    const [second] = (await site.command({ ...ASK, job: 'job', partition })).runs;
    await waitFor('the other to run', () => gate.waiting === 1);
    const again = { action: 'rerun', run: first!.run, from: null, fullRefresh: false } as const;
    await expect(site.command(again)).rejects.toMatchObject({ code: 'partition_active' });
    gate.open();
    await site.ended(second!.run);
    await site.command(again);
    await waitFor('the first to run again', () => gate.waiting === 1);
    gate.open();
    await waitFor('its end', async () => (await site.ended(first!.run)).state === 'success');
  });
});

describe('a command', () => {
  it('that comes twice is answered when its effect is on disk, and not before', async () => {
    const held = new HeldStore();
    const site = await openBatchSite({ wrapStore: held.wrap });
    await site.runtime.applyJobs([desiredJob('job', 'tasks: [{ id: t, value: { value: 1 } }]')]);
    held.hold();
    const answered: string[] = [];
    const ask = async (which: string): Promise<void> => {
      await site.command({ ...ASK, job: 'job' }, 'same');
      answered.push(which);
    };
    const first = ask('first');
    await waitFor('its commit', () => held.waiting > 0);
    const second = ask('second');
    const third = site.command({ ...ASK, job: 'other' }, 'refused').catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toEqual([]);
    expect(held.batchKeys()).not.toContain('command');
    held.release();
    await Promise.all([first, second, third]);
    expect(answered.toSorted()).toEqual(['first', 'second']);
    expect(held.batchKeys()).toContain('command');
  });
});
