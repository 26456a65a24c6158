/**
 * The graph of a batch job's tasks: what comes before what. Pure; a thousand tasks at most.
 */
import type { DefinitionIssue } from '../errors.ts';
import { suggestion } from '../expressions/suggest.ts';
import type { TaskDefinition } from './batch-job.ts';
import { issueAt } from './strict.ts';

type Node = Pick<TaskDefinition, 'id' | 'needs'>;

export class TaskGraph {
  readonly #needs: ReadonlyMap<string, readonly string[]>;
  readonly #indexes: ReadonlyMap<string, number>;
  /** Indexes of the tasks that each needs. */
  readonly #before: readonly (readonly number[])[];
  /** The round of `isBefore` that came by last. */
  readonly #marks: Uint32Array;
  #round = 0;

  constructor(tasks: readonly Node[]) {
    this.#needs = new Map(tasks.map(({ id, needs }) => [id, needs]));
    this.#indexes = new Map(tasks.map(({ id }, index) => [id, index]));
    this.#before = tasks.map(({ needs }) => needs.flatMap((id) => this.#indexes.get(id) ?? []));
    this.#marks = new Uint32Array(tasks.length);
  }

  /**
   * Whether `id` needs `earlier`, directly or not. Nothing but marks is kept: the sets of all that
   * is needed would be half a million names for a chain of a thousand tasks.
   */
  isBefore(earlier: string, id: string): boolean {
    const goal = this.#indexes.get(earlier);
    const from = this.#indexes.get(id);
    if (goal === undefined || from === undefined) return false;
    this.#round += 1;
    const open = [from];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const need of this.#before[at] ?? []) {
        if (need === goal) return true;
        if (this.#marks[need] === this.#round) continue;
        this.#marks[need] = this.#round;
        open.push(need);
      }
    }
    return false;
  }

  /** Each cycle once, as the tasks on it in the order of needing: `a` needs `b` needs `a`. */
  cycles(): readonly (readonly string[])[] {
    const cycles: string[][] = [];
    const done = new Set<string>();
    for (const root of this.#needs.keys()) {
      const trail: { readonly id: string; next: number }[] = [];
      const onTrail = new Set<string>();
      const enter = (id: string): void => {
        trail.push({ id, next: 0 });
        onTrail.add(id);
      };
      if (!done.has(root)) enter(root);
      for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
        const need = this.#needs.get(top.id)?.[top.next];
        top.next += 1;
        if (need === undefined) {
          done.add(top.id);
          onTrail.delete(top.id);
          trail.pop();
        } else if (onTrail.has(need)) {
          const start = trail.findIndex(({ id }) => id === need);
          cycles.push([...trail.slice(start).map(({ id }) => id), need]);
        } else if (!done.has(need) && this.#needs.has(need)) enter(need);
      }
    }
    return cycles;
  }
}

/**
 * Ids that are there twice, needs that name nothing, cycles, and what makes no sense in the graph.
 * `unsure`: tasks whose name is not known may be the ones that are missing.
 */
export function checkGraph(
  tasks: readonly TaskDefinition[],
  known: ReadonlySet<string>,
  unsure: boolean,
  issues: DefinitionIssue[],
): TaskGraph {
  for (const task of tasks) checkNeeds(task, known, unsure, issues);
  const graph = new TaskGraph(tasks);
  const byId = new Map(tasks.map((task) => [task.id, task]));
  for (const cycle of graph.cycles()) {
    const path = [...(byId.get(cycle[0] ?? '')?.path ?? []), 'needs'];
    if (cycle.length === 2) issues.push(issueAt(path, `"${cycle[0]}" needs itself`));
    else issues.push(issueAt(path, `the tasks wait for each other: ${cycle.join(' → ')}`));
  }
  const needed = new Set(tasks.flatMap(({ needs }) => needs));
  for (const task of tasks) {
    checkTeardown(task, graph, known, unsure, issues);
    if (task.branch === null || needed.has(task.id) || unsure) continue;
    const hint = `let tasks stand behind it: needs: [${task.id}]`;
    issues.push(issueAt([...task.path, 'branch'], 'chooses among no tasks', hint));
  }
  return graph;
}

function checkNeeds(
  task: TaskDefinition,
  known: ReadonlySet<string>,
  unsure: boolean,
  issues: DefinitionIssue[],
): void {
  for (const [index, need] of task.needs.entries()) {
    const path = [...task.path, 'needs', index];
    if (task.needs.indexOf(need) !== index) issues.push(issueAt(path, `"${need}" is there twice`));
    if (unsure || known.has(need)) continue;
    const names = [...known].filter((id) => id !== task.id);
    issues.push(issueAt(path, `no task is named "${need}"`, suggestion(need, names)));
  }
}

function checkTeardown(
  task: TaskDefinition,
  graph: TaskGraph,
  known: ReadonlySet<string>,
  unsure: boolean,
  issues: DefinitionIssue[],
): void {
  for (const [index, setup] of task.teardown.entries()) {
    const path = [...task.path, 'teardown', index];
    if (!known.has(setup)) {
      if (!unsure)
        issues.push(issueAt(path, `no task is named "${setup}"`, suggestion(setup, [...known])));
      continue;
    }
    if (graph.isBefore(setup, task.id)) continue;
    const hint = `add it, or a task behind it: needs: [${setup}]`;
    issues.push(issueAt(path, `the task does not come after "${setup}"`, hint));
  }
}
