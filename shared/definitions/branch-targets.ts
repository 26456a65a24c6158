/** The ids that a `branch` names in its own text, where they can be told without running it. */
import type { ASTNode } from '@marcbachmann/cel-js';

export function branchTargets(node: ASTNode): string[] {
  if (node.op === 'value') return typeof node.args === 'string' ? [node.args] : [];
  if (node.op === 'list') return node.args.flatMap((item) => branchTargets(item));
  if (node.op === '?:') return node.args.slice(1).flatMap((choice) => branchTargets(choice));
  return [];
}
