/**
 * A batch job as everything but the parser sees it: checked, with defaults, durations in
 * milliseconds, and every reference between its tasks resolved to one that exists.
 */
import type { Json } from '../engine/record.ts';
import type { DurationMs, EpochMs, JobName } from '../ids.ts';
import type { Labels } from '../protocol/enrolment.ts';
import type { ParameterDefinition } from './parameters.ts';
import type { Path } from './path.ts';
import type { Placement } from './placement.ts';
import type { Rollout } from './rollout.ts';
import type { Sla } from './sla.ts';
import type { SourceDefinition } from './sources/registry.ts';

/** What starts a run. A job may have several; a job with none runs when somebody asks for it. */
export type ScheduleTrigger =
  | { readonly kind: 'cron'; readonly cron: string; readonly timezone: string }
  /**
   * At the multiples of the interval since 1970, or of calendar units in the zone (`1d`, `1mo`).
   */
  | { readonly kind: 'every'; readonly every: string; readonly timezone: string }
  | { readonly kind: 'at'; readonly at: readonly EpochMs[] }
  /** When all of them were updated since the last run that they started. */
  | { readonly kind: 'dataset'; readonly datasets: readonly string[] }
  /** Once per start of the agent. */
  | { readonly kind: 'startup'; readonly delayMs: DurationMs }
  /** When the disk under the data directory is fuller than this share, once until it has fallen. */
  | { readonly kind: 'disk'; readonly above: number };

export const MISFIRES = ['runOnce', 'skip', 'runAll'] as const;
export type Misfire = (typeof MISFIRES)[number];
export const OVERLAPS = ['skip', 'bufferOne', 'bufferAll', 'cancelOther', 'allow'] as const;
export type Overlap = (typeof OVERLAPS)[number];

export interface Schedule {
  readonly triggers: readonly ScheduleTrigger[];
  readonly misfire: Misfire;
  /** Missed times older than this are counted as skipped whatever the policy. */
  readonly catchUpWindowMs: DurationMs;
  readonly overlap: Overlap;
  /** A run starts up to this much after its time: deterministic by device, job and time. */
  readonly jitterMs: DurationMs;
}

export type PartitionDefinition =
  /** A run covers the whole period that ended at or before its time. Window sizes: `1h`, `1d`. */
  | { readonly kind: 'period'; readonly every: string; readonly timezone: string }
  /** Each time starts one run per key; with `every` each key has its periods. */
  | {
      readonly kind: 'keys';
      readonly keys: readonly string[];
      readonly every: string | null;
      readonly timezone: string;
    };

export const TRIGGER_RULES = [
  'all_success',
  'all_failed',
  'all_done',
  'all_done_min_one_success',
  'all_skipped',
  'one_failed',
  'one_success',
  'one_done',
  'none_failed',
  'none_failed_min_one_success',
  'none_skipped',
  'always',
] as const;
export type TriggerRule = (typeof TRIGGER_RULES)[number];

/** Classes of errors that a retry policy can tell apart; `task-error.ts` names who raises which. */
export const ERROR_CLASSES = [
  /** The attempt took longer than `timeout`. */
  'timeout',
  /** Out of memory, disk or another bound of the attempt. */
  'resources',
  /** A connection was refused, reset, not resolved, or timed out. */
  'network',
  /** The other side answered that the request is wrong (HTTP 4xx but 408, 425, 429). */
  'rejected',
  /** The other side answered that it cannot now (HTTP 5xx, 408, 425, 429, database restarting). */
  'unavailable',
  /** Rows that are not what they should be; a quality check that blocks. */
  'data',
  /** The program of a command ended with another code than 0, or a child died. */
  'process',
  /** The journal no longer holds what the run needs. */
  'journal_incomplete',
  /** The device's policy forbids it. */
  'policy',
  /** The document or a rendered template is wrong: never retried unless it is named. */
  'definition',
  /** The task's circuit breaker is open. */
  'circuit_open',
  /** The agent stopped while the attempt ran. */
  'interrupted',
  'other',
] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

export interface Backoff {
  readonly initialMs: DurationMs;
  readonly factor: number;
  readonly maxMs: DurationMs;
}

export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly attempts: number;
  readonly backoff: Backoff;
  /** Overrides by class: attempts in all, 1 for never again. */
  readonly on: Readonly<Partial<Record<ErrorClass, { readonly attempts: number }>>>;
}

export interface CircuitBreakerPolicy {
  /** Shares of the calls in the window, 0 to 1, at which it opens. */
  readonly failureRate: number;
  readonly slowRate: number;
  readonly slowAfterMs: DurationMs | null;
  /** Calls that are looked at, and how many there must be. */
  readonly window: number;
  readonly callsMin: number;
  readonly openForMs: DurationMs;
  /** Calls let through while half open; all must succeed. */
  readonly probes: number;
}

/** What a task states that it takes; it waits until the device has it to give. */
export interface TaskCost {
  /** At least what the kind bounds for a process of its own. */
  readonly memoryBytes: number;
  /** Cores, 0.5 being half of one. */
  readonly cpu: number;
}

export interface TaskDefinition {
  readonly id: string;
  /** Ids of other tasks; no cycles. */
  readonly needs: readonly string[];
  readonly trigger: TriggerRule;
  /** Expressions over the run's scope; null where there is none. */
  readonly when: string | null;
  /**
   * Gives the id, or a list of ids, of the direct dependents that go on; the others are skipped.
   */
  readonly branch: string | null;
  /** Gives the list whose items make the instances of the task; or the list, with templates. */
  readonly forEach: string | readonly Json[] | null;
  /** Instances of this task in one run at the same time. */
  readonly parallel: number | null;
  /** Key of tasks/registry.ts; `none` for a task that only joins or branches. */
  readonly kind: string;
  /** As written: templates are rendered, and the kind's schema applied, for each instance. */
  readonly config: Json;
  /** Ids of tasks that this one tears down; empty for an ordinary task. */
  readonly teardown: readonly string[];
  readonly timeoutMs: DurationMs | null;
  readonly retry: RetryPolicy;
  readonly circuitBreaker: CircuitBreakerPolicy | null;
  readonly pool: string;
  readonly slots: number;
  readonly priority: number;
  readonly cost: TaskCost;
  /** JSON Schema that the task's output must meet, or null. */
  readonly outputSchema: Json;
  readonly path: Path;
}

export interface Quota {
  /** Runs, or running time of tasks, that may start in any `perMs`; null: no such bound. */
  readonly runs: number | null;
  readonly timeMs: DurationMs | null;
  readonly perMs: DurationMs;
}

/** A part (0 to 1) of what the device gives to batch jobs, or as much whatever it gives. */
export type Amount = { readonly part: number } | { readonly amount: number };

/** What running tasks of one job take together, at most; null: as much as the device gives. */
export interface JobShare {
  /** Cores. */
  readonly cpu: Amount | null;
  /** Bytes. */
  readonly memory: Amount | null;
}

/** When running a job costs little; all that is named must hold for a run to start. */
export interface CheapWindow {
  /** `[from, to)` in minutes after midnight; `to` before `from`: over midnight. */
  readonly hours: {
    readonly from: number;
    readonly to: number;
    readonly timezone: string;
  } | null;
  readonly power: 'mains' | null;
  readonly network: 'unmetered' | null;
  readonly waitAtMostMs: DurationMs;
  /** What becomes of a run that has waited so long. */
  readonly otherwise: 'run' | 'skip';
}

export interface BatchJob {
  readonly kind: 'BatchJob';
  readonly name: JobName;
  readonly description: string;
  readonly labels: Labels;
  readonly parameters: Readonly<Record<string, ParameterDefinition>>;
  readonly placement: Placement | null;
  readonly rollout: Rollout | null;
  readonly sla: readonly Sla[];
  /** Null: only when asked for. */
  readonly schedule: Schedule | null;
  readonly partition: PartitionDefinition | null;
  /** Sources that this job has journaled itself; `journal('x')` also finds those of stream jobs. */
  readonly sources: Readonly<Record<string, SourceDefinition>>;
  /** In the order of the document. */
  readonly tasks: readonly TaskDefinition[];
  /** Higher goes first; waiting adds to it. */
  readonly priority: number;
  readonly maxActiveRuns: number;
  /** Over all runs of the job; null: the device's bound alone. */
  readonly maxActiveTasks: number | null;
  readonly share: JobShare | null;
  /** Null: a run starts whatever it costs. */
  readonly cheapWindow: CheapWindow | null;
  readonly quota: Quota | null;
  /** From the start of the first task to the end of the last. */
  readonly timeoutMs: DurationMs | null;
  /** How much of the journal a run needs, counted back from its start; null: none. */
  readonly historyMs: DurationMs | null;
  /** A run goes on with what the journal still has. */
  readonly allowPartial: boolean;
  /** The document as it was written, defaults not filled in. */
  readonly document: Json;
}
