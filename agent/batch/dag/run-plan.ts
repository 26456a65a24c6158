/** What the run machine derives from a program, once per program: who is woken by whom. */
import type { BatchProgram, CompiledTask } from '@runnel/shared/definitions/batch-program.ts';
import { assert } from '@runnel/shared/errors.ts';

export interface RunPlan {
  readonly positions: ReadonlyMap<string, number>;
  /** Tasks to judge again when a task has changed: its dependents, lists of it, its teardowns. */
  readonly wakes: readonly (readonly number[])[];
  /** Tasks whose `forEach` list is made of this task's output. */
  readonly consumers: readonly (readonly number[])[];
  /** Tasks whose output makes the list of this task. */
  readonly listSources: readonly (readonly number[])[];
  /** Needs with a `branch`: they decide about this task, so it waits for them. */
  readonly branches: readonly (readonly number[])[];
  /** Of a teardown task, what it tears down. */
  readonly setups: readonly (readonly number[])[];
}

const plans = new WeakMap<BatchProgram, RunPlan>();

export function planOf(program: BatchProgram): RunPlan {
  const known = plans.get(program);
  if (known !== undefined) return known;
  const plan = makePlan(program);
  plans.set(program, plan);
  return plan;
}

export function taskAt(program: BatchProgram, task: number): CompiledTask {
  const compiled = program.tasks[task];
  assert(compiled !== undefined, 'a task that the program does not have');
  return compiled;
}

export function isTeardown(task: CompiledTask): boolean {
  return task.definition.teardown.length > 0;
}

/** Everything that depends on one of them, directly or not, they themselves included. */
export function downstreamOf(program: BatchProgram, from: Iterable<number>): Set<number> {
  return reach(from, (task) => taskAt(program, task).dependents);
}

/** Everything that one of them depends on, directly or not, they themselves included. */
export function upstreamOf(program: BatchProgram, from: Iterable<number>): Set<number> {
  return reach(from, (task) => taskAt(program, task).needs);
}

function reach(from: Iterable<number>, next: (task: number) => readonly number[]): Set<number> {
  const reached = new Set(from);
  // A set hands out what is added while it is walked.
  for (const task of reached) for (const other of next(task)) reached.add(other);
  return reached;
}

function makePlan(program: BatchProgram): RunPlan {
  const positions = new Map(program.tasks.map(({ definition }, at) => [definition.id, at]));
  const positionsOf = (ids: readonly string[]): number[] =>
    ids.flatMap((id) => positions.get(id) ?? []);
  const listSources = program.tasks.map((task) => positionsOf(task.forEach?.from ?? []));
  const setups = program.tasks.map((task) => positionsOf(task.definition.teardown));
  const consumers = inverse(listSources);
  const teardowns = inverse(setups);
  return {
    positions,
    wakes: program.tasks.map(({ dependents }, at) => [
      ...new Set([...dependents, ...(consumers[at] ?? []), ...(teardowns[at] ?? [])]),
    ]),
    consumers,
    listSources,
    branches: program.tasks.map(({ needs }) =>
      needs.filter((need) => taskAt(program, need).branch !== null),
    ),
    setups,
  };
}

function inverse(lists: readonly (readonly number[])[]): number[][] {
  const inverted: number[][] = lists.map(() => []);
  for (const [at, list] of lists.entries()) for (const other of list) inverted[other]?.push(at);
  return inverted;
}
