/** Where in a JSON value the rows are. */
import { compileRowExpression, RESPONSE_NAMES } from '@runnel/shared/definitions/row-expression.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { ExpressionError } from '@runnel/shared/expressions/expression.ts';
import { TaskError } from '../tasks/task-error.ts';
import { subjectOf } from './cursor.ts';
import { isRow } from './rows.ts';

export type ListOf = (body: Json, facts?: object) => readonly Json[];

/**
 * By the expression, or the value itself when it is a list, or the only list in it. An empty body
 * has no rows. Throws a `TaskError` (`data`).
 */
export function listBy(
  source: string | undefined,
  parameters: Readonly<Record<string, unknown>>,
): ListOf {
  if (source === undefined) return onlyList;
  const expression = compileRowExpression(source, RESPONSE_NAMES, parameters);
  return (body, facts = {}) => {
    let value: unknown;
    try {
      value = expression.evaluate(subjectOf({ response: { ...facts, body } }));
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      throw new TaskError('data', 'rows_expression', `rows ${source}: ${messageOf(error)}`);
    }
    if (Array.isArray(value)) return value as Json[];
    throw new TaskError('data', 'rows_expression', `rows ${source} gives no list`);
  };
}

function onlyList(body: Json): readonly Json[] {
  if (body === null) return [];
  if (Array.isArray(body)) return body;
  const lists = isRow(body) ? Object.values(body).filter((value) => Array.isArray(value)) : [];
  const [list, another] = lists;
  if (list !== undefined && another === undefined) return list as Json[];
  const found = list === undefined ? 'no list' : 'several lists';
  throw new TaskError('data', 'rows_expression', `the answer has ${found}`, {
    hint: 'Say where the rows are: rows: response.body.items.',
  });
}
