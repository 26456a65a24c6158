/**
 * A run while one event changes it. Copies what changes and nothing else, keeps the counts of large
 * groups up to date, and knows which tasks have to be judged again. It is made, filled and left
 * within one `transition`; what `snapshot` gave never changes after.
 */
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import { assert, RunnelError } from '@runnel/shared/errors.ts';
import type { RunState, TaskState } from '@runnel/shared/protocol/runs.ts';
import type { RunRecord, TaskRecord } from '../records.ts';
import { planOf, type RunPlan } from './run-plan.ts';
import {
  countsOf,
  headOf,
  isDone,
  noCounts,
  rememberCounts,
  type RunSnapshot,
  slotOf,
  type TaskGroup,
} from './run-snapshot.ts';
import { type AgentFacts, runKey, scopeOf } from './task-scope.ts';
import type { StateCounts } from './trigger-rules.ts';

export type RunEffect =
  /** The attempt that runs must be ended; it still reports how it ended. */
  | { readonly kind: 'abort'; readonly task: number; readonly index: number | null }
  | { readonly kind: 'ended'; readonly state: RunState };

/** An instance whose record is no longer there. */
export interface RemovedInstance {
  readonly task: string;
  readonly index: number;
}

/** What every step of a transition needs. */
export interface Facts {
  readonly program: BatchProgram;
  readonly now: number;
  readonly agent: AgentFacts;
}

interface OwnGroup {
  readonly records: TaskRecord[];
  /** Of the instances; a task that is its own and only one has none. */
  readonly counts: Record<TaskState, number> | null;
}

/** How many tasks of a snapshot are not done: kept, so that no event has to look at all of them. */
const openTasks = new WeakMap<readonly TaskGroup[], number>();
/** The same of the bytes of all outputs. */
const outputBytes = new WeakMap<readonly TaskGroup[], number>();

export class RunDraft {
  readonly facts: Facts;
  readonly plan: RunPlan;
  readonly effects: RunEffect[] = [];
  run: RunRecord;
  readonly #groups: TaskGroup[];
  /** Groups that only this draft holds, and may change in place. */
  readonly #own = new Map<number, OwnGroup>();
  readonly #touched = new Map<number, Set<number>>();
  readonly #removed = new Map<string, RemovedInstance>();
  readonly #woken = new Set<number>();
  #open: number;
  #outputBytes: number;

  constructor(snapshot: RunSnapshot, facts: Facts) {
    this.facts = facts;
    this.plan = planOf(facts.program);
    this.run = snapshot.run;
    this.#groups = [...snapshot.tasks];
    assert(this.#groups.length === facts.program.tasks.length, 'a run of another program');
    this.#open =
      openTasks.get(snapshot.tasks) ??
      snapshot.tasks.filter((group) => !isDone(headOf(group).state)).length;
    this.#outputBytes =
      outputBytes.get(snapshot.tasks) ??
      snapshot.tasks.reduce((sum, group) => sum + bytesOfAll(group), 0);
  }

  get tasks(): readonly TaskGroup[] {
    return this.#groups;
  }

  group(task: number): TaskGroup {
    const group = this.#groups[task];
    // Not `assert`, whose text would be made at each of a million calls.
    if (group === undefined) throw noSuch(`task ${task} in run ${this.run.id}`);
    return group;
  }

  head(task: number): TaskRecord {
    return headOf(this.group(task));
  }

  /** Throws `invariant_broken` for an instance that is not there. */
  record(task: number, index: number | null): TaskRecord {
    const record = this.group(task)[slotOf(index)];
    if (record === undefined) throw noSuch(`instance ${index} of ${this.head(task).task}`);
    return record;
  }

  /** States of the instances of a task. */
  counts(task: number): StateCounts {
    return this.#own.get(task)?.counts ?? countsOf(this.group(task));
  }

  /** States of the instances of several tasks together. */
  countsOfAll(tasks: readonly number[]): StateCounts {
    const sum = noCounts();
    for (const task of tasks) {
      const group = this.group(task);
      if (group.length === 1) sum[(group[0] as TaskRecord).state] += 1;
      else addCounts(sum, this.counts(task));
    }
    return sum;
  }

  update(task: number, index: number | null, patch: Partial<TaskRecord>): void {
    const before = this.record(task, index);
    const after = { ...before, ...patch };
    const { records, counts } = this.#ownGroup(task);
    const slot = slotOf(index);
    records[slot] = after;
    if (slot === 0) this.#open += openness(after) - openness(before);
    else if (counts !== null) {
      counts[before.state] -= 1;
      counts[after.state] += 1;
    }
    if (patch.output !== undefined) {
      this.#outputBytes += outputBytesOf(after) - outputBytesOf(before);
    }
    this.#touch(task, slot);
  }

  /** Of all instances, as JSON. */
  get outputBytes(): number {
    return this.#outputBytes;
  }

  /** Every task has ended. */
  get isDone(): boolean {
    return this.#open === 0;
  }

  /** Puts the instances of a task behind its record; without any it is as if never expanded. */
  setInstances(task: number, instances: readonly TaskRecord[]): void {
    const group = this.group(task);
    for (const { task: id, index } of group.slice(1 + instances.length)) {
      assert(index !== null, 'an instance without an index');
      this.#removed.set(`${id}/${index}`, { task: id, index });
      this.#touched.get(task)?.delete(slotOf(index));
    }
    const records = [headOf(group), ...instances];
    this.#outputBytes += bytesOfAll(records) - bytesOfAll(group);
    for (const { task: id, index } of instances) {
      this.#removed.delete(`${id}/${index}`);
      this.#touch(task, slotOf(index));
    }
    this.#groups[task] = records;
    this.#own.set(task, { records, counts: instances.length > 0 ? countAll(instances) : null });
  }

  /** The tasks that depend on this one are judged again before the transition ends. */
  wakeBehind(task: number): void {
    for (const other of this.plan.wakes[task] ?? []) this.#woken.add(other);
  }

  wake(task: number): void {
    this.#woken.add(task);
  }

  nextWoken(): number | undefined {
    const [task] = this.#woken;
    if (task !== undefined) this.#woken.delete(task);
    return task;
  }

  abort(task: number, index: number | null): void {
    this.effects.push({ kind: 'abort', task, index });
  }

  /** What there is now; later changes of the draft are not in it. */
  snapshot(): RunSnapshot {
    for (const [task, { counts }] of this.#own) {
      if (counts !== null) rememberCounts(this.group(task), counts);
    }
    this.#own.clear();
    const tasks = [...this.#groups];
    openTasks.set(tasks, this.#open);
    outputBytes.set(tasks, this.#outputBytes);
    return { run: this.run, tasks };
  }

  scope(instance?: TaskRecord): ReturnType<typeof scopeOf> {
    return scopeOf(this.snapshot(), this.facts.agent, instance);
  }

  /** What the jitter of a retry is made of. */
  seedOf({ task, index }: TaskRecord): string {
    return `${runKey(this.run)}/${task}/${index ?? ''}`;
  }

  changed(): TaskRecord[] {
    return [...this.#touched].flatMap(([task, slots]) => {
      const group = this.group(task);
      return [...slots].sort((a, b) => a - b).flatMap((slot) => group[slot] ?? []);
    });
  }

  removed(): RemovedInstance[] {
    return [...this.#removed.values()];
  }

  #ownGroup(task: number): OwnGroup {
    const known = this.#own.get(task);
    if (known !== undefined) return known;
    const group = this.group(task);
    const counts = group.length > 1 ? { ...countsOf(group) } : null;
    const own = { records: [...group], counts };
    this.#groups[task] = own.records;
    this.#own.set(task, own);
    return own;
  }

  #touch(task: number, slot: number): void {
    const slots = this.#touched.get(task);
    if (slots === undefined) this.#touched.set(task, new Set([slot]));
    else slots.add(slot);
  }
}

function noSuch(what: string): RunnelError {
  return new RunnelError('invariant_broken', `no ${what}`);
}

/** 1 while a task has not ended. */
function openness({ state }: TaskRecord): number {
  return isDone(state) ? 0 : 1;
}

function bytesOfAll(group: TaskGroup): number {
  return group.reduce((sum, record) => sum + outputBytesOf(record), 0);
}

function outputBytesOf({ output }: TaskRecord): number {
  return output === null ? 0 : Buffer.byteLength(JSON.stringify(output));
}

function countAll(instances: readonly TaskRecord[]): Record<TaskState, number> {
  const counts = noCounts();
  for (const { state } of instances) counts[state] += 1;
  return counts;
}

function addCounts(sum: Record<TaskState, number>, counts: StateCounts): void {
  for (const state of Object.keys(sum) as TaskState[]) sum[state] += counts[state];
}
