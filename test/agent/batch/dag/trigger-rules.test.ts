import { describe, expect, it } from 'vitest';
import { TRIGGER_RULES } from '@runnel/shared/definitions/batch-job.ts';
import { TASK_STATES, type TaskState } from '@runnel/shared/protocol/runs.ts';
import { noCounts } from '@runnel/agent/batch/dag/run-snapshot.ts';
import { judge, judgeTeardown, type Verdict } from '@runnel/agent/batch/dag/trigger-rules.ts';
import { FINAL, OPEN, oracle } from './trigger-oracle.ts';

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
