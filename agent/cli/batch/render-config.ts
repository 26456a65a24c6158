/** Settings of a task with its templates rendered, as far as they are known before the run. */
import type { BatchProgram, TaskScope } from '@runnel/shared/definitions/batch-program.ts';
import {
  isTemplate,
  makeTemplate,
  RenderBudget,
  templatePieces,
} from '@runnel/shared/definitions/batch-template.ts';
import { sqlPieces } from '@runnel/shared/definitions/sql-binding.ts';
import {
  compileTaskExpression,
  type TaskExpression,
} from '@runnel/shared/definitions/task-expression.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { RunnelError } from '@runnel/shared/errors.ts';

export interface RenderedConfig {
  /** With what only the run knows as it is written. */
  readonly config: Json;
  /** Values that are bound in SQL, where they are known. */
  readonly bound: readonly { readonly expression: string; readonly value: Json }[];
}

export function renderedConfig(
  config: Json,
  raw: readonly string[],
  program: BatchProgram,
  scope: TaskScope,
): RenderedConfig {
  const bound = new Map<string, Json>();
  const compile = (source: string): TaskExpression =>
    compileTaskExpression(source, {
      parameters: program.parameters,
      taskIds: program.tasks.map(({ definition }) => definition.id),
      hasItem: true,
      upstream: () => true,
    });
  const text = (value: string): Json => {
    const pieces = templatePieces(value);
    if ('problem' in pieces) return value;
    const template = makeTemplate(pieces, compile);
    return template.isKnown
      ? (rendered(() => template.render(scope, new RenderBudget())) ?? value)
      : value;
  };
  const bind = (value: string): void => {
    const pieces = sqlPieces(value);
    if ('problem' in pieces) return;
    for (const source of pieces.sources) {
      const found = text(`{{ ${source} }}`);
      if (found !== `{{ ${source} }}`) bound.set(source, found);
    }
  };
  const walk = (value: Json, path: readonly string[]): Json => {
    if (typeof value === 'string') {
      if (!isTemplate(value)) return value;
      if (!raw.some((pattern) => isWithin(path, pattern))) return text(value);
      bind(value);
      return value;
    }
    if (Array.isArray(value)) return value.map((item) => walk(item, [...path, '*']));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, walk(each, [...path, key])]),
    );
  };
  const shown = walk(config, []);
  return {
    config: shown,
    bound: [...bound].map(([expression, value]) => ({ expression, value })),
  };
}

/** Undefined for what fails with the values of this run: it stays as written, and fails there. */
function rendered(render: () => Json): Json | undefined {
  try {
    return render();
  } catch (error) {
    if (error instanceof RunnelError) return undefined;
    throw error;
  }
}

/** As the parser has it: `query`, `postgres.query`, `checks.*.sql`, and all that is in it. */
function isWithin(path: readonly string[], pattern: string): boolean {
  return pattern.split('.').every((key, index) => key === path[index]);
}
