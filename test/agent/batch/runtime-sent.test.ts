/** What one attempt may send to the control plane, through the whole runtime. */
import { describe, expect, it } from 'vitest';
import { defineTaskRunner, type TaskSuccess } from '@runnel/agent/batch/tasks/task.ts';
import type { RunRecord } from '@runnel/agent/batch/records.ts';
import { runRow } from '@runnel/agent/batch/runs/run-reports.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

const KiB = 1024;

/** A run of one task that makes rows of these sizes and sends them. */
async function sent(
  sizes: readonly number[],
  how: 'delivered' | 'results',
): Promise<{ readonly run: RunReport; readonly results: number }> {
  const maker = defineTaskRunner({
    kind: 'command',
    async run(_config, context): Promise<TaskSuccess> {
      const rows = sizes.map((size, n) => ({ n, text: 'x'.repeat(size) }));
      if (how === 'results') {
        const results = rows.map((value) => ({ dataset: 'd', key: null, time: 1, value }));
        return { output: null, results };
      }
      const table = await context.services.tables.write(context, rows);
      return { output: null, table, datasets: [{ dataset: 'd', table, deliver: true }] };
    },
  });
  const runners = [...taskRunners.filter(({ kind }) => kind !== 'command'), maker];
  const site = await openBatchSite({ settings: { runners } });
  await site.runtime.applyJobs([
    desiredJob('job', 'tasks: [{ id: make, command: { run: [/bin/make] } }]'),
  ]);
  const ask = { action: 'run', job: 'job', partition: null, parameters: {} } as const;
  const run = await site.ended((await site.command({ ...ask, fullRefresh: false })).runs[0]!.run);
  const results = (await site.rows()).filter(({ kind }) => kind === 'result').length;
  return { run, results };
}

describe.each(['delivered', 'results'] as const)('rows that are sent as %s', (how) => {
  it('fail the attempt when one does not fit into a block, and say which', async () => {
    const { run, results } = await sent([10, limits.resultRowBytesMax, 10], how);
    expect(run).toMatchObject({ state: 'failed', error: { class: 'resources' } });
    expect(run.error!.message).toMatch(/row 2 of d takes \d+ bytes; .*Select fewer columns/);
    expect(results).toBe(0);
  });

  it('fail the attempt when all together take more than one may send', async () => {
    const count = Math.ceil(limits.taskResultsBytesMax / (200 * KiB));
    const { run, results } = await sent(Array<number>(count + 1).fill(200 * KiB), how);
    expect(run).toMatchObject({ state: 'failed', error: { code: 'results_bytes' } });
    expect(results).toBe(0);
  });

  it('are sent up to the bound of a row, one block each', async () => {
    const size = limits.resultRowBytesMax - 100;
    const { run, results } = await sent([size, size], how);
    expect(run.state).toBe('success');
    expect(results).toBe(2);
  });
});

it('a report with more of a graph than a message holds comes without its edges', async () => {
  const site = await openBatchSite();
  await site.runtime.applyJobs([desiredJob('job', 'tasks: [{ id: t, value: { value: 1 } }]')]);
  const ask = { action: 'run', job: 'job', partition: null, parameters: {} } as const;
  const { runs } = await site.command({ ...ask, fullRefresh: false });
  const report = await site.ended(runs[0]!.run);
  const partition = { id: '', key: null, start: report.at, end: report.at };
  const run = { ...report, id: report.run, job: 'job', version: 1, partition, cancelling: null };
  const needs = Array.from({ length: 300 }, (_, n) => `${'task'.repeat(14)}-${n}`);
  const tasks = Array.from({ length: 300 }, (_, n) => ({ id: `t${n}`, kind: 'value', needs }));
  const given = { values: {}, origins: {}, tasks };
  const text = runRow(run as unknown as RunRecord, given, { tasks: [], jobs: [] }, 1);
  expect(Buffer.byteLength(JSON.stringify(tasks))).toBeGreaterThan(limits.outboxRowBytesMax);
  const arrived = (JSON.parse(text) as { value: RunReport }).value;
  expect(arrived).toMatchObject({ run: report.run, state: 'success' });
  expect(arrived.tasks).toEqual(tasks.map((task) => ({ ...task, needs: [] })));
});
