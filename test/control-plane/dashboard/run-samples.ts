/** A run as the API gives it; each test changes what it is about. */
import type {
  RunDetail,
  RunItem,
  TaskInstanceItem,
} from '@runnel/control-plane/http/run-messages.ts';

export function sampleRun(change: Partial<RunItem> = {}): RunItem {
  return {
    ...{ run: 'r1', agent: 'a1', agentName: 'press-1', job: 'nightly', version: 1 },
    ...{ key: 'nightly/2026-11-22', partition: '2026-11-22', partitionStart: 0, partitionEnd: 1 },
    ...{
      trigger: 'schedule',
      state: 'success',
      cancelling: false,
      at: 1,
      queuedAt: 1000,
      startedAt: 1000,
    },
    ...{ endedAt: 3000, tries: 1, error: null, affected: { tasks: [], jobs: [] }, receivedAt: 1 },
    tasks: [],
    ...change,
  };
}

export function sampleDetail(change: Partial<RunDetail> = {}): RunDetail {
  const run = { ...sampleRun(), tasks: [] };
  return { ...run, parameters: {}, origins: {}, instances: [], truncated: false, ...change };
}

export const cell = (id: string, state: RunItem['tasks'][number]['state']) => ({
  ...{ id, kind: 'value', state, instances: null },
});

export function sampleInstance(change: Partial<TaskInstanceItem> = {}): TaskInstanceItem {
  return {
    ...{ task: 'a', index: null, state: 'success', attempt: 1, startedAt: 1000, endedAt: 2000 },
    ...{ nextAttemptAt: null, output: null, error: null },
    ...change,
  };
}
