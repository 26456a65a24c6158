/**
 * Aggregates over the columns of a table: `avg(rms)`. Which columns a table has is known only when
 * it is there, so every name in an expression is taken for a column; a row that lacks it fails.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { AggregationPlan } from '../engine/aggregates/aggregation.ts';
import { compileAggregation } from '../engine/aggregates/compile-aggregation.ts';
import type { CompileContext } from '../engine/operators/operator.ts';
import type { DefinitionIssue } from '../errors.ts';
import { compileExpression } from '../expressions/compile-expression.ts';
import {
  ExpressionError,
  type Expression,
  ExpressionSyntaxError,
  type ValueType,
} from '../expressions/expression.ts';
import { parseExpression } from '../expressions/parse-expression.ts';
import { type Path, pathText } from './path.ts';

/** Throws `ExpressionSyntaxError`. The subject's `payload` is the row. */
export function compileColumnExpression(
  source: string,
  parameters: Readonly<Record<string, unknown>>,
  expects?: ValueType,
): Expression {
  const names = new Set<string>();
  collectNames(parseExpression(source), names);
  names.delete('params');
  const columns = Object.fromEntries([...names].map((name) => [name, 'dyn' as const]));
  const shape = { kind: 'row', columns } as const;
  return compileExpression(source, {
    shape,
    parameters,
    ...(expects === undefined ? {} : { expects }),
  });
}

/** The columns of an `aggregate:`; what is wrong with one is added to `issues` below `path`. */
export function compileColumnAggregation(
  columns: Readonly<Record<string, string>>,
  parameters: Readonly<Record<string, unknown>>,
  issues: DefinitionIssue[],
): AggregationPlan {
  const issue = (path: Path, message: string, hint?: string): void => {
    issues.push({ path: pathText(path), message, ...(hint === undefined ? {} : { hint }) });
  };
  const context: CompileContext = {
    stepId: '',
    input: { kind: 'row', columns: {} },
    inputRevises: false,
    inputPerKey: false,
    parameters,
    issue,
    expression: (source, path, options) => {
      try {
        if (options?.shape === undefined) {
          return compileColumnExpression(source, parameters, options?.expects);
        }
        return compileExpression(source, { shape: options.shape, parameters });
      } catch (error) {
        if (!(error instanceof ExpressionSyntaxError)) throw error;
        issue(path, error.message, error.hint);
        return failing(source);
      }
    },
  };
  return compileAggregation(columns, context);
}

/** Stands for an expression that does not compile, so that the rest is still looked at. */
function failing(source: string): Expression {
  return {
    source,
    type: 'dyn',
    evaluate: () => {
      throw new ExpressionError('invalid', `${source} does not compile`);
    },
  };
}

/** Variables of macros are among them, which does no harm: they are looked up first. */
function collectNames(node: unknown, names: Set<string>): void {
  if (Array.isArray(node)) {
    for (const each of node) collectNames(each, names);
    return;
  }
  if (typeof node !== 'object' || node === null || !('op' in node)) return;
  const { op, args } = node as ASTNode;
  if (op === 'id') names.add(args);
  else collectNames(args, names);
}
