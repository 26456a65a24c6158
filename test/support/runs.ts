/** Runs as a device reports them, with everything that a test does not care about filled in. */
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { RunReport, TaskReport } from '@runnel/shared/protocol/runs.ts';

export function runReportOf(more: Partial<RunReport> = {}): RunReport {
  const partition = more.partition ?? '2026-11-22';
  return {
    run: 'run1',
    key: `nightly/${partition}`,
    partition,
    partitionStart: 1000,
    partitionEnd: 2000,
    trigger: 'schedule',
    state: 'running',
    at: 2000,
    queuedAt: 2000,
    startedAt: 2001,
    endedAt: null,
    tries: 1,
    parameters: { min: 1 },
    origins: { min: 'default' },
    tasks: [
      { id: 'daily', kind: 'value', needs: [] },
      { id: 'share', kind: 'value', needs: ['daily'] },
    ],
    error: null,
    affected: { tasks: [], jobs: [] },
    ...more,
  };
}

export function taskReportOf(more: Partial<TaskReport> = {}): TaskReport {
  return {
    run: 'run1',
    task: 'daily',
    index: null,
    state: 'success',
    attempt: 1,
    startedAt: 2001,
    endedAt: 2005,
    nextAttemptAt: null,
    output: { n: 1 },
    error: null,
    ...more,
  };
}

type RowParts = Partial<Row> & Pick<Row, 'kind' | 'value'>;

export function runRowOf(more: Partial<RunReport> = {}, job = 'nightly'): RowParts {
  const value = runReportOf(more);
  return { kind: 'run', job, step: '', dataset: value.run, key: null, value };
}

export function taskRowOf(more: Partial<TaskReport> = {}, job = 'nightly'): RowParts {
  const value = taskReportOf(more);
  return { kind: 'task', job, step: value.task, dataset: value.run, key: null, value };
}

/** What an agent says that runs batch jobs of value tasks. */
export const CAN_RUN = ['stream', 'batch', 'task:value'];

export const batchJob = (name: string, more = ''): string => `
apiVersion: runnel/v1
kind: BatchJob
metadata: { name: ${name} }
${more}
tasks:
  - { id: daily, value: { value: 1 } }
  - { id: share, needs: [daily], value: { value: 2 } }
`;
