import { describe, expect, it } from 'vitest';
import { compileJob } from '@runnel/agent/streams/compile-job.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { waitFor } from '../../support/wait-for.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

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
