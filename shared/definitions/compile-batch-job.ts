/**
 * A batch job with the parameters of one run to a `BatchProgram`: pure, holds no state, and is let
 * go with the run.
 */
import type { Json } from '../engine/record.ts';
import { DefinitionError, type DefinitionIssue, RunnelError } from '../errors.ts';
import type { BatchJob, TaskDefinition } from './batch-job.ts';
import type { BatchProgram, CompiledTask, TaskScope } from './batch-program.ts';
import {
  makeTemplate,
  RenderBudget,
  type Template,
  templatePieces,
  valueOf,
} from './batch-template.ts';
import { sqlPieces } from './sql-binding.ts';
import { issueAt } from './strict.ts';
import { TaskCompiler } from './task-compiler.ts';
import { compileTaskExpression, type TaskExpression } from './task-expression.ts';
import { TaskGraph } from './task-graph.ts';
import { tasks as taskSpecs } from './tasks/registry.ts';

/** `parameters` are effective: checked and converted. Throws `DefinitionError`. */
export function compileBatchJob(
  job: BatchJob,
  parameters: Readonly<Record<string, unknown>>,
): BatchProgram {
  const issues: DefinitionIssue[] = [];
  const graph = new TaskGraph(job.tasks);
  const dependents = dependentsOf(job.tasks);
  const taskIds = job.tasks.map(({ id }) => id);
  const indexes = new Map(taskIds.map((id, index) => [id, index]));
  const tasks = job.tasks.map((definition, index): CompiledTask => {
    const spec = taskSpecs.find(({ kind }) => kind === definition.kind);
    if (spec === undefined && definition.kind !== 'none') {
      issues.push(issueAt(definition.path, `this release has no task "${definition.kind}"`));
    }
    const behind = dependents.get(definition.id) ?? [];
    const site = {
      parameters,
      graph,
      taskIds,
      dependents: behind.map((each) => taskIds[each] ?? ''),
    };
    const compiler = new TaskCompiler(definition, spec, site, issues);
    return {
      definition,
      spec,
      index,
      needs: definition.needs.map((id) => indexes.get(id) ?? -1).toSorted((a, b) => a - b),
      dependents: behind,
      isLeaf: definition.teardown.length === 0 && !behind.some((each) => isOrdinary(job, each)),
      when: compiler.when(),
      branch: compiler.branch(),
      forEach: compiler.forEach(),
      config: compiler.config(),
    };
  });
  if (issues.length > 0) throw new DefinitionError(issues);
  return { job, parameters, tasks, ...textsOf(taskIds, parameters) };
}

function isOrdinary(job: BatchJob, index: number): boolean {
  return job.tasks[index]?.teardown.length === 0;
}

/** Indexes of the tasks that need each, ascending. */
export function dependentsOf(
  tasks: readonly TaskDefinition[],
): ReadonlyMap<string, readonly number[]> {
  const dependents = new Map<string, number[]>();
  for (const [index, { needs }] of tasks.entries()) {
    for (const need of new Set(needs)) {
      const list = dependents.get(need);
      if (list === undefined) dependents.set(need, [index]);
      else list.push(index);
    }
  }
  return dependents;
}

/**
 * Texts that came out of settings: they were checked at their place when the job was compiled, so
 * here every name is allowed, and what is not there fails when it is evaluated.
 */
function textsOf(
  taskIds: readonly string[],
  parameters: Readonly<Record<string, unknown>>,
): Pick<BatchProgram, 'render' | 'bind'> {
  const templates = new Map<string, Template>();
  const bound = new Map<string, { text: string; values: readonly TaskExpression[] }>();
  const compile = (source: string): TaskExpression =>
    compileTaskExpression(source, { parameters, taskIds, hasItem: true, upstream: () => true });
  return {
    render(text, scope) {
      let template = templates.get(text);
      if (template === undefined) {
        template = makeTemplate(soundPieces(templatePieces(text)), compile);
        templates.set(text, template);
      }
      return template.render(scope, new RenderBudget());
    },
    bind(text, scope) {
      let sql = bound.get(text);
      if (sql === undefined) {
        const pieces = soundPieces(sqlPieces(text));
        sql = { text: pieces.text, values: pieces.sources.map(compile) };
        bound.set(text, sql);
      }
      return { text: sql.text, values: valuesOf(sql.values, scope) };
    },
  };
}

function valuesOf(expressions: readonly TaskExpression[], scope: TaskScope): readonly Json[] {
  const budget = new RenderBudget();
  return expressions.map((expression) => valueOf(expression, scope, budget));
}

function soundPieces<T>(pieces: T): Exclude<T, { problem: string }> {
  if (typeof pieces === 'object' && pieces !== null && 'problem' in pieces) {
    const { problem, hint } = pieces as unknown as { problem: string; hint: string };
    throw new RunnelError('definition_invalid', problem, { hint });
  }
  return pieces as Exclude<T, { problem: string }>;
}
