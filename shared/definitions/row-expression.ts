/**
 * Expressions in a task's settings that are evaluated on what only the attempt sees: `row`, or the
 * `response` of a page. They are not rendered with the other texts of the task; at submit they are
 * compiled with sample parameters (`issues` of the task's spec), on the device with the run's.
 */
import { z } from 'zod';
import { compileExpression } from '../expressions/compile-expression.ts';
import {
  type Expression,
  ExpressionSyntaxError,
  type ValueType,
} from '../expressions/expression.ts';
import { limits } from '../limits.ts';
import type { Path } from './path.ts';
import type { TaskIssue } from './task-definition.ts';

/** Names that such an expression may use, beside `params`. */
export type RowNames = Readonly<Record<string, ValueType>>;
export const ROW_NAMES = { row: 'map' } as const satisfies RowNames;
/** `response` is `{ status, headers, body, rows }`: `rows` is how many the page had. */
export const RESPONSE_NAMES = { response: 'map' } as const satisfies RowNames;

export const rowExpression = z.string().min(1).max(limits.expressionCharsMax);

type Parameters = Readonly<Record<string, unknown>>;

/** Throws `ExpressionSyntaxError`. */
export function compileRowExpression(
  source: string,
  names: RowNames,
  parameters: Parameters,
): Expression {
  const shape = { kind: 'row', columns: names, columnsOnly: true } as const;
  return compileExpression(source, { shape, parameters });
}

export interface RowExpression {
  readonly path: Path;
  readonly source: string | undefined;
  readonly names: RowNames;
}

/** What is wrong with expressions of a task's settings; those that are not there are left out. */
export function rowExpressionIssues(
  expressions: readonly RowExpression[],
  parameters: Parameters,
): readonly TaskIssue[] {
  return expressions.flatMap(({ path, source, names }): TaskIssue[] => {
    if (source === undefined) return [];
    try {
      compileRowExpression(source, names, parameters);
      return [];
    } catch (error) {
      if (!(error instanceof ExpressionSyntaxError)) throw error;
      const { message, hint } = error;
      return [{ path, message, ...(hint !== undefined && { hint }) }];
    }
  });
}
