/**
 * What the runs of a batch job at a time would be, without running anything: partitions, effective
 * parameters, and the tasks in an order in which they can run, each with its settings as far as
 * they are known before. What only a run knows (outputs of tasks, items) stays as it is written.
 */
import type {
  BatchJob,
  ScheduleTrigger,
  TaskDefinition,
} from '@runnel/shared/definitions/batch-job.ts';
import type {
  BatchProgram,
  CompiledTask,
  TaskScope,
} from '@runnel/shared/definitions/batch-program.ts';
import { checkTasks } from '@runnel/shared/definitions/check-tasks.ts';
import { compileBatchJob } from '@runnel/shared/definitions/compile-batch-job.ts';
import type { LayeredParameters } from '@runnel/shared/definitions/parameters.ts';
import { parsePath } from '@runnel/shared/definitions/path.ts';
import { compileTaskExpression } from '@runnel/shared/definitions/task-expression.ts';
import { TaskGraph } from '@runnel/shared/definitions/task-graph.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import { fireTimesOf, isTimeTrigger } from '@runnel/shared/schedule/fire-times.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { agentCapabilities } from '../../config/capabilities.ts';
import { optionalPackages } from '../../config/optional-packages.ts';
import type { LoadedBatchJob } from './load-batch-job.ts';
import { LOCAL_AGENT } from './local-device.ts';
import { renderedConfig, type RenderedConfig } from './render-config.ts';

export interface BatchPlan {
  readonly job: string;
  readonly description: string;
  readonly at: number;
  readonly timezone: string;
  readonly triggers: readonly string[];
  /** Epoch ms; none for a job that nothing but a person, a dataset or the device starts. */
  readonly nextFireTimes: readonly number[];
  readonly parameters: readonly {
    readonly name: string;
    readonly value: unknown;
    readonly origin: string;
  }[];
  readonly limits: Pick<BatchJob, LimitKey>;
  readonly capabilities: readonly { readonly name: string; readonly here: boolean }[];
  readonly runs: readonly PlannedRun[];
}

export interface PlannedRun {
  readonly key: string;
  readonly partition: Partition;
  readonly tasks: readonly PlannedTask[];
}

export interface PlannedTask
  extends
    Pick<
      TaskDefinition,
      | 'id'
      | 'kind'
      | 'needs'
      | 'trigger'
      | 'branch'
      | 'teardown'
      | 'timeoutMs'
      | 'retry'
      | 'pool'
      | 'slots'
      | 'priority'
      | 'cost'
    >,
    RenderedConfig {
  /** `value` is null where only the run knows. */
  readonly when: { readonly expression: string; readonly value: boolean | null } | null;
  readonly forEach: {
    readonly list: Json;
    readonly items: number | null;
    readonly parallel: number | null;
  } | null;
  readonly requires: readonly string[];
}

export interface PlanInput {
  readonly job: LoadedBatchJob;
  readonly parameters: LayeredParameters;
  readonly atMs: number;
  readonly partitions: readonly Partition[];
}

type LimitKey =
  | 'cheapWindow'
  | 'historyMs'
  | 'maxActiveRuns'
  | 'maxActiveTasks'
  | 'priority'
  | 'quota'
  | 'share'
  | 'timeoutMs';

const FIRE_TIMES_SHOWN = 5;

/** Throws `DefinitionError`, with lines. */
export function batchPlan({ job: loaded, parameters, atMs, partitions }: PlanInput): BatchPlan {
  const { job } = loaded;
  const program = compiled(loaded, parameters.values);
  const facts = checkTasks({ ...job, graph: new TaskGraph(job.tasks) }, []);
  const requires = new Map(
    job.tasks.map(({ id, kind }, index) => [
      id,
      [...(kind === 'none' ? [] : [`task:${kind}`]), ...(facts[index]?.requires ?? [])],
    ]),
  );
  const here = new Set(agentCapabilities(optionalPackages));
  const needed = [...new Set(['batch', ...[...requires.values()].flat()])].toSorted();
  const { priority, maxActiveRuns, maxActiveTasks, timeoutMs, historyMs } = job;
  const { share, cheapWindow, quota } = job;
  return {
    job: job.name,
    description: job.description,
    at: atMs,
    timezone: zoneOf(job),
    triggers: (job.schedule?.triggers ?? []).map(triggerText),
    nextFireTimes: nextFireTimes(job, atMs),
    parameters: Object.entries(parameters.values).map(([name, value]) => ({
      name,
      value,
      origin: parameters.origins[name] ?? 'default',
    })),
    limits: {
      ...{ priority, maxActiveRuns, maxActiveTasks, share, cheapWindow, quota },
      ...{ timeoutMs, historyMs },
    },
    capabilities: needed.map((name) => ({ name, here: here.has(name) })),
    runs: partitions.map((partition) => {
      const scope = scopeOf(job, partition, atMs);
      return {
        key: scope.run.key,
        partition,
        tasks: inOrder(program.tasks).map((task) =>
          plannedTask(task, program, scope, requires.get(task.definition.id) ?? []),
        ),
      };
    }),
  };
}

function compiled(
  { job, parsed }: LoadedBatchJob,
  values: Readonly<Record<string, unknown>>,
): BatchProgram {
  try {
    return compileBatchJob(job, values);
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    throw new DefinitionError(
      error.issues.map((issue) => ({ ...issue, ...parsed.locate(parsePath(issue.path)) })),
    );
  }
}

/** The run as its tasks would see it; nothing has run. */
function scopeOf(job: BatchJob, partition: Partition, atMs: number): TaskScope {
  const key = `${job.name}/${partition.id}`;
  return {
    job: { name: job.name, version: 1 },
    run: { id: '(id of the run)', key, at: atMs, trigger: 'manual' },
    partition: {
      ...partition,
      startAt: new Date(partition.start).toISOString(),
      endAt: new Date(partition.end).toISOString(),
    },
    agent: LOCAL_AGENT,
    tasks: {},
    item: null,
    index: null,
  };
}

function plannedTask(
  { definition, spec, when, forEach }: CompiledTask,
  program: BatchProgram,
  scope: TaskScope,
  requires: readonly string[],
): PlannedTask {
  const { id, kind, needs, trigger, branch, teardown, timeoutMs, retry, parallel } = definition;
  const { pool, slots, priority, cost } = definition;
  const known = (source: string): boolean =>
    compileTaskExpression(source, {
      parameters: program.parameters,
      taskIds: program.tasks.map((task) => task.definition.id),
      hasItem: false,
      upstream: () => true,
    }).isKnown;
  const isListKnown =
    typeof definition.forEach === 'string' ? known(definition.forEach) : forEach?.from.length === 0;
  return {
    id,
    kind,
    needs,
    trigger,
    when:
      definition.when === null
        ? null
        : {
            expression: definition.when,
            value: known(definition.when) ? (when?.(scope) ?? null) : null,
          },
    branch,
    forEach:
      forEach === null
        ? null
        : {
            list: definition.forEach as Json,
            items: isListKnown ? forEach.items(scope).length : null,
            parallel,
          },
    ...renderedConfig(definition.config, spec?.raw ?? [], program, scope),
    // Its names of files are of each period that it archives, and not of the run.
    ...(kind === 'archive' && { bound: [] }),
    teardown,
    timeoutMs,
    retry,
    pool,
    slots,
    priority,
    cost,
    requires,
  };
}

/** Every task after what it needs; else as in the document. */
function inOrder(tasks: readonly CompiledTask[]): CompiledTask[] {
  const placed = new Set<number>();
  const ordered: CompiledTask[] = [];
  while (ordered.length < tasks.length) {
    const next = tasks.find(
      ({ index, needs }) => !placed.has(index) && needs.every((need) => placed.has(need)),
    );
    // Cycles were refused when the document was read.
    if (next === undefined) break;
    placed.add(next.index);
    ordered.push(next);
  }
  return ordered;
}

function zoneOf({ schedule, partition }: BatchJob): string {
  const cron = schedule?.triggers.find((trigger) => 'timezone' in trigger);
  return partition?.timezone ?? (cron !== undefined && 'timezone' in cron ? cron.timezone : 'UTC');
}

function nextFireTimes({ schedule }: BatchJob, atMs: number): number[] {
  const times = (schedule?.triggers ?? []).filter(isTimeTrigger).map(fireTimesOf);
  const found: number[] = [];
  let after = atMs;
  while (found.length < FIRE_TIMES_SHOWN) {
    const from = after;
    const next = Math.min(...times.map((each) => each.next(from) ?? Infinity));
    if (!Number.isFinite(next)) break;
    found.push(next);
    after = next;
  }
  return found;
}

function triggerText(trigger: ScheduleTrigger): string {
  switch (trigger.kind) {
    case 'cron':
      return `cron ${trigger.cron} in ${trigger.timezone}`;
    case 'every':
      return `every ${trigger.every} in ${trigger.timezone}`;
    case 'at':
      return `at ${trigger.at.map((at) => new Date(at).toISOString()).join(', ')}`;
    case 'dataset':
      return `at updates of ${trigger.datasets.join(' and ')}`;
    case 'startup':
      return trigger.delayMs === 0
        ? 'at the start of the agent'
        : `${trigger.delayMs / 1000} s after the start of the agent`;
    case 'disk':
      return `when the disk is fuller than ${trigger.above * 100}%`;
  }
}
