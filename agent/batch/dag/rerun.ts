/**
 * Running again what has run (DESIGN.md §8): the tasks go back to `waiting`, the run to `queued`,
 * and it starts like a new one when admission lets it, as one more try of the same run.
 *
 * All: every task, as if the run were new. From a task: it and everything behind it, whatever they
 * were. From nothing: what failed, did not
 * run because of that or was cancelled, and what was skipped behind it; of a `forEach` whose list
 * stays, only the items that did not succeed. A task that runs between a setup and its teardown
 * takes both with it, because what it needs was torn down; tasks beside it that succeeded do not
 * run again.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import { suggestion } from '@runnel/shared/expressions/suggest.ts';
import type { RunDraft } from './run-draft.ts';
import { downstreamOf, isTeardown, upstreamOf } from './run-plan.ts';
import { headOf, waitingTask } from './run-snapshot.ts';

/** Throws `task_unknown`, `nothing_to_rerun`. */
export function rerun(
  draft: RunDraft,
  what: 'all' | { readonly from: string | null },
  fullRefresh: boolean,
): void {
  const isRest = what !== 'all' && what.from === null;
  const first = what === 'all' ? new Set(draft.tasks.keys()) : tasksFrom(draft, what.from);
  for (const task of withTeardowns(draft, first)) {
    if (isRest && first.has(task) && keepsItems(draft, task, first)) resetItems(draft, task);
    else resetTask(draft, task);
  }
  requeue(draft);
  const { tries, fullRefresh: before } = draft.run;
  draft.run = { ...draft.run, tries: tries + 1, fullRefresh: before || fullRefresh };
}

/** The position of a task that a person named. Throws `task_unknown`. */
export function taskNamed(draft: RunDraft, id: string): number {
  const task = draft.plan.positions.get(id);
  if (task !== undefined) return task;
  const hint = suggestion(id, [...draft.plan.positions.keys()]);
  throw new RunnelError('task_unknown', `job ${draft.run.job} has no task "${id}"`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The tasks, with the setups and teardowns that they run between. */
export function withTeardowns(draft: RunDraft, tasks: ReadonlySet<number>): Set<number> {
  const { program } = draft.facts;
  const pairs = program.tasks.filter(isTeardown).map(({ index }) => {
    const setups = draft.plan.setups[index] ?? [];
    const before = upstreamOf(program, [index]);
    const between = [...downstreamOf(program, setups)].filter((task) => before.has(task));
    return { all: [index, ...setups], touched: new Set([index, ...setups, ...between]) };
  });
  const reset = new Set(tasks);
  for (let size = -1; size !== reset.size;) {
    size = reset.size;
    for (const { all, touched } of pairs) {
      if ([...touched].some((task) => reset.has(task))) for (const task of all) reset.add(task);
    }
  }
  return reset;
}

/** As if nothing had happened to it. */
export function resetTask(draft: RunDraft, task: number): void {
  draft.setInstances(task, []);
  draft.update(task, null, waitingTask(draft.run, draft.head(task).task));
}

/** The run goes on as one that waits to start. */
export function requeue(draft: RunDraft): void {
  const { now } = draft.facts;
  draft.run = {
    ...draft.run,
    state: 'queued',
    queuedAt: now,
    notBefore: now,
    startedAt: null,
    endedAt: null,
    error: null,
    cancelling: null,
    asked: true,
  };
}

function tasksFrom(draft: RunDraft, from: string | null): Set<number> {
  if (from === null) return unsuccessful(draft);
  return downstreamOf(draft.facts.program, [taskNamed(draft, from)]);
}

function unsuccessful(draft: RunDraft): Set<number> {
  const states = draft.tasks.map((group) => headOf(group).state);
  const broken = states.flatMap((state, task) =>
    state === 'failed' || state === 'upstream_failed' || state === 'cancelled' ? [task] : [],
  );
  if (broken.length === 0) {
    throw new RunnelError('nothing_to_rerun', `nothing failed in run ${draft.run.id}`, {
      hint: 'ask for all of it, or name the task from which on everything runs again',
    });
  }
  const behind = downstreamOf(draft.facts.program, broken);
  return new Set([...broken, ...[...behind].filter((task) => states[task] === 'skipped')]);
}

/** The list of a `forEach` stays when nothing that it is made of runs again. */
function keepsItems(draft: RunDraft, task: number, reset: ReadonlySet<number>): boolean {
  if (draft.group(task).length === 1) return false;
  return !(draft.plan.listSources[task] ?? []).some((source) => reset.has(source));
}

function resetItems(draft: RunDraft, task: number): void {
  const id = draft.head(task).task;
  const fresh = waitingTask(draft.run, id);
  for (const { index, state, item } of draft.group(task).slice(1)) {
    if (state === 'success' || state === 'skipped') continue;
    draft.update(task, index, { ...fresh, index, item });
  }
  draft.update(task, null, { ...fresh, items: draft.head(task).items });
}
