/**
 * Which of the instances that are ready start now (DESIGN.md §8): by priority with aging, as far as
 * the device's budget, the slots of their pool and their job's own bounds go: `maxActiveTasks` and
 * its share of cores and memory.
 *
 * A task that does not fit is passed by others that do, but only until it has waited for
 * `limits.admissionReserveAfterMs`: from then on what it needs is kept free for it, so a stream of
 * small tasks cannot starve a big one. One that would not fit the empty device, or the share of its
 * job when nothing else of it runs, is impossible, and fails with the reason instead of waiting for
 * ever.
 */
import type { TaskCost } from '@runnel/shared/definitions/batch-job.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { RunError } from '@runnel/shared/protocol/runs.ts';
import type { BatchBudget } from '../batch-budget.ts';
import { byAgedPriority } from './aging.ts';

/** What an attempt takes while it runs. */
export interface TaskLoad {
  readonly job: string;
  readonly pool: string;
  readonly slots: number;
  readonly cost: TaskCost;
}

export interface TaskCandidate extends TaskLoad {
  /** Of the task, its job and its run together. */
  readonly priority: number;
  /** Epoch ms since when it could start: the record's `readyAt`. */
  readonly since: number;
  /** What attempts of its job may be and take at a time; Infinity: no bound of its own. */
  readonly jobMax: JobLoad;
}

/** Attempts of one job together. */
export interface JobLoad {
  readonly tasks: number;
  readonly memoryBytes: number;
  /** Cores. */
  readonly cpu: number;
}

export interface TaskAdmission<Candidate> {
  /** In the order in which they are to start. */
  readonly start: readonly Candidate[];
  /** Can never start on this device: the instance fails with the error. */
  readonly impossible: readonly { readonly candidate: Candidate; readonly error: RunError }[];
  /** Why the others wait, for people. */
  readonly waiting: readonly { readonly candidate: Candidate; readonly reason: string }[];
}

/** What is left of the budget; below zero where it is kept for a task that waits. */
interface Room {
  tasks: number;
  memoryBytes: number;
  cpu: number;
  readonly pools: Map<string, number>;
  readonly jobs: Map<string, JobLoad>;
}

/** `running`: every attempt on the device. Candidates that are equal start in the order given. */
export function admitTasks<Candidate extends TaskCandidate>(
  budget: BatchBudget,
  running: readonly TaskLoad[],
  candidates: readonly Candidate[],
  now: number,
): TaskAdmission<Candidate> {
  const room = roomOf(budget);
  const empty = roomOf(budget);
  for (const load of running) take(room, load);
  const start: Candidate[] = [];
  const impossible: { candidate: Candidate; error: RunError }[] = [];
  const waiting: { candidate: Candidate; reason: string }[] = [];
  for (const candidate of byAgedPriority(candidates, now)) {
    const error = impossibleBecause(empty, candidate);
    const reason = jobIsFull(room, candidate) ?? tooLittle(room, candidate);
    if (error !== null) {
      impossible.push({ candidate, error });
    } else if (reason === null) {
      take(room, candidate);
      start.push(candidate);
    } else {
      waiting.push({ candidate, reason });
      const hasWaited = now - candidate.since >= limits.admissionReserveAfterMs;
      // Nothing is kept for one that its own job holds back: room would not help it.
      if (hasWaited && jobIsFull(room, candidate) === null) reserve(room, candidate);
    }
  }
  return { start, impossible, waiting };
}

function roomOf(budget: BatchBudget): Room {
  return {
    tasks: budget.tasksMax,
    memoryBytes: budget.memoryBytes,
    cpu: budget.cpu,
    pools: new Map(Object.entries(budget.pools)),
    jobs: new Map(),
  };
}

function take(room: Room, load: TaskLoad): void {
  reserve(room, load);
  const { tasks, memoryBytes, cpu } = room.jobs.get(load.job) ?? NOTHING;
  room.jobs.set(load.job, {
    tasks: tasks + 1,
    memoryBytes: memoryBytes + load.cost.memoryBytes,
    cpu: cpu + load.cost.cpu,
  });
}

const NOTHING: JobLoad = { tasks: 0, memoryBytes: 0, cpu: 0 };

function reserve(room: Room, { pool, slots, cost }: TaskLoad): void {
  room.tasks -= 1;
  room.memoryBytes -= cost.memoryBytes;
  room.cpu -= cost.cpu;
  const free = room.pools.get(pool);
  if (free !== undefined) room.pools.set(pool, free - slots);
}

function jobIsFull(room: Room, { job, jobMax, cost }: TaskCandidate): string | null {
  const { tasks, memoryBytes, cpu } = room.jobs.get(job) ?? NOTHING;
  if (tasks >= jobMax.tasks) return `${tasks} of ${jobMax.tasks} tasks of the job are running`;
  const left = { memoryBytes: jobMax.memoryBytes - memoryBytes, cpu: jobMax.cpu - cpu };
  const reason = lacksOf(cost, left);
  return reason === null ? null : `${reason} of the job's share`;
}

/** Cores are added up as fractions: a sum that is right but for its last bits fits. */
const CPU_SLACK = 1e-9;

function tooLittle(room: Room, { pool, slots, cost }: TaskLoad): string | null {
  if (room.tasks < 1) return 'as many tasks are running as the device allows';
  const reason = lacksOf(cost, room);
  if (reason !== null) return reason;
  const free = room.pools.get(pool) ?? Infinity;
  if (slots > free) return lacks(`slots of pool "${pool}"`, slots, free);
  return null;
}

/** What takes nothing of a resource does not wait for it. */
function lacksOf(cost: TaskCost, left: Omit<JobLoad, 'tasks'>): string | null {
  if (cost.memoryBytes > 0 && cost.memoryBytes > left.memoryBytes) {
    return lacks('MiB of memory', inMiB(cost.memoryBytes), inMiB(left.memoryBytes));
  }
  if (cost.cpu > 0 && cost.cpu > left.cpu + CPU_SLACK) return lacks('cores', cost.cpu, left.cpu);
  return null;
}

function lacks(what: string, needed: number, free: number): string {
  return `needs ${rounded(needed)} ${what}, and ${rounded(Math.max(0, free))} are free`;
}

function inMiB(bytes: number): number {
  return bytes / (1024 * 1024);
}

function rounded(amount: number): number {
  return Math.round(amount * 100) / 100;
}

function impossibleBecause(emptyDevice: Room, candidate: TaskCandidate): RunError | null {
  const never = (reason: string, mend: string): RunError => ({
    code: 'cost_exceeds_budget',
    class: 'resources',
    message: `the task ${reason} when nothing else runs: lower its cost, or raise ${mend}`,
  });
  const reason = tooLittle(emptyDevice, candidate);
  if (reason !== null) return never(reason, 'batch: in agent.yaml');
  const ofShare = jobIsFull(emptyDevice, candidate);
  return ofShare === null ? null : never(ofShare, 'the share of its job');
}
