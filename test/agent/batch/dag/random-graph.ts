/**
 * Graphs drawn at random, what each of their tasks does, and an evaluator of its own that says how
 * such a run ends: straight along the graph, with no events, queues or early verdicts.
 */
import * as fc from 'fast-check';
import { TRIGGER_RULES, type TriggerRule } from '@runnel/shared/definitions/batch-job.ts';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import type { RunState, TaskState } from '@runnel/shared/protocol/runs.ts';
import { programOf, type TaskSketch } from './program-of.ts';
import { isBroken, ofFinal } from './trigger-oracle.ts';

export interface RandomTask {
  readonly id: string;
  readonly needs: readonly number[];
  readonly trigger: TriggerRule;
  readonly when: boolean | 'throws';
  /** The dependents that it chooses are those whose position this share of the time divides. */
  readonly branch: number | null;
  /** How many items, and whether they come out of the first of its needs. */
  readonly forEach: { readonly items: number; readonly fromNeed: boolean } | null;
  readonly parallel: number | null;
  /** It tears down the first of its needs. */
  readonly teardown: boolean;
  /** Attempts of each instance that fail before one succeeds, and how many there may be. */
  readonly failures: number;
  readonly attempts: number;
  readonly empty: boolean;
}

export type RandomGraph = readonly RandomTask[];

const seldom = <T>(value: fc.Arbitrary<T>, other: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(other) }, { weight: 1, arbitrary: value });

const task = fc.record({
  needs: fc.array(fc.nat(), { maxLength: 3 }),
  trigger: seldom<TriggerRule>(fc.constantFrom(...TRIGGER_RULES), 'all_success'),
  when: seldom<boolean | 'throws'>(fc.constantFrom<boolean | 'throws'>(false, 'throws'), true),
  branch: seldom<number | null>(fc.integer({ min: 1, max: 3 }), null),
  forEach: seldom(
    fc.record({ items: fc.integer({ min: 0, max: 4 }), fromNeed: fc.boolean() }),
    null as { items: number; fromNeed: boolean } | null,
  ),
  parallel: fc.constantFrom(null, 1, 2),
  teardown: seldom(fc.constant(true), false),
  failures: seldom(fc.integer({ min: 1, max: 3 }), 0),
  attempts: fc.integer({ min: 1, max: 3 }),
  empty: seldom(fc.constant(true), false),
});

export const randomGraph: fc.Arbitrary<RandomGraph> = fc
  .array(task, { minLength: 1, maxLength: 9 })
  .map((drawn) =>
    drawn.map((each, at): RandomTask => {
      const needs = at === 0 ? [] : [...new Set(each.needs.map((need) => need % at))];
      const teardown = each.teardown && needs.length > 0;
      const source = drawn[needs[0] ?? at];
      // Lists are made of tasks that give one; of the others the evaluator would have to know more.
      const gives = needs.length > 0 && source?.forEach === null && !source.empty;
      const drawnList = each.forEach;
      const forEach =
        teardown || drawnList === null
          ? null
          : { ...drawnList, fromNeed: drawnList.fromNeed && gives };
      return { ...each, id: `t${at}`, needs, teardown, forEach, empty: each.empty && !teardown };
    }),
  );

export function dependentsOf(graph: RandomGraph, at: number): number[] {
  return graph.flatMap((other, position) => (other.needs.includes(at) ? [position] : []));
}

function chosenBy(graph: RandomGraph, at: number): number[] | null {
  const share = graph[at]?.branch ?? null;
  if (share === null) return null;
  return dependentsOf(graph, at).filter((dependent) => dependent % share === 0);
}

/** What an attempt of the task gives: the list that a task behind it may go through. */
export const OUTPUT = [1, 2, 3];

export function listNeed({ forEach, needs }: RandomTask): number | null {
  return forEach?.fromNeed === true ? (needs[0] ?? null) : null;
}

export function programFor(graph: RandomGraph): BatchProgram {
  return programOf(
    Object.fromEntries(graph.map((each, at) => [each.id, sketchOf(graph, each, at)])),
  );
}

function sketchOf(graph: RandomGraph, each: RandomTask, at: number): TaskSketch {
  const source = listNeed(each);
  const from = source === null ? [] : [`t${source}`];
  const { forEach, branch } = each;
  return {
    needs: each.needs.map((need) => `t${need}`),
    trigger: each.trigger,
    retry: { attempts: each.attempts },
    empty: each.empty,
    from,
    when: () => {
      if (each.when === 'throws') throw new Error('no such key');
      return each.when;
    },
    ...(branch === null ? {} : { branch: () => (chosenBy(graph, at) ?? []).map((to) => `t${to}`) }),
    ...(each.parallel === null ? {} : { parallel: each.parallel }),
    ...(each.teardown ? { teardown: [`t${each.needs[0]}`] } : {}),
    ...(forEach === null
      ? {}
      : {
          forEach: ({ tasks }) =>
            source === null
              ? Array.from({ length: forEach.items }, (_, item) => item)
              : (tasks[`t${source}`]?.output as number[]),
        }),
  };
}

export interface Ending {
  readonly tasks: readonly TaskState[];
  readonly run: RunState;
}

/** How the run ends when nobody disturbs it, in whatever order its tasks run. */
export function endingOf(graph: RandomGraph): Ending {
  /** States of the instances, and of the task. */
  const seen: { readonly all: TaskState[]; readonly whole: TaskState }[] = [];
  for (const [at, each] of graph.entries()) seen.push(endOfTask(graph, each, at, seen));
  const tasks = seen.map(({ whole }) => whole);
  const isLeaf = (at: number): boolean =>
    graph[at]?.teardown === false &&
    dependentsOf(graph, at).every((dependent) => graph[dependent]?.teardown === true);
  const isFailed = tasks.some(
    (state, at) => isLeaf(at) && (state === 'failed' || state === 'upstream_failed'),
  );
  return { tasks, run: isFailed ? 'failed' : 'success' };
}

type Seen = readonly { readonly all: TaskState[]; readonly whole: TaskState }[];

function endOfTask(graph: RandomGraph, each: RandomTask, at: number, seen: Seen) {
  const alone = (state: TaskState) => ({ all: [state], whole: state });
  const verdict = verdictFor(graph, each, at, seen);
  if (verdict !== 'run') return alone(verdict);
  let items = each.forEach?.items ?? 1;
  const source = listNeed(each);
  if (source !== null) {
    const made = seen[source]?.whole ?? 'skipped';
    if (made !== 'success') return alone(isBroken(made) ? 'upstream_failed' : 'skipped');
    items = OUTPUT.length;
  }
  if (items === 0) return alone('skipped');
  const state = endOfInstance(each);
  return { all: Array<TaskState>(items).fill(state), whole: state };
}

function verdictFor(graph: RandomGraph, each: RandomTask, at: number, seen: Seen) {
  if (each.teardown) {
    const setups = seen[each.needs[0] ?? 0]?.all ?? [];
    if (setups.includes('success')) return 'run';
    const failed = setups.some((state) => state === 'failed' || state === 'upstream_failed');
    return failed ? 'upstream_failed' : 'skipped';
  }
  const left = each.needs.some((need) => {
    const chosen = seen[need]?.whole === 'success' ? chosenBy(graph, need) : null;
    return chosen !== null && !chosen.includes(at);
  });
  if (left && each.trigger !== 'always') return 'skipped';
  const states = each.needs.flatMap((need) => seen[need]?.all ?? []);
  const verdict = ofFinal(each.trigger, states);
  return verdict === 'wait' ? 'run' : verdict;
}

function endOfInstance(each: RandomTask): TaskState {
  if (each.when === 'throws') return 'failed';
  if (!each.when) return 'skipped';
  return each.empty || each.failures < each.attempts ? 'success' : 'failed';
}
