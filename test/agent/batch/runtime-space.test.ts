/** What batch jobs may fill of the device, through the whole runtime. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BATCH_BUDGET } from '@runnel/agent/batch/batch-budget.ts';
import type { TaskReport } from '@runnel/shared/protocol/runs.ts';
import { limits } from '@runnel/shared/limits.ts';
import { httpServer } from '../../support/http-server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { desired } from '../streams/counting-job.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';
import { Gate } from './gate.ts';

const ASK = { action: 'run', parameters: {}, fullRefresh: false } as const;
const TEXT = 'x'.repeat(60_000);

/** A job that puts out `items` texts of 60,000 characters each. */
function texts(name: string, items: number, more = '') {
  const list = JSON.stringify(Array.from({ length: items }, (_, index) => index));
  return desiredJob(
    name,
    `${more}\ntasks: [{ id: each, forEach: ${list}, value: { value: "${TEXT}{{ item }}" } }]`,
  );
}

let asked = 0;

async function ask(site: BatchSite, job: string): Promise<string> {
  const n = ++asked;
  const partition = new Date(1_760_000_000_000 + n * 1000).toISOString();
  const { runs } = await site.command({ ...ASK, job, partition }, `ask-${n}`);
  return runs[0]!.run;
}

describe('outputs of one run', () => {
  it('beyond their bound fail the attempt that would pass it, and say what helps', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([texts('big', 150)]);
    const run = await ask(site, 'big');
    expect(await site.ended(run)).toMatchObject({ state: 'failed' });
    const tasks = (await site.rows()).flatMap(({ kind, value }) =>
      kind === 'task' ? [value as TaskReport] : [],
    );
    const failed = tasks.filter(({ state, index }) => state === 'failed' && index !== null);
    expect(failed).toHaveLength(150 - Math.floor(limits.runOutputBytesMax / (TEXT.length + 5)));
    expect(failed[0]?.error).toMatchObject({ code: 'run_outputs_too_large', class: 'resources' });
    expect(failed[0]?.error?.message).toContain('put out less per item');
  });
});

const MiB = 1024 * 1024;

/** Whether the device still has the run. */
async function isKept(site: BatchSite, run: string): Promise<boolean> {
  const asked = site.command({ action: 'logs', run, task: null, after: 0, linesMax: 1 });
  return asked.then(
    () => true,
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'run_unknown' });
      return false;
    },
  );
}

function conditionsOf(site: BatchSite): string[] {
  return site.conditions.list().map(({ type }) => type);
}

describe('batch jobs beyond their share of the store', () => {
  it('lose the runs that ended first, not the last of a job, and ingestion goes on', async () => {
    const site = await openBatchSite({ budgets: { storeBytesMax: 40 * MiB } });
    await site.runtime.applyJobs([texts('one', 80), texts('two', 80), desired('stream')]);
    const runs: string[] = [];
    for (const [at, job] of ['one', 'two', 'two', 'two'].entries()) {
      const run = await ask(site, job);
      expect(await site.ended(run)).toMatchObject({ state: 'success' });
      runs.push(run);
      site.source().give({ payload: { v: at } });
      await site.settled();
    }
    const share = 10 * MiB;
    await waitFor('room', () => site.runtime.counters()['batch_store_bytes']! < share);
    expect(site.runtime.counters()['batch_runs_trimmed']).toBe(2);
    const kept = await Promise.all(runs.map((run) => isKept(site, run)));
    expect(kept).toEqual([true, false, false, true]);
    expect(site.runtime.counters()['commit_failures']).toBe(0);
    expect(conditionsOf(site)).toEqual([]);
  }, 60_000);

  it('start no run while what is open holds more than that, say so, and go on after', async () => {
    const gate = new Gate();
    const site = await openBatchSite({
      budgets: { storeBytesMax: 24 * MiB },
      settings: { runners: gate.runners },
    });
    const held = texts('held', 120);
    (held.document as { tasks: object[] }).tasks.push({
      id: 'last',
      needs: ['each'],
      value: { value: 'wait' },
    });
    await site.runtime.applyJobs([held, texts('other', 3)]);
    const first = await ask(site, 'held');
    await waitFor('its last task', () => gate.waiting === 1, 20_000);
    const small = await ask(site, 'other');
    await site.ended(small);
    await waitFor('the condition', () => conditionsOf(site).includes('batch/store'));
    const second = await ask(site, 'other');
    const [told] = site.conditions.list();
    expect(told?.message).toContain('no run starts');
    expect((await site.runs()).find(({ run }) => run === second)).toMatchObject({
      state: 'queued',
    });
    gate.open();
    expect(await site.ended(first)).toMatchObject({ state: 'success' });
    expect(await site.ended(second)).toMatchObject({ state: 'success' });
    await waitFor('the end of the condition', () => conditionsOf(site).length === 0);
    expect(await isKept(site, first)).toBe(false);
  }, 60_000);
});

describe('a store that what comes in has filled', () => {
  it('drops ended runs before records of the journal', async () => {
    const site = await openBatchSite({ budgets: { storeBytesMax: 20 * MiB } });
    await site.runtime.applyJobs([texts('one', 60), desired('stream')]);
    const run = await ask(site, 'one');
    await site.ended(run);
    const reasons = new Set<string>();
    site.conditions.onChange(({ type, reason }) => reasons.add(`${type} ${reason}`));
    const pad = 'y'.repeat(100_000);
    for (let v = 0; v < 165; v++) {
      site.source().give({ payload: { v, pad } });
      if (v % 5 === 4) await site.settled();
    }
    expect(reasons).toContain('storage Full');
    await waitFor('the end of the condition', () => conditionsOf(site).length === 0);
    expect(await isKept(site, run)).toBe(false);
    const { batch_runs_trimmed, journal_bytes, batch_store_bytes } = site.runtime.counters();
    expect(batch_runs_trimmed).toBe(1);
    expect(batch_store_bytes).toBeLessThan(MiB);
    expect(journal_bytes).toBeGreaterThan(15 * MiB);
  }, 60_000);
});

describe('files of batch jobs beyond their bound', () => {
  /** Each run writes a table of some 200 kB, and may make a dataset of it. */
  async function openTables(filesBytes: number) {
    const { url } = await httpServer((_, count) => ({
      body: Array.from({ length: 100 }, (_each, n) => ({ n, count, pad: 'z'.repeat(2000) })),
    }));
    const rows = `{ id: rows, extract: { http: { url: "${url}" } } }`;
    const put = '{ id: put, needs: [rows], publish: { from: rows, dataset: days } }';
    const site = await openBatchSite({
      settings: { budget: { ...BATCH_BUDGET, cpu: 4, filesBytes } },
    });
    await site.runtime.applyJobs([
      desiredJob('reader', `tasks: [${rows}]`),
      desiredJob('writer', `tasks: [${rows}, ${put}]`),
    ]);
    return site;
  }

  it('go with the runs that ended first, never those of a dataset', async () => {
    const site = await openTables(700_000);
    const runs: string[] = [];
    for (const job of ['writer', 'writer', 'reader', 'reader', 'reader']) {
      runs.push(await ask(site, job));
      expect(await site.ended(runs.at(-1)!)).toMatchObject({ state: 'success' });
    }
    await waitFor('room', () => site.runtime.counters()['batch_files_bytes']! < 700_000);
    expect(site.runtime.counters()['batch_runs_trimmed']).toBe(2);
    const kept = await Promise.all(runs.map((run) => isKept(site, run)));
    // Tables of a writer are its datasets: nothing comes of taking its runs away.
    expect(kept).toEqual([true, true, false, false, true]);
    const datasets = join(site.dataDir, 'batch/datasets/days');
    expect(readdirSync(datasets)).toHaveLength(2);
    expect(readdirSync(join(site.dataDir, 'batch/tables'))).toHaveLength(3);
    expect(conditionsOf(site)).toEqual([]);
  }, 30_000);

  it('that no run holds are a condition, and no run starts', async () => {
    const site = await openTables(300_000);
    for (const job of ['writer', 'writer']) await site.ended(await ask(site, job));
    await waitFor('the condition', () => conditionsOf(site).includes('batch/files'));
    const run = await ask(site, 'reader');
    const [told] = site.conditions.list();
    expect(told?.message).toContain('purge datasets or raise batch.files');
    expect((await site.runs()).find((each) => each.run === run)).toMatchObject({ state: 'queued' });
  }, 30_000);
});
