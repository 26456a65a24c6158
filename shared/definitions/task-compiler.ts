/**
 * One task of a batch job with its parameters: expressions and templates to closures, every mistake
 * to an issue at its place. Used at submit, where it also tells the facts about the task, and on
 * the device for every run.
 */
import type { Json } from '../engine/record.ts';
import { type DefinitionIssue, RunnelError } from '../errors.ts';
import { ExpressionError, ExpressionSyntaxError } from '../expressions/expression.ts';
import { parseExpression } from '../expressions/parse-expression.ts';
import { suggestion } from '../expressions/suggest.ts';
import type { TaskDefinition } from './batch-job.ts';
import type { CompiledTask, TaskScope } from './batch-program.ts';
import { isTemplate, makeTemplate, templatePieces } from './batch-template.ts';
import type { Path } from './path.ts';
import { sqlPieces } from './sql-binding.ts';
import { issueAt } from './strict.ts';
import { JsonTemplate, taskConfigOf, type TextCompiler } from './task-config.ts';
import type { TaskSpec } from './task-definition.ts';
import {
  compileTaskExpression,
  type ExpressionSite,
  type TaskExpression,
} from './task-expression.ts';
import { branchTargets } from './branch-targets.ts';
import type { TaskGraph } from './task-graph.ts';

export interface TaskSite {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly unset?: ReadonlySet<string>;
  readonly graph: TaskGraph;
  readonly taskIds: readonly string[];
  /** Ids of the tasks that need it. */
  readonly dependents: readonly string[];
}

export type TaskParts = Pick<CompiledTask, 'when' | 'branch' | 'forEach' | 'config'>;

export class TaskCompiler {
  readonly #task: TaskDefinition;
  readonly #spec: TaskSpec | undefined;
  readonly #site: TaskSite;
  readonly #issues: DefinitionIssue[];

  constructor(
    task: TaskDefinition,
    spec: TaskSpec | undefined,
    site: TaskSite,
    issues: DefinitionIssue[],
  ) {
    this.#task = task;
    this.#spec = spec;
    this.#site = site;
    this.#issues = issues;
  }

  when(): CompiledTask['when'] {
    const expression = this.#expression('when', { expects: 'bool' });
    if (expression === undefined) return null;
    return (scope) => {
      const value = evaluated('when', expression, scope);
      if (typeof value === 'boolean') return value;
      throw wrongValue('when', expression, 'true or false', value);
    };
  }

  branch(): CompiledTask['branch'] {
    const expression = this.#expression('branch', { ownOutput: true });
    if (expression === undefined) return null;
    const { dependents } = this.#site;
    for (const target of branchTargets(parseExpression(expression.source))) {
      if (dependents.length === 0 || dependents.includes(target)) continue;
      const path = [...this.#task.path, 'branch'];
      const message = `no task named "${target}" stands behind this one`;
      this.#issues.push(issueAt(path, message, suggestion(target, dependents)));
    }
    return (scope) => {
      const value = evaluated('branch', expression, scope);
      const ids: unknown[] = Array.isArray(value) ? value : [value];
      if (ids.every((id) => typeof id === 'string')) return ids;
      throw wrongValue('branch', expression, 'the id of a task, or a list of them', value);
    };
  }

  forEach(): CompiledTask['forEach'] {
    const { forEach, path } = this.#task;
    if (forEach === null) return null;
    if (typeof forEach !== 'string') {
      const list = new JsonTemplate(
        forEach,
        { path: [...path, 'forEach'], raw: [], texts: this.#texts(false) },
        this.#issues,
      );
      const from = new Set(list.templates.flatMap(({ template }) => template.tasks));
      return { from: [...from], items: (scope) => list.render(scope) as readonly Json[] };
    }
    const expression = this.#expression('forEach', { expects: 'list' });
    if (expression === undefined) return null;
    return {
      from: expression.tasks,
      items: (scope) => {
        const value = evaluated('forEach', expression, scope);
        if (Array.isArray(value)) return value as readonly Json[];
        throw wrongValue('forEach', expression, 'a list', value);
      },
    };
  }

  /** The settings with their templates; undefined for a task without work of its own. */
  settings(): JsonTemplate | undefined {
    const spec = this.#spec;
    if (spec === undefined) return undefined;
    return new JsonTemplate(
      this.#task.config,
      {
        path: [...this.#task.path, spec.kind],
        raw: spec.raw ?? [],
        texts: this.#texts(this.#task.forEach !== null),
      },
      this.#issues,
    );
  }

  config(): CompiledTask['config'] {
    const spec = this.#spec;
    const settings = this.settings();
    if (spec === undefined || settings === undefined) return () => null;
    const path = [...this.#task.path, spec.kind];
    if (settings.templates.length > 0) {
      return (scope) => taskConfigOf(spec, settings.render(scope), path);
    }
    // The same for every instance of a list of a thousand.
    let parsed: { readonly value: unknown } | undefined;
    return () => {
      parsed ??= { value: taskConfigOf(spec, this.#task.config, path) };
      return parsed.value;
    };
  }

  /** An expression of the task's settings. Throws `ExpressionSyntaxError`. */
  compile(source: string, hasItem: boolean, options: Partial<Site> = {}): TaskExpression {
    const { parameters, graph, taskIds, unset } = this.#site;
    const { id } = this.#task;
    const { expects, ownOutput = false } = options;
    const site: ExpressionSite = {
      parameters,
      taskIds,
      hasItem,
      upstream: (other) => graph.isBefore(other, id) || (ownOutput && other === id),
      ...(unset === undefined ? {} : { unset }),
      ...(expects === undefined ? {} : { expects }),
    };
    return compileTaskExpression(source, site);
  }

  #expression(
    field: 'when' | 'branch' | 'forEach',
    options: Partial<Site>,
  ): TaskExpression | undefined {
    const source = this.#task[field];
    if (typeof source !== 'string') return undefined;
    const path = [...this.#task.path, field];
    try {
      return this.compile(source, false, options);
    } catch (error) {
      if (!(error instanceof ExpressionSyntaxError)) throw error;
      const hint = isTemplate(source) ? 'this is an expression: leave {{ }} out' : error.hint;
      this.#issues.push(issueAt(path, error.message, hint));
      return undefined;
    }
  }

  #texts(hasItem: boolean): TextCompiler {
    return {
      template: (text, path) => {
        const pieces = templatePieces(text);
        if ('problem' in pieces) {
          this.#issues.push(issueAt(path, pieces.problem, pieces.hint));
          return undefined;
        }
        return this.#guarded(path, () =>
          makeTemplate(pieces, (source) => this.#inText(source, hasItem)),
        );
      },
      bound: (text, path) => {
        const pieces = sqlPieces(text);
        if ('problem' in pieces) {
          this.#issues.push(issueAt(path, pieces.problem, pieces.hint));
          return;
        }
        for (const source of pieces.sources) {
          this.#guarded(path, () => this.#inText(source, hasItem));
        }
      },
    };
  }

  /** The message of an expression inside of a text says which one it is. */
  #inText(source: string, hasItem: boolean): TaskExpression {
    try {
      return this.compile(source, hasItem);
    } catch (error) {
      if (!(error instanceof ExpressionSyntaxError)) throw error;
      throw new ExpressionSyntaxError(`{{ ${source} }}: ${error.message}`, error, error.hint);
    }
  }

  #guarded<T>(path: Path, compile: () => T): T | undefined {
    try {
      return compile();
    } catch (error) {
      if (!(error instanceof ExpressionSyntaxError)) throw error;
      this.#issues.push(issueAt(path, error.message, error.hint));
      return undefined;
    }
  }
}

interface Site {
  readonly expects: NonNullable<ExpressionSite['expects']>;
  /** It is evaluated when the task has succeeded. */
  readonly ownOutput: boolean;
}

function evaluated(field: string, expression: TaskExpression, scope: TaskScope): unknown {
  try {
    return expression.evaluate(scope);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new RunnelError(error.code, `${field} "${expression.source}": ${error.message}`, {
      cause: error,
    });
  }
}

function wrongValue(
  field: string,
  expression: TaskExpression,
  wanted: string,
  value: unknown,
): RunnelError {
  const found = value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  const message = `${field} "${expression.source}" gives ${found}, where ${wanted} is needed`;
  return new RunnelError('expression_wrong_type', message);
}
