/**
 * A batch job compiled with the parameters of one run: templates and expressions checked, the graph
 * as indexes. Pure; compile-batch-job.ts makes it, at submit with sample parameters, on the device
 * for every run.
 */
import type { Json } from '../engine/record.ts';
import type { Partition } from '../schedule/partition.ts';
import type { BatchJob, TaskDefinition } from './batch-job.ts';
import type { TaskSpec } from './task-definition.ts';

/**
 * The names that `{{ }}`, `when`, `branch` and `forEach` may use, beside `params`, which is
 * compiled in.
 */
export interface TaskScope {
  readonly job: { readonly name: string; readonly version: number };
  /** `at`: the time that the run stands for. Nothing here differs between attempts. */
  readonly run: {
    readonly id: string;
    readonly key: string;
    readonly at: number;
    readonly trigger: string;
  };
  /** With `startAt` and `endAt` as ISO 8601 texts in UTC. */
  readonly partition: Partition & { readonly startAt: string; readonly endAt: string };
  readonly agent: {
    readonly id: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  /**
   * Tasks that are done, by id. A task with `forEach`: `output` is the list of its items' outputs.
   */
  readonly tasks: Readonly<Record<string, { readonly state: string; readonly output: Json }>>;
  /** Of the instance, where the task has `forEach`; else null. */
  readonly item: Json;
  readonly index: number | null;
}

export interface CompiledTask {
  readonly definition: TaskDefinition;
  /** Undefined for a task without work of its own. */
  readonly spec: TaskSpec | undefined;
  readonly index: number;
  /** Indexes of tasks, ascending. */
  readonly needs: readonly number[];
  readonly dependents: readonly number[];
  /** No ordinary task depends on it: the run's state is judged by it. */
  readonly isLeaf: boolean;
  /** Throw `RunnelError`s whose message names the expression. */
  readonly when: ((scope: TaskScope) => boolean) | null;
  /** Ids of direct dependents. Evaluated when the task has succeeded: `tasks` holds it too. */
  readonly branch: ((scope: TaskScope) => readonly string[]) | null;
  /** Ids of tasks whose output the list is made of. */
  readonly forEach: {
    readonly from: readonly string[];
    readonly items: (scope: TaskScope) => readonly Json[];
  } | null;
  /**
   * The config of an instance, rendered and parsed by the kind's schema. Throws
   * `template_value`, `definition_invalid`.
   */
  readonly config: (scope: TaskScope) => unknown;
}

export interface BatchProgram {
  readonly job: BatchJob;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** In the order of the document; `index` is the position. */
  readonly tasks: readonly CompiledTask[];
  /** Renders one text with `{{ }}` inside; a text that is one `{{ }}` alone keeps its type. */
  render(text: string, scope: TaskScope): Json;
  /** What a text with `{{ }}` binds: the text with `$1`, `$2`, … and the values, in order. */
  bind(text: string, scope: TaskScope): { readonly text: string; readonly values: readonly Json[] };
}
