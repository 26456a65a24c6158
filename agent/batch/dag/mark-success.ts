/**
 * A person says that a task, or a whole run, counts as done. What did not run because of the task
 * runs now: the run goes on, or is judged again when there is nothing left to run.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { RunDraft } from './run-draft.ts';
import { taskAt } from './run-plan.ts';
import { endRun } from './run-end.ts';
import { requeue, resetTask, taskNamed, withTeardowns } from './rerun.ts';

/** Throws `task_unknown`, `task_running`, `run_active`, `run_cancelling`. */
export function markSuccess(draft: RunDraft, { task }: { readonly task: string | null }): void {
  if (draft.run.cancelling !== null) {
    throw new RunnelError('run_cancelling', `run ${draft.run.id} is being cancelled`, {
      hint: 'wait until it has ended',
    });
  }
  if (task === null) markRun(draft);
  else markTask(draft, taskNamed(draft, task));
}

function markRun(draft: RunDraft): void {
  const { state, id, endedAt } = draft.run;
  if (state === 'success') return;
  if (draft.tasks.some((_, task) => draft.counts(task).running > 0)) {
    throw new RunnelError('run_active', `tasks of run ${id} are running`, {
      hint: 'cancel it and wait until they have ended',
    });
  }
  for (const task of draft.tasks.keys()) {
    if (draft.head(task).state !== 'skipped') mark(draft, task);
  }
  endRun(draft, endedAt ?? draft.facts.now);
}

function markTask(draft: RunDraft, task: number): void {
  const { state, task: id } = draft.head(task);
  if (state === 'success') return;
  if (draft.counts(task).running > 0) throw taskRunning(id);
  mark(draft, task);
  const stopped = stoppedBehind(draft, task);
  // What is marked by hand stays so: only a rerun makes it run again.
  const again = [...withTeardowns(draft, stopped)].filter((other) => other !== task);
  for (const other of again) {
    if (draft.counts(other).running > 0) throw taskRunning(draft.head(other).task);
    resetTask(draft, other);
    draft.wake(other);
  }
  goOn(draft, task, again.length > 0);
}

function goOn(draft: RunDraft, task: number, runsAgain: boolean): void {
  const { state, endedAt } = draft.run;
  if (state === 'queued') return;
  if (state === 'running') draft.wakeBehind(task);
  else if (runsAgain) requeue(draft);
  else endRun(draft, endedAt ?? draft.facts.now);
}

function taskRunning(id: string): RunnelError {
  return new RunnelError('task_running', `task "${id}" is running`, {
    hint: 'wait until it has ended, or cancel the run',
  });
}

function mark(draft: RunDraft, task: number): void {
  const done = {
    state: 'success',
    marked: true,
    error: null,
    endedAt: draft.facts.now,
    nextAttemptAt: null,
    readyAt: null,
  } as const;
  for (const { index, state } of draft.group(task)) {
    if (state !== 'success') draft.update(task, index, done);
  }
}

/** What did not run because of the task: upstream_failed or skipped, without a gap, behind it. */
function stoppedBehind(draft: RunDraft, task: number): Set<number> {
  const stopped = new Set<number>();
  const walk = new Set([task]);
  for (const at of walk) {
    for (const dependent of taskAt(draft.facts.program, at).dependents) {
      const { state } = draft.head(dependent);
      if (state !== 'upstream_failed' && state !== 'skipped') continue;
      stopped.add(dependent);
      walk.add(dependent);
    }
  }
  return stopped;
}
