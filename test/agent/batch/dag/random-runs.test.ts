/** Random graphs, run in random orders with crashes, cancels and reruns at random points. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TaskState } from '@runnel/shared/protocol/runs.ts';
import { type TaskCandidate, admitTasks } from '@runnel/agent/batch/dag/admission.ts';
import {
  firstSlotOf,
  headOf,
  isDone,
  type RunSnapshot,
  type TaskGroup,
} from '@runnel/agent/batch/dag/run-snapshot.ts';
import {
  endingOf,
  OUTPUT,
  programFor,
  type RandomGraph,
  randomGraph,
  type RandomTask,
} from './random-graph.ts';
import { JOB_UNBOUND } from './program-of.ts';
import { RunDriver } from './run-driver.ts';
import { oracle } from './trigger-oracle.ts';

const BUDGET = { filesBytes: 0, tasksMax: 3, memoryBytes: 0, cpu: 0, pools: { default: 2 } };
const STEPS_MAX = 2000;
/** Fewer than may interrupt one task. */
const CRASHES_MAX = 6;

/** Decisions of the world: each number picks what happens next. Used up, it goes on in order. */
const choices = fc.array(fc.nat({ max: 999 }), { maxLength: 80 });

/** A runtime that does what the numbers say, and a checker that looks over its shoulder. */
class World {
  readonly driver: RunDriver;
  readonly #graph: RandomGraph;
  readonly #choices: number[];
  readonly #isRepaired: boolean;
  #crashes = 0;
  /** Begun since the cancel, by name. */
  readonly begun: string[] = [];

  constructor(
    graph: RandomGraph,
    numbers: readonly number[],
    more: { readonly driver?: RunDriver; readonly isRepaired?: boolean } = {},
  ) {
    this.#graph = graph;
    this.#choices = [...numbers];
    this.driver = more.driver ?? new RunDriver(programFor(graph), { isChecked: false });
    this.#isRepaired = more.isRepaired === true;
  }

  get isOver(): boolean {
    return !['queued', 'running'].includes(this.driver.state.run.state);
  }

  /** Steps until the run has ended, or `count` of them. */
  go(count = STEPS_MAX): this {
    if (this.driver.state.run.state === 'queued') this.driver.send({ kind: 'start' });
    for (let step = 0; step < count && !this.isOver; step += 1) this.#step();
    check(this.isOver || count < STEPS_MAX, 'the run does not end');
    return this;
  }

  #step(): void {
    const { driver } = this;
    const choice = this.#choices.shift() ?? 1;
    const running = namesIn(driver, 'running');
    if (choice % 20 === 0 && this.#crashes < CRASHES_MAX) {
      this.#crashes += 1;
      driver.crash();
      return;
    }
    const startable = this.#admitted(running);
    const wake = driver.wake;
    if (choice % 3 !== 0 && startable.length > 0) {
      this.#begin(startable[choice % startable.length] ?? '');
    } else if (running.length > 0) {
      this.#end(running[choice % running.length] ?? '');
    } else if (startable.length > 0) {
      this.#begin(startable[choice % startable.length] ?? '');
    } else {
      check(wake !== null, 'nothing runs, may start or is due');
      driver.now = wake ?? 0;
    }
  }

  #admitted(running: readonly string[]): string[] {
    const load = (name: string): TaskCandidate & { readonly name: string } => ({
      name,
      job: 'nightly',
      pool: 'default',
      slots: 1,
      cost: { memoryBytes: 0, cpu: 0 },
      priority: 0,
      since: this.driver.now,
      jobMax: JOB_UNBOUND,
    });
    const candidates = this.driver.ready.map(load);
    const { start } = admitTasks(BUDGET, running.map(load), candidates, this.driver.now);
    check(running.length + start.length <= BUDGET.pools.default, 'the pool is passed');
    return start.map(({ name }) => name);
  }

  #begin(name: string): void {
    const task = this.#taskOf(name);
    check(mayStart(task, this.driver.state), `${name} starts before its rule holds`);
    this.begun.push(name);
    this.driver.begin(name);
    const mates = namesIn(this.driver, 'running').filter((other) => this.#taskOf(other) === task);
    check(mates.length <= (task.parallel ?? Infinity), `too many of ${name} at a time`);
  }

  #end(name: string): void {
    const { attempt, interrupted } = this.driver.record(name);
    const { failures } = this.#taskOf(name);
    if (!this.#isRepaired && attempt - interrupted <= failures) this.driver.fail(name);
    else this.driver.succeed(name, OUTPUT);
  }

  #taskOf(name: string): RandomTask {
    const task = this.#graph[this.driver.refOf(name).task];
    if (task === undefined) throw new Error(`no ${name}`);
    return task;
  }
}

/** As `expect`, without its price: it is called a million times. */
const instancesOf = (group: TaskGroup): TaskGroup => group.slice(firstSlotOf(group));

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

function namesIn(driver: RunDriver, state: TaskState): string[] {
  return driver.state.tasks.flatMap((group) =>
    instancesOf(group)
      .filter((record) => record.state === state && record.items === null)
      .map(({ task, index }) => (index === null ? task : `${task}[${index}]`)),
  );
}

/** Judged from the states alone, by the oracle of the rules. */
function mayStart(task: RandomTask, { tasks }: RunSnapshot): boolean {
  const instances = (at: number): TaskState[] =>
    instancesOf(tasks[at] ?? []).map(({ state }) => state);
  const upstream = task.needs.flatMap(instances);
  if (task.teardown) {
    return upstream.every(isDone) && instances(task.needs[0] ?? 0).includes('success');
  }
  return oracle(task.trigger, upstream) === 'run';
}

function statesOf(driver: RunDriver): TaskState[] {
  return driver.state.tasks.map((group) => headOf(group).state);
}

/** The numbers of a failing case are enough to run it again. */
const RUNS = { numRuns: 200 };

describe('a random run', () => {
  it('ends as the graph says, whatever the order, with crashes at any point', () => {
    fc.assert(
      fc.property(randomGraph, choices, (graph, numbers) => {
        const { driver } = new World(graph, numbers).go();
        const { tasks, run } = endingOf(graph);
        expect(statesOf(driver)).toEqual(tasks);
        expect(driver.ended).toEqual([run]);
        const instances = driver.state.tasks.flatMap(instancesOf);
        expect(instances.every(({ state }) => isDone(state))).toBe(true);
      }),
      RUNS,
    );
  });

  it('ends when it is cancelled, starts nothing but teardowns, and those that are due', () => {
    fc.assert(
      fc.property(randomGraph, choices, fc.nat({ max: 30 }), (graph, numbers, steps) => {
        const world = new World(graph, numbers).go(steps);
        const { driver } = world;
        if (world.isOver) return;
        world.begun.length = 0;
        driver.send({ kind: 'cancel', reason: 'enough' });
        world.go();
        expect(driver.ended).toEqual(['cancelled']);
        expect(statesOf(driver).every(isDone)).toBe(true);
        const isTeardown = (name: string) => graph[driver.refOf(name).task]?.teardown === true;
        expect(world.begun.filter((name) => !isTeardown(name))).toEqual([]);
        for (const task of graph.filter(({ teardown, when }) => teardown && when === true)) {
          const setup = driver.state.tasks[task.needs[0] ?? 0] ?? [];
          if (!instancesOf(setup).some(({ state }) => state === 'success')) continue;
          expect(['success', 'failed']).toContain(driver.states[task.id]);
        }
      }),
      RUNS,
    );
  });

  it('that failed succeeds when it is run again and nothing fails any more', () => {
    fc.assert(
      fc.property(randomGraph, choices, choices, (graph, numbers, again) => {
        const sound = graph.map((task) => ({ ...task, when: task.when !== false }));
        const { driver } = new World(sound, numbers).go();
        if (!statesOf(driver).some((state) => state === 'failed')) return;
        driver.send({ kind: 'rerun', from: null });
        new World(sound, again, { driver, isRepaired: true }).go();
        expect(driver.ended.at(-1)).toBe('success');
        const broken = ['failed', 'upstream_failed', 'cancelled'];
        expect(statesOf(driver).filter((state) => broken.includes(state))).toEqual([]);
      }),
      RUNS,
    );
  });

  it('that is run again from its first task ends as one that never ran', () => {
    fc.assert(
      fc.property(randomGraph, choices, choices, (graph, numbers, again) => {
        const { driver } = new World(graph, numbers).go();
        // One root alone may leave others as they were: then they ended as the graph says before.
        driver.send({ kind: 'rerun', from: 't0' });
        new World(graph, again, { driver }).go();
        expect(statesOf(driver)).toEqual(endingOf(graph).tasks);
        expect(driver.ended.at(-1)).toBe(endingOf(graph).run);
      }),
      RUNS,
    );
  });
});
