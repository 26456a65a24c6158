/** How a run ends: when all of its tasks are done, judged by its leaves (DESIGN.md §8). */
import type { RunError, RunState } from '@runnel/shared/protocol/runs.ts';
import type { RunDraft } from './run-draft.ts';
import { isTeardown, taskAt } from './run-plan.ts';

type EndState = Extract<RunState, 'success' | 'failed' | 'cancelled'>;

export function endRunWhenDone(draft: RunDraft): void {
  if (draft.run.state !== 'running') return;
  if (draft.isDone) endRun(draft, draft.facts.now);
}

/** Ends a run whose tasks are all done, or judges one again that has ended. */
export function endRun(draft: RunDraft, endedAt: number): void {
  const state = endStateOf(draft);
  const error = errorOf(draft, state);
  draft.run = { ...draft.run, state, error, endedAt, cancelling: null };
  draft.effects.push({ kind: 'ended', state });
}

function endStateOf(draft: RunDraft): EndState {
  const { cancelling, error } = draft.run;
  if (cancelling !== null) return error?.class === 'timeout' ? 'failed' : 'cancelled';
  const leaves = draft.facts.program.tasks.filter((task) => task.isLeaf && !isTeardown(task));
  const states = leaves.map(({ index }) => draft.head(index).state);
  if (states.some((state) => state === 'failed' || state === 'upstream_failed')) return 'failed';
  return states.includes('cancelled') ? 'cancelled' : 'success';
}

/** Of a failed run the error of the task that failed first, which is what people look for. */
function errorOf(draft: RunDraft, state: EndState): RunError | null {
  const { cancelling, error } = draft.run;
  if (state === 'success') return null;
  if (state === 'cancelled') {
    const message = cancelling?.reason ?? 'tasks of it were cancelled';
    return { code: 'run_cancelled', class: 'cancelled', message };
  }
  if (cancelling !== null) return error;
  let first: { readonly endedAt: number; readonly error: RunError } | undefined;
  for (const [task, group] of draft.tasks.entries()) {
    if (isTeardown(taskAt(draft.facts.program, task))) continue;
    for (const { state: its, error: cause, endedAt, task: id } of group) {
      if (its !== 'failed' || cause === null) continue;
      if (first !== undefined && first.endedAt <= (endedAt ?? 0)) continue;
      const message = `task "${id}": ${cause.message}`;
      first = { endedAt: endedAt ?? 0, error: { ...cause, message } };
    }
  }
  const message = 'a task did not run because something before it was cancelled';
  return first?.error ?? { code: 'upstream_failed', class: 'other', message };
}
