import { describe, expect, it } from 'vitest';
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
