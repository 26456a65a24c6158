/**
 * What a kind of task declares: one file per kind in tasks/, listed in tasks/registry.ts. What runs
 * it is the agent's (`agent/batch/tasks/<kind>.ts`).
 */
import type { z } from 'zod';
import type { Json } from '../engine/record.ts';
import type { Path } from './path.ts';
import type { ComponentExample } from './source-definition.ts';
import type { Fields } from './strict.ts';

/** Something wrong inside of a task's settings. */
export interface TaskIssue {
  /** Below the settings of the kind: `['steps', 2, 'filter']`. */
  readonly path: Path;
  readonly message: string;
  readonly hint?: string;
}

export interface TaskSpec {
  /** The YAML key that names it. */
  readonly kind: string;
  readonly summary: string;
  readonly guarantees: readonly string[];
  /** What `tasks.<id>.output` holds, for the reference. */
  readonly output: string;
  readonly fields: Fields;
  /**
   * Fields whose text is not rendered: expressions, and SQL, in which `{{ }}` is bound as a value.
   * Paths below the task's settings: `query`, `mqtt.topicOf`, `checks.*.sql` (`*`: each item).
   */
  readonly raw?: readonly string[];
  /** Capabilities of an agent without which a job with such a task is not placed there. */
  readonly requires?: (config: never) => readonly string[];
  /**
   * Bytes that it bounds for a process of its own, before rendering (task-memory.ts): admission
   * counts at least that.
   */
  readonly memory?: (config: Readonly<Record<string, Json>>) => number;
  /** Ids of tasks whose table it reads (`input: daily`): they must be among its `needs`. */
  readonly reads?: (config: never) => readonly string[];
  /** Sources whose journal it reads: the job needs `history`, and the agent the source. */
  readonly journals?: (config: never) => readonly string[];
  /** Datasets that it updates. */
  readonly datasets?: (config: never) => readonly string[];
  /** What fields say together: the field at fault and what is wrong. */
  readonly problem?: (config: never) => readonly [field: string, message: string] | undefined;
  /**
   * What only compiling finds: expressions and steps inside of raw fields. Called at submit with
   * sample parameters, after the settings have passed their schema and `problem`.
   */
  readonly issues?: (
    config: never,
    parameters: Readonly<Record<string, unknown>>,
  ) => readonly TaskIssue[];
  readonly examples: readonly ComponentExample[];
}

type Output<Shape extends Fields> = { readonly [Key in keyof Shape]: z.output<Shape[Key]> };

type Checks<Shape extends Fields> = {
  readonly [Check in 'requires' | 'reads' | 'journals' | 'datasets']?: (
    config: Output<Shape>,
  ) => readonly string[];
};

/** Ties the checks to the fields. */
export function defineTask<const Shape extends Fields>(
  spec: Omit<TaskSpec, 'fields' | 'problem' | 'issues' | keyof Checks<Shape>> &
    Checks<Shape> & {
      readonly fields: Shape;
      readonly problem?: (
        config: Output<Shape>,
      ) => readonly [field: string, message: string] | undefined;
      readonly issues?: (
        config: Output<Shape>,
        parameters: Readonly<Record<string, unknown>>,
      ) => readonly TaskIssue[];
    },
): Omit<TaskSpec, 'fields'> & { readonly fields: Shape } {
  return spec;
}
