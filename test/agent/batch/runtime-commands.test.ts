import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { TaskReport } from '@runnel/shared/protocol/runs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type BatchSite, desiredJob, openBatchSite, runnersWith } from './batch-site.ts';

const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;

/** The value task fails with what it is told to while `broken`. */
function fragile(broken: Set<string>) {
  return runnersWith((value) => {
    if (broken.has(String(value)))
      throw new TaskError('rejected', 'is_broken', `${String(value)} is broken`);
  });
}

const CHAIN = `
tasks:
  - { id: one, value: { value: one } }
  - { id: two, needs: [one], value: { value: two }, retry: { attempts: 1 } }
  - { id: three, needs: [two], value: { value: three } }
`;

const MAKER = desiredJob(
  'maker',
  `
tasks:
  - { id: bad, value: { value: x }, retry: { attempts: 1 } }
  - { id: share, needs: [bad], publish: { from: bad, dataset: daily } }
`,
);
const TAKER = desiredJob(
  'taker',
  'schedule: { dataset: daily }\ntasks: [{ id: t, value: { value: 1 } }]',
);

async function successes(site: BatchSite, run: string): Promise<string[]> {
  const rows = (await site.rows()).filter(
    ({ kind, dataset }) => kind === 'task' && dataset === run,
  );
  const done = rows.map(({ value }) => value as TaskReport);
  return done.filter(({ state }) => state === 'success').map(({ task }) => task);
}

describe('a command', () => {
  it('that comes again counts once and is answered the same', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([desiredJob('chain', CHAIN)]);
    const first = await site.command({ ...ASK, job: 'chain' }, 'same');
    const [at, again] = await Promise.all([
      site.command({ ...ASK, job: 'chain' }, 'same'),
      site.command({ ...ASK, job: 'chain' }, 'same'),
    ]);
    expect([at, again]).toEqual([first, first]);
    await site.ended(first.runs[0]!.run);
    expect(await site.runs()).toHaveLength(1);
    expect(await site.command({ ...ASK, job: 'chain' }, 'same')).toEqual(first);
  });

  it('that is refused says why, and says the same again', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([
      desiredJob('chain', `parameters: { limit: { type: number, default: 1 } }\n${CHAIN}`),
    ]);
    const wrong = { ...ASK, job: 'chain', parameters: { limt: 2 } };
    for (const _ of [1, 2]) {
      await expect(site.command(wrong, 'wrong')).rejects.toMatchObject({
        code: 'definition_invalid',
        message: expect.stringMatching(/limt.*not declared/) as string,
      });
    }
    await expect(site.command({ ...ASK, job: 'other' })).rejects.toThrow(/no batch job other/);
    await expect(site.command({ action: 'cancel', run: 'nobody' })).rejects.toMatchObject({
      code: 'run_unknown',
    });
    expect(await site.runs()).toEqual([]);
  });

  it('cancels a run that is under way and one that waits', async () => {
    const runners = runnersWith(
      (value, _config, { signal }) =>
        new Promise((_resolve, reject) => {
          if (value !== 'one') throw new Error('it went on');
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        }),
    );
    const site = await openBatchSite({ settings: { runners } });
    await site.runtime.applyJobs([desiredJob('chain', `maxActiveRuns: 1\n${CHAIN}`)]);
    const [first] = (await site.command({ ...ASK, job: 'chain' })).runs;
    await waitFor('it to run', async () => (await site.runs())[0]?.state === 'running');
    // Another instant is another partition.
    const [second] = (
      await site.command({ ...ASK, job: 'chain', partition: '2026-11-22T12:00:00.000Z' })
    ).runs;
    for (const { run } of [second!, first!]) await site.command({ action: 'cancel', run });
    expect(await site.ended(second!.run)).toMatchObject({ state: 'cancelled', startedAt: null });
    expect(await site.ended(first!.run)).toMatchObject({ state: 'cancelled' });
    await expect(site.command({ action: 'cancel', run: first!.run })).rejects.toThrow(/ended/);
  });

  it('runs again what failed, from a task, or says that it counts as done', async () => {
    const broken = new Set(['two']);
    const site = await openBatchSite({ settings: { runners: fragile(broken) } });
    await site.runtime.applyJobs([desiredJob('chain', CHAIN)]);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'chain' })).runs;
    expect(await site.ended(run)).toMatchObject({
      state: 'failed',
      error: { code: 'is_broken', class: 'rejected' },
      affected: { tasks: ['three'], jobs: [] },
    });
    broken.clear();
    await site.command({ action: 'rerun', run, from: null, fullRefresh: false });
    expect(await site.ended(run)).toMatchObject({ state: 'success', tries: 2 });
    expect(await successes(site, run)).toEqual(['one', 'two', 'three']);
    await site.command({ action: 'clear', run, task: 'three' });
    await waitFor('the third try', async () => (await site.ended(run)).tries === 3);
    expect(await successes(site, run)).toEqual(['one', 'two', 'three', 'three']);
    broken.add('three');
    await site.command({ action: 'rerun', run, from: 'three', fullRefresh: false });
    await waitFor('it to fail', async () => (await site.ended(run)).state === 'failed');
    await site.command({ action: 'markSuccess', run, task: 'three' });
    await waitFor('it to count', async () => (await site.ended(run)).state === 'success');
    const { batch } = site.runtime.jobReports()[0]!;
    expect(batch).toMatchObject({ lastRun: { run, state: 'success' }, activeRuns: 0 });
  });

  it('reads the log of a run by line numbers, also after its end', async () => {
    const site = await openBatchSite({ settings: { runners: fragile(new Set(['two'])) } });
    await site.runtime.applyJobs([desiredJob('chain', CHAIN)]);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'chain' })).runs;
    await site.ended(run);
    const logs = { action: 'logs', run, task: null, after: 0, linesMax: 100 } as const;
    const { lines, open } = await site.command(logs);
    expect(open).toBe(false);
    expect(lines.map(({ n }) => n)).toEqual(lines.map((_, index) => index + 1));
    expect(lines.map(({ level, task, text }) => `${level} ${task} ${text}`)).toContain(
      'error two failed: two is broken',
    );
    const page = await site.command({ ...logs, after: 2, linesMax: 1 });
    expect(page.lines).toEqual([lines[2]]);
    const ofTask = await site.command({ ...logs, task: 'two' });
    expect(new Set(ofTask.lines.map(({ task }) => task))).toEqual(new Set(['two']));
    // The end of the run comes after the ends of its tasks.
    const texts = lines.map(({ task, text }) => `${task} ${text}`);
    expect(texts[0]).toMatch(/^null run chain\/.* is running$/);
    expect(texts.slice(-2)).toEqual([
      'three upstream_failed',
      expect.stringMatching(/^null run chain\/.* failed: task "two": two is broken$/),
    ]);
  });
});

describe('a run', () => {
  it('keeps the version that it was made from when another takes over', async () => {
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const runners = runnersWith((value) => (value === 'wait' ? held : undefined));
    const site = await openBatchSite({ settings: { runners } });
    const yaml = (name: string): string => `
tasks:
  - { id: first, value: { value: wait } }
  - { id: then, needs: [first], value: { value: ${name} } }
`;
    await site.runtime.applyJobs([desiredJob('job', yaml('old'))]);
    const [before] = (await site.command({ ...ASK, job: 'job' })).runs;
    await waitFor('it to run', async () => (await site.runs())[0]?.state === 'running');
    await site.runtime.applyJobs([desiredJob('job', yaml('new'), { version: 2 })]);
    goOn();
    await site.ended(before!.run);
    const [after] = (await site.command({ ...ASK, job: 'job' })).runs;
    await site.ended(after!.run);
    const outputs = (await site.rows()).flatMap(({ kind, version, step, value }) =>
      kind === 'task' && step === 'then' ? [[version, (value as TaskReport).output]] : [],
    );
    expect(outputs).toEqual([
      [1, 'old'],
      [2, 'new'],
    ]);
  });

  it('that fails names the jobs that wait for what it should have made', async () => {
    const site = await openBatchSite({ settings: { runners: fragile(new Set(['x'])) } });
    await site.runtime.applyJobs([MAKER, TAKER]);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'maker' })).runs;
    expect(await site.ended(run)).toMatchObject({
      state: 'failed',
      affected: { tasks: ['share'], jobs: ['taker'] },
    });
    // The control plane makes the event of it, of the run's own row.
    expect((await site.rows()).filter(({ kind }) => kind === 'event')).toEqual([]);
  });

  it('that failed is told to who waits also after a restart, until it succeeds', async () => {
    const dataDir = tempDir('upstream');
    const broken = new Set(['x']);
    const settings = { runners: fragile(broken) };
    const told = (site: BatchSite) =>
      site.conditions.list().filter(({ type }) => type === 'batch/upstream/taker');
    const first = await openBatchSite({ dataDir, settings });
    await first.runtime.applyJobs([MAKER, TAKER]);
    const [{ run } = { run: '' }] = (await first.command({ ...ASK, job: 'maker' })).runs;
    await first.ended(run);
    expect(told(first)).toMatchObject([{ reason: 'UpstreamFailed', severity: 'warning' }]);
    await first.close();
    const second = await openBatchSite({ dataDir, settings });
    await second.runtime.applyJobs([MAKER, TAKER]);
    expect(told(second)).toMatchObject([
      { reason: 'UpstreamFailed', message: expect.stringContaining('run maker/') as string },
    ]);
    broken.clear();
    // It makes no rows to publish: what it did is mended by hand, and no dataset is updated.
    await second.command({ action: 'markSuccess', run, task: null }, 'mark');
    await waitFor('it to be over', () => told(second).length === 0);
    await second.close();
    const third = await openBatchSite({ dataDir, settings });
    await third.runtime.applyJobs([MAKER, TAKER]);
    expect(told(third)).toEqual([]);
  });

  it('is kept as long as it is among the newest, and then gone with its log', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([desiredJob('often', 'tasks: [{ id: t, value: { value: 1 } }]')]);
    const ids: string[] = [];
    for (let n = 0; n < limits.batchRunsKeptMax + 3; n++) {
      const partition = new Date(1_760_000_000_000 + n * 1000).toISOString();
      const { runs } = await site.command({ ...ASK, job: 'often', partition });
      ids.push(runs[0]!.run);
      await waitFor(
        'it to end',
        () =>
          site.runtime.counters().batch_runs_running === 0 &&
          site.runtime.counters().batch_runs_queued === 0,
      );
    }
    const log = (run: string): string => join(site.dataDir, 'batch/logs', `${run}.jsonl`);
    await waitFor('the oldest to be gone', () => !existsSync(log(ids[0]!)));
    const logs = { action: 'logs', task: null, after: 0, linesMax: 9 } as const;
    await expect(site.command({ ...logs, run: ids[0]! })).rejects.toThrow(/no run/);
    const newest = await site.command({ ...logs, run: ids.at(-1)! });
    expect(newest.lines.length).toBeGreaterThan(0);
  }, 60_000);

  it('goes with its job, and everything of it', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([desiredJob('chain', CHAIN)]);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'chain' })).runs;
    await site.ended(run);
    await site.runtime.applyJobs([]);
    expect(site.runtime.jobReports()).toEqual([]);
    await expect(site.command({ action: 'cancel', run })).rejects.toThrow(/no run/);
    expect(existsSync(join(site.dataDir, 'batch/logs', `${run}.jsonl`))).toBe(false);
  });
});

describe('a job that is wrong', () => {
  it('is told as attempted, and the version before goes on', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([desiredJob('chain', CHAIN)]);
    await site.runtime.applyJobs([
      desiredJob('chain', 'tasks: [{ id: a, needs: [b] }]', { version: 2 }),
      desiredJob('other', 'tasks: [{ id: a, vlue: { value: 1 } }]'),
    ]);
    expect(site.runtime.jobReports()).toMatchObject([
      { name: 'chain', version: 1, phase: 'running', attempted: { version: 2, phase: 'refused' } },
      { name: 'other', version: null, phase: 'refused' },
    ]);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'chain' })).runs;
    expect(await site.ended(run)).toMatchObject({ state: 'success' });
  });
});
