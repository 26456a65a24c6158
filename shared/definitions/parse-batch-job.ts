/**
 * A batch job's document to a `BatchJob`. Every part is parsed on its own, so that one pass finds
 * all mistakes and each names its place; expressions, templates and the settings of the tasks are
 * checked with sample parameters, so that a document which passes can be compiled.
 */
import { z } from 'zod';
import type { Json } from '../engine/record.ts';
import { windowSizeOf } from '../engine/windows/window-size.ts';
import type { DefinitionIssue } from '../errors.ts';
import { type DurationMs, durationMs, type JobName } from '../ids.ts';
import { limits } from '../limits.ts';
import { batchJobFields } from './batch-fields.ts';
import type { BatchJob, PartitionDefinition, Schedule, TaskDefinition } from './batch-job.ts';
import { checkGate } from './check-gate.ts';
import { checkTasks } from './check-tasks.ts';
import { isTemplate } from './batch-template.ts';
import { checkShare } from './job-share.ts';
import { parametersField } from './parameters.ts';
import { parsePath, type Path } from './path.ts';
import { checkSourceExpressions, parseSources } from './parse-sources.ts';
import { pickOptionalKind } from './pick-kind.ts';
import { issueAt, parseAt, strict, valueAt } from './strict.ts';
import { TRIGGER_KEYS } from './schedule-fields.ts';
import { commonTaskSchema, taskFields } from './task-fields.ts';
import { taskMemoryBytes } from './task-memory.ts';
import { checkGraph } from './task-graph.ts';
import { tasks as taskSpecs } from './tasks/registry.ts';

const jobSchema = strict({
  ...batchJobFields,
  sources: z.unknown().optional(),
  tasks: z.unknown().optional(),
});

/** Undefined when there are issues; they are added to `issues`. */
export function parseBatchJob(document: unknown, issues: DefinitionIssue[]): BatchJob | undefined {
  const job = parseFixed(jobSchema, document, [], issues);
  if (job !== undefined) checkGate(job, issues);
  const parts = document as { parameters?: unknown; sources?: unknown; tasks?: unknown };
  const sources = parts.sources === undefined ? {} : parseSources(parts.sources, issues);
  const { tasks, known, complete } = parseTasks(parts.tasks, issues);
  checkShare(job?.share ?? null, tasks, issues);
  const graph = checkGraph(tasks, known, !complete, issues);
  const { timezone = 'UTC', ...schedule } = job?.schedule ?? {};
  if (job?.schedule?.triggers.length === 0) {
    const hint = `one of ${TRIGGER_KEYS}; without schedule the job runs when it is asked to`;
    issues.push(issueAt(['schedule'], 'starts nothing', hint));
  }
  const partition = job?.partition?.(timezone) ?? null;
  const parameters = job?.parameters ?? parametersField.safeParse(parts.parameters ?? {}).data;
  if (parameters === undefined) return undefined;
  checkSourceExpressions(sources, parameters, issues);
  const name = job?.metadata.name ?? 'job';
  const facts = complete ? checkTasks({ name, parameters, partition, tasks, graph }, issues) : [];
  if (job === undefined) return undefined;
  const readsJournal = facts.some(({ journals }) => journals.length > 0);
  if (issues.length > 0) return undefined;
  const { metadata } = job;
  return {
    kind: 'BatchJob',
    name: metadata.name as JobName,
    description: metadata.description,
    labels: metadata.labels,
    parameters,
    placement: job.placement ?? null,
    rollout: job.rollout ?? null,
    sla: job.sla,
    schedule: job.schedule === undefined ? null : (schedule as Schedule),
    partition,
    sources,
    tasks,
    priority: job.priority,
    maxActiveRuns: job.maxActiveRuns ?? activeRunsOf(job.schedule, partition),
    maxActiveTasks: job.maxActiveTasks ?? null,
    share: job.share ?? null,
    cheapWindow: job.cheapWindow?.(timezone) ?? null,
    quota: job.quota ?? null,
    timeoutMs: job.timeout ?? null,
    historyMs: job.history ?? (readsJournal ? historyOf(partition) : null),
    allowPartial: job.allowPartial,
    document: document as Json,
  };
}

/** Where runs are meant to stand beside each other. */
const ACTIVE_RUNS_BESIDE = 16;

function activeRunsOf(
  schedule: Pick<Schedule, 'overlap'> | undefined,
  partition: PartitionDefinition | null,
): number {
  const areBeside = partition?.kind === 'keys' || schedule?.overlap === 'allow';
  return areBeside ? ACTIVE_RUNS_BESIDE : 1;
}

const HOUR_MS = 3_600_000;
/** The longest that each can be, a day of 25 hours included. */
const LONGEST_HOURS = { day: 25, week: 7 * 24 + 1, month: 31 * 24 + 1 };

function historyOf(partition: PartitionDefinition | null): DurationMs {
  const every = partition?.every ?? null;
  const size = every === null ? undefined : windowSizeOf(every);
  if (size === undefined) return durationMs(25 * HOUR_MS);
  if (size.kind === 'fixed') return durationMs(size.ms + HOUR_MS);
  return durationMs((LONGEST_HOURS[size.unit] * size.count + 1) * HOUR_MS);
}

interface ParsedTasks {
  readonly tasks: TaskDefinition[];
  /** Ids of all tasks, also of those that do not pass: one mistake, one error. */
  readonly known: ReadonlySet<string>;
  /**
   * Every task passed: only then is it told what is missing in the graph, or it would be said twice
   * what is wrong with a task.
   */
  readonly complete: boolean;
}

function parseTasks(input: unknown, issues: DefinitionIssue[]): ParsedTasks {
  const known = new Set<string>();
  if (input === undefined) {
    issues.push(issueAt(['tasks'], 'is missing: a job needs a task'));
    return { tasks: [], known, complete: false };
  }
  const list = parseAt(z.array(z.unknown()), input, ['tasks'], issues);
  if (list === undefined) return { tasks: [], known, complete: false };
  if (list.length === 0) issues.push(issueAt(['tasks'], 'is empty: a job needs a task'));
  if (list.length > limits.tasksPerJobMax) {
    const hint = 'go through a list with forEach, or make several jobs that wait for datasets';
    issues.push(issueAt(['tasks'], `holds more than ${limits.tasksPerJobMax} tasks`, hint));
    return { tasks: [], known, complete: false };
  }
  const tasks: TaskDefinition[] = [];
  for (const [index, raw] of list.entries()) {
    const id = idOf(raw);
    if (id !== undefined && known.has(id)) {
      issues.push(issueAt(['tasks', index, 'id'], `a second task named "${id}"`, 'rename one'));
    }
    const task = parseTask(raw, index, issues);
    if (task !== undefined && !known.has(task.id)) tasks.push(task);
    if (id !== undefined) known.add(id);
  }
  return { tasks, known, complete: tasks.length === list.length };
}

function idOf(raw: unknown): string | undefined {
  if (typeof raw !== 'object' || raw === null || !('id' in raw)) return undefined;
  return typeof raw.id === 'string' ? raw.id : undefined;
}

function parseTask(
  raw: unknown,
  index: number,
  issues: DefinitionIssue[],
): TaskDefinition | undefined {
  const path = ['tasks', index];
  const record = parseAt(z.record(z.string(), z.unknown()), raw, path, issues);
  if (record === undefined) return undefined;
  const at = { path, what: 'task' };
  const picked = pickOptionalKind(record, taskSpecs, Object.keys(taskFields), at, issues);
  const rest = picked?.rest ?? commonOf(record);
  const common = parseFixed(commonTaskSchema, rest, path, issues);
  if (common === undefined || picked === undefined) return undefined;
  const { timeout: _, ...task } = common;
  const { spec, config } = picked;
  return {
    ...task,
    cost: {
      ...task.cost,
      memoryBytes: Math.max(task.cost.memoryBytes, taskMemoryBytes(spec, config)),
    },
    kind: spec?.kind ?? 'none',
    config: (config ?? null) as Json,
    path,
  };
}

/** What holds for every run: a template there is told as one. */
function parseFixed<T>(
  schema: z.ZodType<T>,
  input: unknown,
  path: Path,
  issues: DefinitionIssue[],
): T | undefined {
  const found: DefinitionIssue[] = [];
  const parsed = parseAt(schema, input, path, found);
  for (const issue of found) {
    const value = valueAt(input, parsePath(issue.path).slice(path.length));
    const isFilled = typeof value === 'string' && isTemplate(value);
    issues.push(isFilled ? { ...issue, message: NO_TEMPLATE, hint: NO_TEMPLATE_HINT } : issue);
  }
  return parsed;
}

const NO_TEMPLATE = 'takes no template: it is the same for every run';
const NO_TEMPLATE_HINT = 'write the value itself; {{ }} stands in the settings of a kind of task';

function commonOf(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key in taskFields));
}
