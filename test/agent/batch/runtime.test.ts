import { describe, expect, it } from 'vitest';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { defineTaskRunner } from '@runnel/agent/batch/tasks/task.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

const MANUAL = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;

describe('a run that somebody asks for', () => {
  it('runs its tasks in order, hands outputs on and reports every change of it', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([
      desiredJob(
        'sums',
        `
parameters: { start: { type: number, default: 1 } }
tasks:
  - { id: one, value: { value: "{{ params.start }}" } }
  - { id: two, needs: [one], value: { value: "{{ tasks.one.output + 1 }}" } }
  - { id: join, needs: [one, two] }
`,
      ),
    ]);
    const { runs } = await site.command({ ...MANUAL, job: 'sums', parameters: { start: 5 } });
    expect(runs).toHaveLength(1);
    const ended = await site.ended(runs[0]!.run);
    expect(ended).toMatchObject({ state: 'success', trigger: 'manual', tries: 1 });
    expect(ended.parameters).toEqual({ start: 5 });
    expect(ended.origins).toEqual({ start: 'run' });
    const rows = await site.rows();
    const states = rows.filter(({ kind }) => kind === 'run').map(({ value }) => value);
    expect(states).toMatchObject([{ state: 'queued' }, { state: 'running' }, { state: 'success' }]);
    const outputs = rows.filter(({ kind }) => kind === 'task').map(({ value }) => value);
    expect(outputs).toMatchObject([
      { task: 'one', state: 'success', output: 5 },
      { task: 'two', state: 'success', output: 6 },
      { task: 'join', state: 'success' },
    ]);
    expect(site.runtime.jobReports()).toMatchObject([
      { name: 'sums', phase: 'running', batch: { ended: { success: 1 }, activeRuns: 0 } },
    ]);
  });
});

describe('rows that a task could not take', () => {
  it('are counted in the report of its job, all of them, and can be read', async () => {
    const dataDir = tempDir('dead');
    const runners = [
      ...taskRunners.filter(({ kind }) => kind !== 'value'),
      defineTaskRunner<{ value: string }>({
        kind: 'value',
        run: async ({ value }) => ({
          output: null,
          deadRows: [
            { reason: 'bad', message: `is ${value}`, value: { n: 1 } },
            { reason: 'late', message: 'is late', value: { n: 2 } },
          ],
          deadRowCount: 5,
        }),
      }),
    ];
    const job = desiredJob('takes', 'tasks: [{ id: take, value: { value: odd } }]');
    const site = await openBatchSite({ dataDir, settings: { runners } });
    await site.runtime.applyJobs([job]);
    const { runs } = await site.command({ ...MANUAL, job: 'takes' });
    await site.ended(runs[0]!.run);
    expect(site.runtime.deadLetters.list({ limit: 10, job: 'takes' })).toMatchObject([
      { step: 'take', reason: 'bad', message: 'is odd', payload: '{"n":1}', version: 1 },
      { step: 'take', reason: 'late', payload: '{"n":2}' },
    ]);
    const report = {
      deadLetters: 5,
      deadLettersBy: { 'take: bad': 1, 'take: late': 1, other: 3 },
    };
    expect(site.runtime.jobReports()).toMatchObject([report]);
    await site.close();
    const second = await openBatchSite({ dataDir, settings: { runners } });
    await second.runtime.applyJobs([job]);
    expect(second.runtime.jobReports()).toMatchObject([report]);
  });
});
