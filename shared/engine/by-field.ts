/** The `by:` of a step: one expression or a list of them, and the reader that it compiles to. */
import { z } from 'zod';
import { type KeyReader, ListKey, SingleKey } from './key.ts';
import type { CompileContext } from './operators/operator.ts';

export const byField = z.union([z.string(), z.array(z.string()).min(1).max(16)], {
  error: 'must be an expression or a list of expressions',
});
export type By = z.output<typeof byField>;

export function compileBy(
  by: By,
  path: readonly (string | number)[],
  context: CompileContext,
): KeyReader {
  if (typeof by === 'string') return new SingleKey(context.expression(by, path));
  return new ListKey(by.map((source, index) => context.expression(source, [...path, index])));
}
