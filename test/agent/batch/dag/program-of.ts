/** Programs and runs for the tests of the run machine, written as short as the case allows. */
import type { RetryPolicy, TaskDefinition } from '@runnel/shared/definitions/batch-job.ts';
import type {
  BatchProgram,
  CompiledTask,
  TaskScope,
} from '@runnel/shared/definitions/batch-program.ts';
import { tasks as specs } from '@runnel/shared/definitions/tasks/registry.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { durationMs, epochMs, type JobName } from '@runnel/shared/ids.ts';
import type { RunRecord } from '@runnel/agent/batch/records.ts';

export interface TaskSketch {
  readonly needs?: readonly string[];
  readonly trigger?: TaskDefinition['trigger'];
  readonly when?: (scope: TaskScope) => boolean;
  readonly branch?: (scope: TaskScope) => readonly string[];
  readonly forEach?: (scope: TaskScope) => readonly Json[];
  readonly from?: readonly string[];
  readonly parallel?: number;
  readonly teardown?: readonly string[];
  readonly retry?: Partial<RetryPolicy>;
  readonly outputSchema?: Json;
  /** A task without work of its own. */
  readonly empty?: boolean;
}

export const NOW = 1_700_000_000_000;
export const AGENT = { id: 'agent-1', name: 'press-1', labels: {} };

export const RETRY: RetryPolicy = {
  attempts: 1,
  backoff: { initialMs: durationMs(1000), factor: 2, maxMs: durationMs(60_000) },
  on: {},
};

/** A program whose tasks are those of the sketch, in its order; every kind is `value`. */
export function programOf(
  sketch: Readonly<Record<string, TaskSketch>>,
  job: { readonly timeoutMs?: number } = {},
): BatchProgram {
  const ids = Object.keys(sketch);
  const needsOf = (id: string): number[] =>
    (sketch[id]?.needs ?? []).map((need) => ids.indexOf(need)).sort((a, b) => a - b);
  const needs = ids.map(needsOf);
  const dependents: number[][] = ids.map(() => []);
  for (const [at, list] of needs.entries()) for (const need of list) dependents[need]?.push(at);
  const isOrdinary = (at: number): boolean => sketch[ids[at] ?? '']?.teardown === undefined;
  const tasks = ids.map((id, index): CompiledTask => ({
    definition: definitionOf(id, sketch[id] ?? {}),
    spec: sketch[id]?.empty === true ? undefined : specs.find(({ kind }) => kind === 'value'),
    index,
    needs: needs[index] ?? [],
    dependents: dependents[index] ?? [],
    isLeaf: !(dependents[index] ?? []).some(isOrdinary),
    when: sketch[id]?.when ?? null,
    branch: sketch[id]?.branch ?? null,
    forEach: forEachOf(sketch[id] ?? {}),
    config: () => ({ value: null }),
  }));
  return {
    job: jobOf(tasks, job.timeoutMs ?? null),
    parameters: {},
    tasks,
    render: (text) => text,
    bind: (text) => ({ text, values: [] }),
  };
}

function forEachOf({ forEach, from }: TaskSketch): CompiledTask['forEach'] {
  return forEach === undefined ? null : { from: from ?? [], items: forEach };
}

function definitionOf(id: string, sketch: TaskSketch): TaskDefinition {
  return {
    id,
    needs: sketch.needs ?? [],
    trigger: sketch.trigger ?? 'all_success',
    when: sketch.when === undefined ? null : 'when',
    branch: sketch.branch === undefined ? null : 'branch',
    forEach: sketch.forEach === undefined ? null : 'forEach',
    parallel: sketch.parallel ?? null,
    kind: sketch.empty === true ? 'none' : 'value',
    config: {},
    teardown: sketch.teardown ?? [],
    timeoutMs: null,
    retry: { ...RETRY, ...sketch.retry },
    circuitBreaker: null,
    pool: 'default',
    slots: 1,
    priority: 0,
    cost: { memoryBytes: 0, cpu: 0 },
    outputSchema: sketch.outputSchema ?? null,
    path: ['tasks', id],
  };
}

function jobOf(tasks: readonly CompiledTask[], timeoutMs: number | null): BatchProgram['job'] {
  return {
    kind: 'BatchJob',
    name: 'nightly' as JobName,
    description: '',
    labels: {},
    parameters: {},
    placement: null,
    rollout: null,
    sla: [],
    schedule: null,
    partition: null,
    sources: {},
    tasks: tasks.map(({ definition }) => definition),
    priority: 0,
    maxActiveRuns: 1,
    maxActiveTasks: null,
    share: null,
    cheapWindow: null,
    quota: null,
    timeoutMs: timeoutMs === null ? null : durationMs(timeoutMs),
    historyMs: null,
    allowPartial: false,
    document: {},
  };
}

/** What a job without bounds of its own may be and take. */
export const JOB_UNBOUND = { tasks: Infinity, memoryBytes: Infinity, cpu: Infinity };

export function runOf(more: Partial<RunRecord> = {}): RunRecord {
  return {
    id: 'run-1',
    n: 1,
    job: 'nightly',
    version: 1,
    partition: {
      id: '2023-11-13',
      key: null,
      start: epochMs(NOW - 86_400_000),
      end: epochMs(NOW),
      timezone: 'UTC',
      date: '2023-11-13',
    },
    trigger: 'manual',
    at: NOW,
    queuedAt: NOW,
    notBefore: NOW,
    startedAt: null,
    endedAt: null,
    state: 'queued',
    cancelling: null,
    error: null,
    parameters: {},
    priority: 0,
    fullRefresh: false,
    tries: 1,
    backfill: null,
    ...more,
  };
}
