import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BATCH_BUDGET } from '@runnel/agent/batch/batch-budget.ts';
import { admitTasks } from '@runnel/agent/batch/dag/admission.ts';
import { readyInstances } from '@runnel/agent/batch/dag/ready-instances.ts';
import { transition } from '@runnel/agent/batch/dag/run-machine.ts';
import { newRun, type RunSnapshot } from '@runnel/agent/batch/dag/run-snapshot.ts';
import { AGENT, JOB_UNBOUND, NOW, programOf, runOf } from './program-of.ts';

const items = fc.array(fc.record({ waitedMs: fc.nat(3), isReady: fc.boolean() }), {
  minLength: 1,
  maxLength: 20,
});

describe('instances that are ready', () => {
  it('give, bounded by what can start together, the same starts as all of them', () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 5 }), (list, tasksMax) => {
        const program = programOf({ each: { forEach: () => list.map(() => null) } });
        const state = withItems(program, list);
        const budget = { ...BATCH_BUDGET, tasksMax, cpu: 100, memoryBytes: 1e12 };
        const started = (startsMax?: number): (number | null)[] => {
          const candidates = readyInstances(program, state, NOW, startsMax).map((ready) => {
            const { cost, pool, slots } = program.tasks[0]!.definition;
            const since = ready.record.readyAt ?? NOW;
            const load = { job: 'job', pool, slots, cost, priority: 0, since };
            return { ...load, index: ready.index, jobMax: JOB_UNBOUND };
          });
          return admitTasks(budget, [], candidates, NOW).start.map(({ index }) => index);
        };
        expect(started(tasksMax)).toEqual(started());
      }),
    );
  });
});

function withItems(
  program: ReturnType<typeof programOf>,
  list: readonly { readonly waitedMs: number; readonly isReady: boolean }[],
): RunSnapshot {
  const { state } = transition(program, newRun(program, runOf()), { kind: 'start' }, NOW, AGENT);
  const [head, ...instances] = state.tasks[0]!;
  const group = instances.map((record, index) => {
    const { waitedMs, isReady } = list[index]!;
    return isReady
      ? { ...record, readyAt: NOW - waitedMs * 60_000 }
      : { ...record, state: 'success' as const };
  });
  return { ...state, tasks: [[head!, ...group]] };
}
