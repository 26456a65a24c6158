/** Who hears that a run failed: the jobs that wait for what it makes, and those behind them. */
import { mkdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { limits } from '@runnel/shared/limits.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { defineTaskRunner, type TaskRunner } from '@runnel/agent/batch/tasks/task.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';

const ASK = {
  action: 'run',
  partition: null,
  parameters: {},
  fullRefresh: false,
} as const;

/** A job that waits for a dataset and makes another. */
const link = (name: string, from: string | null, to: string | null) =>
  desiredJob(
    name,
    `${from === null ? '' : `schedule: { dataset: ${from} }\n`}tasks:
  - { id: get, value: { value: [{ by: ${name} }] } }
${to === null ? '' : `  - { id: put, needs: [get], publish: { from: get, dataset: ${to} } }\n`}`,
  );

//  first ──raw──▶ middle ──daily──▶ last ──monthly──▶ (first, in the cycle)
const CHAIN = [
  link('first', null, 'raw'),
  link('middle', 'raw', 'daily'),
  link('last', 'daily', null),
];
const CYCLE = [
  link('first', 'monthly', 'raw'),
  link('middle', 'raw', 'daily'),
  link('last', 'daily', 'monthly'),
];

/** `value` gives its rows as a table too, unless the job is broken. */
function breaking(broken: ReadonlySet<string>): readonly TaskRunner[] {
  const value = defineTaskRunner<{ value: { by: string }[] }>({
    kind: 'value',
    async run({ value: rows }, context) {
      const { by } = rows[0]!;
      if (broken.has(by)) throw new TaskError('rejected', 'is_broken', `${by} is broken`);
      await mkdir(context.scratchDir, { recursive: true });
      return { output: null, table: await context.services.tables.write(context, rows) };
    },
  });
  return [...taskRunners.filter(({ kind }) => kind !== 'value'), value];
}

const told = (site: BatchSite): string[] =>
  site.conditions
    .list()
    .flatMap(({ type, message }) => (type.startsWith('batch/upstream/') ? [message] : []))
    .toSorted();

describe('a run that fails', () => {
  it('is told to every job behind it, until its partition succeeds', async () => {
    const broken = new Set(['first']);
    const site = await openBatchSite({ settings: { runners: breaking(broken) } });
    await site.runtime.applyJobs(CHAIN);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'first' })).runs;
    expect(await site.ended(run)).toMatchObject({
      state: 'failed',
      affected: { tasks: ['put'], jobs: ['middle', 'last'] },
    });
    expect(told(site)).toEqual([
      expect.stringMatching(/^last waits for middle, which waits for a dataset that run first\//),
      expect.stringMatching(/^middle waits for a dataset that run first\/.* failed$/),
    ]);
    broken.clear();
    await site.command({ action: 'rerun', run, from: null, fullRefresh: false });
    await waitFor('nobody to wait', () => told(site).length === 0);
    await waitFor('the last to have run', async () =>
      (await site.runs()).some(({ key, state }) => key.startsWith('last/') && state === 'success'),
    );
  });

  it('in the middle is told to those behind it alone', async () => {
    const site = await openBatchSite({ settings: { runners: breaking(new Set(['middle'])) } });
    await site.runtime.applyJobs(CHAIN);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'first' })).runs;
    expect(await site.ended(run)).toMatchObject({ error: null, affected: { jobs: [] } });
    await waitFor('the middle to fail', () => told(site).length > 0);
    expect(told(site)).toEqual([
      expect.stringMatching(/^last waits for a dataset that run middle\//),
    ]);
  });

  it('of a cycle of datasets is told to the others once each', async () => {
    const site = await openBatchSite({ settings: { runners: breaking(new Set(['first'])) } });
    await site.runtime.applyJobs(CYCLE);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'first' })).runs;
    expect(await site.ended(run)).toMatchObject({ affected: { jobs: ['middle', 'last'] } });
    expect(told(site)).toHaveLength(2);
  });

  it('names so many jobs and no more', async () => {
    const site = await openBatchSite({ settings: { runners: breaking(new Set(['first'])) } });
    const takers = Array.from({ length: limits.affectedJobsMax + 5 }, (_, n) =>
      link(`taker-${n}`, 'raw', null),
    );
    await site.runtime.applyJobs([CHAIN[0]!, ...takers]);
    const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'first' })).runs;
    const { affected } = await site.ended(run);
    expect(affected.jobs).toHaveLength(limits.affectedJobsMax);
    expect(told(site)).toHaveLength(limits.affectedJobsMax);
  });
});
