/**
 * What the expressions and templates of a task may see of its run. Nothing in it differs between
 * two attempts, so that an attempt that is made again does the same.
 */
import type { TaskScope } from '@runnel/shared/definitions/batch-program.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { RunRecord } from '../records.ts';
import { headOf, isDone, type RunSnapshot, type TaskGroup } from './run-snapshot.ts';

export type AgentFacts = TaskScope['agent'];

interface TaskView {
  readonly state: string;
  readonly output: Json;
}

/** Views of groups and of whole lists of them, which never change. */
const views = new WeakMap<TaskGroup, TaskView>();
const viewsOfAll = new WeakMap<RunSnapshot['tasks'], Readonly<Record<string, TaskView>>>();

/** `<job>/<partition>`: what completion is judged by. */
export function runKey(run: RunRecord): string {
  return `${run.job}/${run.partition.id}`;
}

/** The scope of one instance; of the task itself without `instance`. */
export function scopeOf(
  { run, tasks }: RunSnapshot,
  agent: AgentFacts,
  instance: { readonly item: Json; readonly index: number | null } = { item: null, index: null },
): TaskScope {
  return {
    job: { name: run.job, version: run.version },
    run: { id: run.id, key: runKey(run), at: run.at, trigger: run.trigger },
    partition: {
      ...run.partition,
      startAt: isoText(run.partition.start),
      endAt: isoText(run.partition.end),
    },
    agent,
    tasks: viewsOf(tasks),
    item: instance.index === null ? null : instance.item,
    index: instance.index,
  };
}

function viewsOf(tasks: RunSnapshot['tasks']): Readonly<Record<string, TaskView>> {
  const known = viewsOfAll.get(tasks);
  if (known !== undefined) return known;
  const all: Record<string, TaskView> = {};
  for (const group of tasks) {
    const head = headOf(group);
    if (isDone(head.state)) all[head.task] = viewOf(group);
  }
  viewsOfAll.set(tasks, all);
  return all;
}

function viewOf(group: TaskGroup): TaskView {
  const known = views.get(group);
  if (known !== undefined) return known;
  const { state, output, items } = headOf(group);
  const view = { state, output: items === null ? output : outputsOf(group) };
  views.set(group, view);
  return view;
}

function outputsOf(group: TaskGroup): Json {
  return group.slice(1).map((instance) => instance.output);
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
