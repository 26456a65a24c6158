/**
 * When a task may run, judged by the states of the tasks before it (DESIGN.md §8).
 *
 * The names and meanings are those of Apache Airflow's trigger rules. Where a rule can no longer
 * hold the task is `upstream_failed` when an upstream that did not do its work is the cause, else
 * `skipped`; so a failure is never hidden behind a skip.
 *
 * A verdict never depends on the order in which upstreams end: an early one is given only when no
 * way in which the others may end could change it. (Airflow skips an `all_success` task at the
 * first skipped upstream, and so skips or fails it by who is first.)
 */
import type { TriggerRule } from '@runnel/shared/definitions/batch-job.ts';
import type { TaskState } from '@runnel/shared/protocol/runs.ts';

/** How many upstreams are in each state; a mapped task counts with each of its instances. */
export type StateCounts = Readonly<Record<TaskState, number>>;

export type Verdict = 'wait' | 'run' | 'skipped' | 'upstream_failed';

interface Upstream {
  readonly allDone: boolean;
  readonly success: number;
  readonly failed: number;
  readonly skipped: number;
  /** Did not do their work: failed, upstream_failed or cancelled. */
  readonly broken: number;
}

const RULES: Readonly<Record<TriggerRule, (upstream: Upstream) => Verdict>> = {
  always: () => 'run',

  all_success: ({ allDone, broken, skipped }) => {
    if (broken > 0) return 'upstream_failed';
    if (!allDone) return 'wait';
    return skipped > 0 ? 'skipped' : 'run';
  },

  all_failed: ({ allDone, success, skipped }) => {
    if (success + skipped > 0) return 'skipped';
    return allDone ? 'run' : 'wait';
  },

  all_done: ({ allDone }) => (allDone ? 'run' : 'wait'),

  all_done_min_one_success: (upstream) => (upstream.allDone ? minOneSuccess(upstream) : 'wait'),

  all_skipped: ({ allDone, broken, success }) => {
    if (broken > 0) return 'upstream_failed';
    if (!allDone) return 'wait';
    return success > 0 ? 'skipped' : 'run';
  },

  one_failed: ({ allDone, broken }) => {
    if (broken > 0) return 'run';
    return allDone ? 'skipped' : 'wait';
  },

  one_success: (upstream) =>
    upstream.success > 0 || upstream.allDone ? minOneSuccess(upstream) : 'wait',

  // An upstream_failed or cancelled task has neither succeeded nor failed: it never was there.
  one_done: ({ allDone, success, failed, broken }) => {
    if (success + failed > 0) return 'run';
    if (!allDone) return 'wait';
    return broken > 0 ? 'upstream_failed' : 'skipped';
  },

  none_failed: ({ allDone, broken }) => {
    if (broken > 0) return 'upstream_failed';
    return allDone ? 'run' : 'wait';
  },

  none_failed_min_one_success: (upstream) => {
    if (upstream.broken > 0) return 'upstream_failed';
    return upstream.allDone ? minOneSuccess(upstream) : 'wait';
  },

  none_skipped: ({ allDone, skipped }) => {
    if (skipped > 0) return 'skipped';
    return allDone ? 'run' : 'wait';
  },
};

function minOneSuccess({ success, broken }: Upstream): Verdict {
  if (success > 0) return 'run';
  return broken > 0 ? 'upstream_failed' : 'skipped';
}

/** A task with nothing before it runs, whatever its rule. */
export function judge(rule: TriggerRule, counts: StateCounts): Verdict {
  const broken = counts.failed + counts.upstream_failed + counts.cancelled;
  const open = counts.waiting + counts.ready + counts.running;
  const total = open + broken + counts.success + counts.skipped;
  if (total === 0) return 'run';
  const { success, failed, skipped } = counts;
  return RULES[rule]({ allDone: open === 0, success, failed, skipped, broken });
}

/**
 * Of a task that tears down what `setups` set up: it runs when everything before it is done and
 * one of them succeeded, whatever its `trigger` says. Nothing to tear down is no failure, unless a
 * setup failed.
 */
export function judgeTeardown(needs: StateCounts, setups: StateCounts): Verdict {
  for (const counts of [needs, setups]) {
    if (counts.waiting + counts.ready + counts.running > 0) return 'wait';
  }
  if (setups.success > 0) return 'run';
  return setups.failed + setups.upstream_failed > 0 ? 'upstream_failed' : 'skipped';
}
