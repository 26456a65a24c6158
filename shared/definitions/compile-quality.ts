/** What of quality checks is compiled: expressions over a row, and measures of the table. */
import type { AggregationPlan } from '../engine/aggregates/aggregation.ts';
import type { DefinitionIssue } from '../errors.ts';
import { compileExpression } from '../expressions/compile-expression.ts';
import { type Expression, ExpressionSyntaxError } from '../expressions/expression.ts';
import { compileColumnAggregation } from './column-aggregation.ts';
import { type QualityCheck } from './quality-checks.ts';
import type { TaskIssue } from './task-definition.ts';

/** Throws `ExpressionSyntaxError`. The subject's `payload` is `{ row }`. */
export function compileRowCheck(
  source: string,
  parameters: Readonly<Record<string, unknown>>,
): Expression {
  const shape = { kind: 'row', columns: { row: 'dyn' }, columnsOnly: true } as const;
  return compileExpression(source, { shape, parameters, expects: 'bool' });
}

/** `rowCount` is `count()`; the plan has the one column `value`. */
export function compileMeasure(
  measure: string,
  parameters: Readonly<Record<string, unknown>>,
  issues: DefinitionIssue[],
): AggregationPlan {
  const value = measure === 'rowCount' ? 'count()' : measure;
  return compileColumnAggregation({ value }, parameters, issues);
}

export function qualityIssues(
  { checks }: { readonly checks: readonly QualityCheck[] },
  parameters: Readonly<Record<string, unknown>>,
): TaskIssue[] {
  return checks.flatMap(({ expression, anomaly }, index) => {
    const found: TaskIssue[] = [];
    if (expression !== undefined) {
      try {
        compileRowCheck(expression, parameters);
      } catch (error) {
        if (!(error instanceof ExpressionSyntaxError)) throw error;
        found.push(taskIssue(['checks', index, 'expression'], error));
      }
    }
    if (anomaly !== undefined) {
      const issues: DefinitionIssue[] = [];
      compileMeasure(anomaly.measure, parameters, issues);
      for (const each of issues)
        found.push(taskIssue(['checks', index, 'anomaly', 'measure'], each));
    }
    return found;
  });
}

function taskIssue(
  path: TaskIssue['path'],
  { message, hint }: { readonly message: string; readonly hint?: string | undefined },
): TaskIssue {
  return { path, message, ...(hint === undefined ? {} : { hint }) };
}
