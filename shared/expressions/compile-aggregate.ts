/**
 * Expressions over aggregates: `avg(payload.rms)`, `sum(payload.ok) / count()`,
 * `quantile(payload.rms, 0.95) > params.limit`.
 *
 * Each aggregate call becomes a slot. Its arguments are expressions over the record; the expression
 * around them runs on the slots' values when the window fires. A column that is one bare call has no
 * expression around it. `min` and `max` are aggregates with one argument, functions with more.
 */
import { type Expression, ExpressionSyntaxError, type ValueType } from './expression.ts';
import { type CompileOptions, expressionOf, makeScope } from './compile-expression.ts';
import { parseExpression } from './parse-expression.ts';
import { type CallNode, type CompiledNode, reject, type Scope } from './scope.ts';

export interface AggregateSignature {
  /** Fewest and most arguments. */
  readonly arity: readonly [number, number];
  readonly returns: ValueType;
}

export interface AggregateCall {
  readonly name: string;
  /** Over the record. Literal arguments have `constant`. */
  readonly args: readonly Expression[];
  /** As written, for errors and for sharing equal calls. */
  readonly text: string;
}

export interface AggregateExpression {
  readonly source: string;
  readonly type: ValueType;
  /** Equal calls are listed once. */
  readonly calls: readonly AggregateCall[];
  /** True when the expression is `calls[0]` alone. */
  readonly bare: boolean;
  /**
   * The column's value from the calls' results, in the order of `calls`. Throws `ExpressionError`,
   * for example where a result is null in arithmetic.
   */
  combine(results: readonly unknown[]): unknown;
}

export interface AggregateOptions extends CompileOptions {
  readonly aggregates: Readonly<Record<string, AggregateSignature>>;
}

/** Throws `ExpressionSyntaxError`; an expression without any aggregate is refused. */
export function compileAggregate(source: string, options: AggregateOptions): AggregateExpression {
  const ast = parseExpression(source);
  const calls: AggregateCall[] = [];
  const results: { values: readonly unknown[] } = { values: [] };
  const names = Object.keys(options.aggregates);
  const outer = { ...options, aggregateNames: names, outsideAggregates: true };
  const scope = makeScope(source, outer, (call, at) =>
    compileSlot(call, at, options, calls, results),
  );
  const node = scope.compile(ast);
  if (calls.length === 0) {
    throw new ExpressionSyntaxError(
      `no aggregate in "${source}"`,
      { start: 0, end: source.length },
      `for example last(${source}); aggregates: ${names.join(', ')}`,
    );
  }
  const whole = expressionOf(source, node, scope.meter);
  const bare = ast.op === 'call' && calls[0]?.text === source.slice(ast.start, ast.end);
  return {
    source,
    type: node.type,
    calls,
    bare,
    combine(values) {
      if (bare) return values[0];
      results.values = values;
      return whole.evaluate(OUTSIDE);
    },
  };
}

/** Outside of an aggregate there is no record: only slots and parameters are read. */
const OUTSIDE = {
  time: 0,
  payload: null,
  topic: '',
  meta: {},
  key: null,
  windowStart: null,
  windowEnd: null,
};

function compileSlot(
  ast: CallNode,
  scope: Scope,
  options: AggregateOptions,
  calls: AggregateCall[],
  results: { readonly values: readonly unknown[] },
): CompiledNode | undefined {
  const [name, args] = ast.args;
  if (!Object.hasOwn(options.aggregates, name)) return undefined;
  const signature = options.aggregates[name];
  if (signature === undefined) return undefined;
  const [fewest, most] = signature.arity;
  if ((name === 'min' || name === 'max') && args.length > 1) return undefined;
  if (args.length < fewest || args.length > most) {
    const wanted = fewest === most ? `${fewest}` : `${fewest} to ${most}`;
    return reject(ast, `${name}() takes ${wanted} arguments, not ${args.length}`);
  }
  if (scope.variables.length > 0) {
    return reject(ast, `${name}() cannot stand inside a macro`);
  }
  const text = scope.source.slice(ast.start, ast.end);
  let index = calls.findIndex((call) => call.text === text);
  if (index < 0) {
    const compiled = args.map((arg) => {
      // A scope of its own: no aggregate inside an aggregate, and a meter of its own.
      const inner = makeScope(scope.source, options, (nested) =>
        Object.hasOwn(options.aggregates, nested.args[0]) && nested.args[1].length <= 1
          ? reject(nested, `${nested.args[0]}() cannot stand inside ${name}()`)
          : undefined,
      );
      const node = inner.compile(arg);
      return expressionOf(scope.source.slice(arg.start, arg.end), node, inner.meter);
    });
    index = calls.push({ name, args: compiled, text }) - 1;
  }
  const at = index;
  return { type: signature.returns, text, run: () => results.values[at] };
}
