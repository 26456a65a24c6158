/** The machine's own cost stays far below that of a commit, for the largest graphs there are. */
import { describe, expect, it } from 'vitest';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import { limits } from '@runnel/shared/limits.ts';
import { readyInstances } from '@runnel/agent/batch/dag/ready-instances.ts';
import { transition } from '@runnel/agent/batch/dag/run-machine.ts';
import { newRun, type RunSnapshot } from '@runnel/agent/batch/dag/run-snapshot.ts';
import { AGENT, NOW, programOf, runOf, type TaskSketch } from './program-of.ts';

/**
 * Runs everything that is ready, one attempt after the other. Gives how many there were, and the
 * processor's time: what else runs on this machine must not decide.
 */
function runThrough(program: BatchProgram): { readonly attempts: number; readonly cpuMs: number } {
  const began = process.cpuUsage();
  let state: RunSnapshot = newRun(program, runOf());
  const send = (event: Parameters<typeof transition>[2]): void => {
    ({ state } = transition(program, state, event, NOW, AGENT));
  };
  send({ kind: 'start' });
  let attempts = 0;
  while (state.run.state === 'running') {
    const ready = readyInstances(program, state, NOW);
    if (ready.length === 0) throw new Error('the run does not go on');
    for (const { task, index } of ready.slice(0, 4)) {
      send({ kind: 'attemptStarted', task, index });
      send({ kind: 'attemptSucceeded', task, index, output: null, table: null });
      attempts += 1;
    }
  }
  expect(state.run.state).toBe('success');
  const { user, system } = process.cpuUsage(began);
  return { attempts, cpuMs: (user + system) / 1000 };
}

function tasks(count: number, sketch: (at: number) => TaskSketch): Record<string, TaskSketch> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`t${at}`, sketch(at)]));
}

const MOST = limits.tasksPerJobMax;
const items = Array.from({ length: limits.forEachItemsMax }, (_, at) => at);

const GRAPHS: Readonly<Record<string, [program: BatchProgram, attempts: number]>> = {
  'a chain of 1,000 tasks': [
    programOf(tasks(MOST, (at) => (at === 0 ? {} : { needs: [`t${at - 1}`] }))),
    MOST,
  ],
  'a fan of 1,000 tasks into one': [
    programOf({
      first: {},
      ...tasks(MOST - 2, () => ({ needs: ['first'] })),
      last: { needs: Array.from({ length: MOST - 2 }, (_, at) => `t${at}`) },
    }),
    MOST,
  ],
  'ten lists of 1,024 items behind each other': [
    programOf(
      tasks(10, (at) => ({ ...(at === 0 ? {} : { needs: [`t${at - 1}`] }), forEach: () => items })),
    ),
    10 * items.length,
  ],
};

describe('the cost of a run', () => {
  it.each(Object.entries(GRAPHS))('is below 0.3 ms a task: %s', (_, [program, attempts]) => {
    // The best of three: the first ones are compiled while they run.
    const rounds = [1, 2, 3].map(() => runThrough(program));
    expect(rounds[0]?.attempts).toBe(attempts);
    expect(Math.min(...rounds.map(({ cpuMs }) => cpuMs)) / attempts).toBeLessThan(0.3);
  });
});
