import { describe, expect, it } from 'vitest';
import { TRIGGER_RULES, type TriggerRule } from '@runnel/shared/definitions/batch-job.ts';
import { TASK_STATES, type TaskState } from '@runnel/shared/protocol/runs.ts';
import { noCounts } from '@runnel/agent/batch/dag/run-snapshot.ts';
import { judge, judgeTeardown, type Verdict } from '@runnel/agent/batch/dag/trigger-rules.ts';

const OPEN = new Set<TaskState>(['waiting', 'ready', 'running']);
const FINAL = TASK_STATES.filter((state) => !OPEN.has(state));

/** Did not do its work. */
const isBroken = (state: TaskState): boolean =>
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

function ofFinal(rule: TriggerRule, states: TaskState[]): Verdict {
  const { holds, culprits } = PROSE[rule];
  if (states.length === 0 || holds(states)) return 'run';
  return states.some((state) => culprits(state) && isBroken(state)) ? 'upstream_failed' : 'skipped';
}

/** What is still open may end in any way: only a verdict that all of them share is one already. */
function oracle(rule: TriggerRule, states: TaskState[]): Verdict {
  if (rule === 'always') return 'run';
  const open = states.findIndex((state) => OPEN.has(state));
  if (open < 0) return ofFinal(rule, states);
  const ends = FINAL.map((state) => oracle(rule, states.with(open, state)));
  const [first = 'wait'] = ends;
  // These wait for the end by their very name, also when they are sure to run.
  if (rule === 'all_done' || rule === 'all_done_min_one_success') return 'wait';
  return ends.every((verdict) => verdict === first) ? first : 'wait';
}

function multisets(length: number, from = 0): TaskState[][] {
  if (length === 0) return [[]];
  return TASK_STATES.slice(from).flatMap((state, at) =>
    multisets(length - 1, from + at).map((rest) => [state, ...rest]),
  );
}

function countsFor(states: readonly TaskState[]): Record<TaskState, number> {
  const counts = noCounts();
  for (const state of states) counts[state] += 1;
  return counts;
}

describe.each(TRIGGER_RULES)('%s', (rule) => {
  const cases = [0, 1, 2, 3].flatMap((length) => multisets(length));

  it(`says of all ${cases.length} sets of up to three upstream states what its prose says`, () => {
    for (const states of cases) {
      const got = `${states.join(' ')}: ${judge(rule, countsFor(states))}`;
      expect(got).toBe(`${states.join(' ')}: ${oracle(rule, states)}`);
    }
  });

  it('says the same of many instances as of one in each of their states', () => {
    for (const states of cases) {
      const many = states.flatMap((state) => Array<TaskState>(341).fill(state));
      expect(judge(rule, countsFor(many))).toBe(oracle(rule, states));
    }
  });

  it('never takes a verdict back, however the others end', () => {
    for (const states of cases) {
      const early = judge(rule, countsFor(states));
      const open = states.findIndex((state) => OPEN.has(state));
      if (early === 'wait' || open < 0) continue;
      for (const end of FINAL) {
        expect(judge(rule, countsFor(states.with(open, end)))).toBe(early);
      }
    }
  });

  it('has a verdict when everything is done', () => {
    for (const states of cases.filter((list) => !list.some((state) => OPEN.has(state)))) {
      expect(judge(rule, countsFor(states))).not.toBe('wait');
    }
  });
});

describe('a teardown', () => {
  it('runs once all before it is done and a setup succeeded, and else says why not', () => {
    const table = multisets(2).map(([setup = 'waiting', need = 'waiting']): [string, Verdict] => {
      const name = `setup ${setup}, need ${need}`;
      return [name, judgeTeardown(countsFor([need]), countsFor([setup]))];
    });
    for (const [name, verdict] of table) {
      const [, setup = '', need = ''] = /^setup (\w+), need (\w+)$/.exec(name) ?? [];
      const open = OPEN.has(setup as TaskState) || OPEN.has(need as TaskState);
      const failed = setup === 'failed' || setup === 'upstream_failed';
      const done = failed ? 'upstream_failed' : 'skipped';
      const expected = setup === 'success' ? 'run' : done;
      expect(`${name}: ${verdict}`).toBe(`${name}: ${open ? 'wait' : expected}`);
    }
  });
});
