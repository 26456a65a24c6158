import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileJob } from '@runnel/agent/streams/compile-job.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { defineTaskRunner } from '@runnel/agent/batch/tasks/task.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { httpServer } from '../../support/http-server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;

const STREAM: DesiredJob = {
  name: 'readings',
  version: 1,
  hash: 'h',
  document: {
    apiVersion: 'runnel/v1',
    kind: 'StreamJob',
    metadata: { name: 'readings' },
    sources: { s: { file: { path: 'in.jsonl' } } },
    steps: [{ id: 'all', filter: 'true' }],
    sinks: [{ from: 'all', results: { dataset: 'raw' } }],
  },
  parameters: {},
  paused: false,
};

describe('a dataset that a stream job puts out', () => {
  it('starts the batch jobs that wait for it, in the commit of its rows', async () => {
    const site = await openBatchSite({ compile: compileJob });
    await site.runtime.applyJobs([
      STREAM,
      desiredJob('taker', 'schedule: { dataset: raw }\ntasks: [{ id: t, value: { value: 1 } }]'),
      desiredJob('other', 'schedule: { dataset: rw }\ntasks: [{ id: t, value: { value: 1 } }]'),
    ]);
    const [source] = [...site.sources.values()];
    source!.give({ payload: { n: 1 } });
    await waitFor('its run to end', async () => {
      const [run] = await site.runs();
      return run?.state === 'success';
    });
    const rows = await site.rows();
    expect(rows[1]).toMatchObject({ kind: 'run', job: 'taker', value: { trigger: 'dataset' } });
    expect(rows.map(({ kind }) => kind).filter((kind) => kind === 'result')).toHaveLength(1);
    expect(new Set(rows.map(({ job }) => job))).toEqual(new Set(['readings', 'taker']));
  });
});

describe('a purge of a dataset', () => {
  it('leaves a partition that changed after it was judged', async () => {
    let judged: (() => void) | undefined;
    const isJudged = new Promise<void>((resolve) => (judged = resolve));
    let go: (() => void) | undefined;
    const mayEnd = new Promise<void>((resolve) => (go = resolve));
    const purge = taskRunners.find(({ kind }) => kind === 'purge')!;
    const held = defineTaskRunner({
      kind: 'purge',
      async run(config, context) {
        const success = await purge.run(config, context);
        judged?.();
        await mayEnd;
        return success;
      },
    });
    const runners = [...taskRunners.filter(({ kind }) => kind !== 'purge'), held];
    const site = await openBatchSite({ settings: { runners } });
    const { url } = await httpServer((_, count) => ({ body: [{ n: count }] }));
    const writer = `
partition: { every: 1d }
tasks:
  - { id: rows, extract: { http: { url: "${url}" } } }
  - { id: put, needs: [rows], publish: { from: rows, dataset: days, deliver: true } }`;
    const purger = 'tasks: [{ id: p, purge: { dataset: days, olderThan: 1d } }]';
    await site.runtime.applyJobs([desiredJob('writer', writer), desiredJob('purger', purger)]);
    const old = { ...ASK, job: 'writer', partition: '2020-01-01' };
    await site.ended((await site.command(old)).runs[0]!.run);
    const purging = (await site.command({ ...ASK, job: 'purger' })).runs[0]!.run;
    await isJudged;
    await site.ended((await site.command(old)).runs[0]!.run);
    go?.();
    expect(await site.ended(purging)).toMatchObject({ state: 'success' });
    expect(readdirSync(join(site.dataDir, 'batch/datasets/days'))).toHaveLength(1);
    const again = (await site.command({ ...ASK, job: 'purger' })).runs[0]!.run;
    await site.ended(again);
    const judgements = (await site.rows()).filter(({ job, kind }) => {
      return job === 'purger' && kind === 'task';
    });
    // The second found it again.
    expect(judgements.map(({ value }) => value)).toMatchObject([
      { output: { removed: 1 } },
      { output: { removed: 1 } },
    ]);
    await waitFor('the file of what was judged to go', () => {
      return readdirSync(join(site.dataDir, 'batch/datasets/days')).length === 0;
    });
  });
});
