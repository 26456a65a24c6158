/** Backfills that are cancelled, give way, or meet another version of their job. */
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';
import { Gate } from './gate.ts';
import { stopsAfter } from './stopped-store.ts';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const WAIT = 'tasks: [{ id: work, value: { value: wait } }]';
const DAILY = desiredJob('job', `partition: { every: 1d }\nmaxActiveRuns: 4\n${WAIT}`);
const ASK = { action: 'run', job: 'job', parameters: {}, fullRefresh: false } as const;
const BACKFILL = {
  action: 'backfill',
  job: 'job',
  from: Date.parse('2026-11-16T00:00:00Z'),
  to: Date.parse('2026-11-20T00:00:00Z'),
  which: 'none',
  order: 'oldest',
  maxActive: 1,
  parameters: {},
  dryRun: false,
} as const;

interface Ended {
  readonly message: string;
  readonly skipped: unknown;
  readonly stopped: string | null;
}

/** The event of its end. */
async function endOf(site: BatchSite): Promise<Ended> {
  let found: unknown;
  await waitFor('the backfill to end', async () => {
    found = (await site.rows()).find(({ dataset }) => dataset === 'backfill_ended')?.value;
    return found !== undefined;
  });
  return found as Ended;
}

describe('the cancel of a backfill', () => {
  it('is answered the same after a crash: answer and effects are one commit', async () => {
    const dataDir = tempDir('backfill');
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const settings = { runners: gate.runners };
    const counted = { done: 0 };
    const wrapStore = stopsAfter(1000, counted);
    const first = await openBatchSite({ dataDir, clock, settings, wrapStore });
    await first.runtime.applyJobs([DAILY]);
    const { backfill } = await first.command({ ...BACKFILL, maxActive: 2 }, 'fill');
    await waitFor('two to run', () => gate.waiting === 2);
    await waitFor('that to be on disk', async () => {
      const states = (await first.runs()).map(({ state }) => state);
      return states.join() === 'running,running';
    });
    // One commit more, and the device is gone.
    counted.done = 999;
    const cancel = { action: 'cancel', run: backfill! } as const;
    const answer = await first.command(cancel, 'stop');
    expect(answer.runs.map(({ partition }) => partition)).toEqual(['2026-11-16', '2026-11-17']);
    await first.close();
    const site = await openBatchSite({ dataDir, clock, settings });
    await site.runtime.applyJobs([DAILY]);
    expect(await site.command(cancel, 'stop')).toEqual(answer);
    expect(await endOf(site)).toMatchObject({ stopped: 'cancelled by hand' });
    const states = (await site.runs()).map(({ state, partition }) => `${partition} ${state}`);
    expect(states).toEqual(['2026-11-16 cancelled', '2026-11-17 cancelled']);
    expect(gate.waiting).toBe(0);
  });
});

describe('a backfill that passes partitions by', () => {
  it('says which and why, in its answer and at its end', async () => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([DAILY]);
    await site.command({ ...ASK, partition: '2026-11-16' });
    await waitFor('it to run', () => gate.waiting === 1);
    const begun = await site.command(BACKFILL);
    expect(begun).toMatchObject({
      runs: [{ partition: '2026-11-17' }],
      skipped: { count: 1, partitions: [{ partition: '2026-11-16', reason: 'active' }] },
    });
    await waitFor('the other', () => gate.waiting === 2);
    // The last but one is made by hand before its turn comes.
    const own = (await site.command({ ...ASK, partition: '2026-11-18' })).runs[0]!.run;
    await waitFor('all three', () => gate.waiting === 3);
    const last = gate.begun;
    gate.open();
    await site.ended(own);
    await waitFor('the backfill to go on', () => gate.begun > last || gate.waiting > 0);
    let ended: Ended | undefined;
    await waitFor('it to end', async () => {
      gate.open();
      const found = (await site.rows()).find(({ dataset }) => dataset === 'backfill_ended');
      ended = found?.value as Ended | undefined;
      return ended !== undefined;
    });
    expect(ended!.message).toMatch(/of 4 partitions; passed by \d: 2026-11-16 \(active\)/);
    expect(ended).toMatchObject({ stopped: null });
    const runs = (await site.runs()).map(({ partition }) => partition);
    expect(runs.toSorted()).toEqual(['2026-11-16', '2026-11-17', '2026-11-18', '2026-11-19']);
  });

  it('says why when its job no longer takes its parameters', async () => {
    const gate = new Gate();
    const clock = new ManualClock(NOON);
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    const parameters = 'parameters: { n: { type: number, default: 1 } }';
    const head = 'partition: { every: 1d }';
    await site.runtime.applyJobs([desiredJob('job', `${head}\n${parameters}\n${WAIT}`)]);
    await site.command({ ...BACKFILL, parameters: { n: 2 } });
    await waitFor('it to run', () => gate.waiting === 1);
    await site.runtime.applyJobs([desiredJob('job', `${head}\n${WAIT}`, { version: 2 })]);
    gate.open();
    expect((await endOf(site)).stopped).toMatch(/no longer takes its parameters: .*n/);
  });
});

describe('a backfill whose job gets other partitions', () => {
  it.each([
    [
      'oldest',
      'partition: { every: 12h, timezone: UTC }',
      ['2026-11-18T00', '2026-11-18T12', '2026-11-19T00', '2026-11-19T12'],
    ],
    [
      'newest',
      'partition: { every: 12h, timezone: UTC }',
      ['2026-11-17T12', '2026-11-17T00', '2026-11-16T12', '2026-11-16T00'],
    ],
  ] as const)('goes on behind what it reached, %s first', async (order, partition, then) => {
    const clock = new ManualClock(NOON);
    const gate = new Gate();
    const site = await openBatchSite({ clock, settings: { runners: gate.runners } });
    await site.runtime.applyJobs([DAILY]);
    await site.command({ ...BACKFILL, order });
    await waitFor('the first to run', () => gate.waiting === 1);
    gate.open();
    await waitFor('the second to run', () => gate.begun === 2 && gate.waiting === 1);
    await site.runtime.applyJobs([desiredJob('job', `${partition}\n${WAIT}`, { version: 2 })]);
    await waitFor('it to end', async () => {
      gate.open();
      return (await site.rows()).some(({ dataset }) => dataset === 'backfill_ended');
    });
    const starts = (await site.runs()).slice(2).map(({ partitionStart }) => partitionStart);
    expect(starts).toEqual(then.map((each) => Date.parse(`${each}:00:00Z`)));
  });
});
