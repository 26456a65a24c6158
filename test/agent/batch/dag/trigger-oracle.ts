/**
 * What a trigger rule means, said again from the prose of Airflow's documentation and of DESIGN.md
 * §8, over lists of states and not over counts, and without a look at agent/batch/dag.
 */
import type { TriggerRule } from '@runnel/shared/definitions/batch-job.ts';
import { TASK_STATES, type TaskState } from '@runnel/shared/protocol/runs.ts';

type Verdict = 'wait' | 'run' | 'skipped' | 'upstream_failed';

export const OPEN = new Set<TaskState>(['waiting', 'ready', 'running']);
export const FINAL = TASK_STATES.filter((state) => !OPEN.has(state));

/** Did not do its work. */
export const isBroken = (state: TaskState): boolean =>
  ['failed', 'upstream_failed', 'cancelled'].includes(state);

/**
 * The oracle, from the prose of Airflow's "Trigger Rules" over a list of states that are all final:
 * whether the rule holds, and which upstreams are the reason where it does not.
 */
const PROSE: Readonly<
  Record<
    TriggerRule,
    { holds: (states: TaskState[]) => boolean; culprits: (s: TaskState) => boolean }
  >
> = {
  // All upstream tasks have succeeded.
  all_success: {
    holds: (states) => states.every((state) => state === 'success'),
    culprits: (state) => state !== 'success',
  },
  // All upstream tasks are in a failed or upstream_failed state.
  all_failed: { holds: (states) => states.every(isBroken), culprits: (state) => !isBroken(state) },
  // All upstream tasks are done with their execution.
  all_done: { holds: () => true, culprits: () => false },
  // … and at least one of them succeeded.
  all_done_min_one_success: {
    holds: (states) => states.includes('success'),
    culprits: (state) => state !== 'success',
  },
  // All upstream tasks are in a skipped state.
  all_skipped: {
    holds: (states) => states.every((state) => state === 'skipped'),
    culprits: (state) => state !== 'skipped',
  },
  // At least one upstream task has failed (does not wait for all).
  one_failed: { holds: (states) => states.some(isBroken), culprits: (state) => !isBroken(state) },
  // At least one upstream task has succeeded (does not wait for all).
  one_success: {
    holds: (states) => states.includes('success'),
    culprits: (state) => state !== 'success',
  },
  // At least one upstream task succeeded or failed.
  one_done: {
    holds: (states) => states.includes('success') || states.includes('failed'),
    culprits: (state) => state !== 'success' && state !== 'failed',
  },
  // All upstream tasks have succeeded or been skipped.
  none_failed: { holds: (states) => !states.some(isBroken), culprits: isBroken },
  // … and at least one of them succeeded.
  none_failed_min_one_success: {
    holds: (states) => !states.some(isBroken) && states.includes('success'),
    culprits: (state) => state !== 'success',
  },
  // No upstream task is in a skipped state.
  none_skipped: {
    holds: (states) => !states.includes('skipped'),
    culprits: (state) => state === 'skipped',
  },
  // No dependencies at all.
  always: { holds: () => true, culprits: () => false },
};

export function ofFinal(rule: TriggerRule, states: TaskState[]): Verdict {
  const { holds, culprits } = PROSE[rule];
  if (states.length === 0 || holds(states)) return 'run';
  return states.some((state) => culprits(state) && isBroken(state)) ? 'upstream_failed' : 'skipped';
}

/** What is still open may end in any way: only a verdict that all of them share is one already. */
export function oracle(rule: TriggerRule, states: TaskState[]): Verdict {
  if (rule === 'always') return 'run';
  const open = states.findIndex((state) => OPEN.has(state));
  if (open < 0) return ofFinal(rule, states);
  const ends = FINAL.map((state) => oracle(rule, states.with(open, state)));
  const [first = 'wait'] = ends;
  // These wait for the end by their very name, also when they are sure to run.
  if (rule === 'all_done' || rule === 'all_done_min_one_success') return 'wait';
  return ends.every((verdict) => verdict === first) ? first : 'wait';
}
