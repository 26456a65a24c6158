/** What follows of a success before it is committed: it is the attempt's, and ends with it. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { defineTaskRunner, type TaskSuccess } from '@runnel/agent/batch/tasks/task.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';

/** Puts a small table into a dataset, and then one whose file never ends: a pipe. */
async function endless(
  timeout: string,
): Promise<{ site: BatchSite; run: string; feed: () => void }> {
  let pipe: number | undefined;
  const maker = defineTaskRunner({
    kind: 'command',
    async run(_config, context): Promise<TaskSuccess> {
      const small = await context.services.tables.write(context, [{ n: 1 }]);
      const table = { ...small, path: small.path.replace('.jsonl', '-pipe.jsonl') };
      const path = context.services.tables.pathOf(table);
      mkdirSync(dirname(path), { recursive: true });
      execFileSync('mkfifo', [path]);
      // Open for both, so that nobody waits for the other.
      pipe = openSync(path, 'r+');
      const write = (of: typeof table, id: string) => ({
        dataset: id,
        table: of,
        deliver: false,
      });
      return { output: null, datasets: [write(small, 'small'), write(table, 'endless')] };
    },
  });
  const runners = [...taskRunners.filter(({ kind }) => kind !== 'command'), maker];
  const site = await openBatchSite({ settings: { runners } });
  onTestFinished(() => {
    if (pipe !== undefined) closeSync(pipe);
  });
  const task = `{ id: make, timeout: ${timeout}, command: { run: [/bin/make] } }`;
  await site.runtime.applyJobs([desiredJob('job', `tasks: [${task}]`)]);
  const ask = { action: 'run', job: 'job', partition: null, parameters: {} } as const;
  const { runs } = await site.command({ ...ask, fullRefresh: false });
  await waitFor('the pipe', () => pipe !== undefined);
  return { site, run: runs[0]!.run, feed: () => writeSync(pipe!, '{}\n') };
}

async function ended(site: BatchSite, run: string, feed: () => void) {
  return waitFor('its end', async () => {
    feed();
    return (await site.runs()).find((each) => each.run === run && each.endedAt !== null);
  });
}

const small = (site: BatchSite): string[] => {
  const directory = join(site.dataDir, 'batch/datasets/small');
  return existsSync(directory) ? readdirSync(directory) : [];
};

it('a timeout ends it, and what was put in place is gone', async () => {
  const { site, run, feed } = await endless('300ms');
  const report = await ended(site, run, feed);
  expect(report).toMatchObject({ state: 'failed', error: { class: 'timeout' } });
  expect(small(site)).toEqual([]);
});

it('a cancel ends it, and what was put in place is gone', async () => {
  const { site, run, feed } = await endless('1h');
  await waitFor('the first to be in place', () => small(site).length === 1);
  await site.command({ action: 'cancel', run });
  expect(await ended(site, run, feed)).toMatchObject({ state: 'cancelled' });
  expect(small(site)).toEqual([]);
});

it('a success that is not current any more fails, and what was put in place is gone', async () => {
  let attempts = 0;
  const maker = defineTaskRunner({
    kind: 'command',
    async run(_config, context): Promise<TaskSuccess> {
      const table = await context.services.tables.write(context, [{ n: ++attempts }]);
      const requireCurrent = (): void => {
        if (attempts === 1) throw new TaskError('other', 'state_moved', 'another was faster');
      };
      const datasets = [{ dataset: 'small', table, deliver: false }];
      return { output: null, datasets, requireCurrent };
    },
  });
  const runners = [...taskRunners.filter(({ kind }) => kind !== 'command'), maker];
  const site = await openBatchSite({ settings: { runners } });
  const task = '{ id: make, command: { run: [/bin/make] } }';
  await site.runtime.applyJobs([desiredJob('job', `tasks: [${task}]`)]);
  const ask = { action: 'run', job: 'job', partition: null, parameters: {} } as const;
  const make = async () => {
    const { runs } = await site.command({ ...ask, fullRefresh: false });
    return site.ended(runs[0]!.run);
  };
  expect(await make()).toMatchObject({ state: 'failed', error: { code: 'state_moved' } });
  expect(small(site)).toEqual([]);
  expect(await make()).toMatchObject({ state: 'success' });
  expect(small(site)).toHaveLength(1);
});
