/**
 * CEL (Common Expression Language), checked at submit and compiled to closures.
 *
 * cel-js parses; what runs is ours, because JSON's numbers are doubles and CEL's arithmetic has no
 * `double + int`, because integers would come back as BigInt, and because one closure per node is
 * several times as fast on the path of a record. Deviations from CEL, all on purpose:
 *
 * - There is one type of number, the double. `payload.t + 1`, `payload.n % 10` and `payload.n == 1`
 *   work; `/` never truncates. A result that is not finite is an error.
 * - Times are epoch milliseconds and durations milliseconds: plain numbers.
 * - `matches` takes RE2 patterns and runs in linear time.
 * - Only own properties exist; there are no messages, optionals or namespaces.
 *
 * A missing key, null where a value is needed, or a wrong type throws `ExpressionError` with a
 * stable reason. Values of different types are not equal; comparing them with `==` is no error.
 * Bounds: characters, nodes, depth, and the cost of one evaluation (limits.ts).
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { limits } from '../limits.ts';
import { compileNode } from './compile-node.ts';
import {
  type Expression,
  ExpressionSyntaxError,
  type Shape,
  type ValueType,
} from './expression.ts';
import { parseExpression } from './parse-expression.ts';
import { type CompiledNode, mayBe, Meter, type Run, type Scope } from './scope.ts';

export interface CompileOptions {
  readonly shape: Shape;
  /** Effective parameters: `params.x` becomes the value. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** What the expression must give; what is known to give something else is refused. */
  readonly expects?: ValueType;
}

/** Throws `ExpressionSyntaxError` with the position in `source`, a message and often a hint. */
export function compileExpression(source: string, options: CompileOptions): Expression {
  const ast = parseExpression(source);
  const scope = makeScope(source, options);
  const node = scope.compile(ast);
  const { expects } = options;
  if (expects !== undefined && !mayBe(node.type, expects)) {
    throw new ExpressionSyntaxError(
      `gives a ${node.type}, where a ${expects} is needed`,
      { start: 0, end: source.length },
      expects === 'bool' ? 'compare it: for example payload.level > 10' : undefined,
    );
  }
  return expressionOf(source, node, scope.meter);
}

function makeScope(source: string, options: CompileOptions): Scope {
  const base = {
    source,
    shape: options.shape,
    parameters: options.parameters ?? {},
    meter: new Meter(),
  };
  const within = (variables: Scope['variables']): Scope => {
    const scope: Scope = {
      ...base,
      variables,
      compile: (ast: ASTNode) => compileNode(scope, ast),
      compileWith: (name, slot, ast) => compileNode(within([...variables, { name, slot }]), ast),
    };
    return scope;
  };
  return within([]);
}

/** Only an expression that can repeat or work through texts pays for the meter. */
function expressionOf(source: string, node: CompiledNode, meter: Meter): Expression {
  const { run } = node;
  const metered: Run = (subject) => {
    meter.left = limits.expressionCostMax;
    return run(subject);
  };
  return {
    source,
    type: node.type,
    ...(node.constant === undefined ? {} : { constant: node.constant }),
    evaluate: meter.used ? metered : run,
  };
}
