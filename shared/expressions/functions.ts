/**
 * Every function of expressions, and how a call of one is checked and compiled.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { aggregates } from '../engine/aggregates/registry.ts';
import { conversionFunctions } from './conversion-functions.ts';
import type { FunctionSpec } from './function-spec.ts';
import { compileMacro, MACROS } from './macros.ts';
import { numberFunctions } from './number-functions.ts';
import {
  type CallNode,
  type CompiledNode,
  expectType,
  folded,
  reject,
  type Scope,
  textOf,
} from './scope.ts';
import { compileHas } from './select.ts';
import { nearest } from './suggest.ts';
import { textFunctions } from './text-functions.ts';
import { timeFunctions } from './time-functions.ts';

export const functions: readonly FunctionSpec[] = [
  ...textFunctions,
  ...numberFunctions,
  ...timeFunctions,
  ...conversionFunctions,
];

const byName = new Map(functions.map((spec) => [spec.name, spec]));

/** `f(x)`. */
export function compileCall(scope: Scope, ast: CallNode): CompiledNode {
  const [name, args] = ast.args;
  if (name === 'has') return compileHas(scope, ast, args);
  const spec = byName.get(name);
  if (spec === undefined) return unknownFunction(ast, name);
  if (spec.form === 'method') {
    return reject(ast, `${name}() is written after a dot`, `for example ${spec.example}`);
  }
  return compileFunction(scope, ast, spec, args);
}

/** `x.f(y)`. */
export function compileMethod(scope: Scope, ast: Extract<ASTNode, { op: 'rcall' }>): CompiledNode {
  const [name, target, args] = ast.args;
  if (Object.hasOwn(MACROS, name)) return compileMacro(scope, ast);
  const spec = byName.get(name);
  if (spec === undefined) return unknownFunction(ast, name);
  if (spec.form === 'function') {
    return reject(ast, `${name}() is not written after a dot`, `for example ${spec.example}`);
  }
  return compileFunction(scope, ast, spec, [target, ...args]);
}

function unknownFunction(ast: ASTNode, name: string): never {
  if (aggregates.some((aggregate) => aggregate.name === name)) {
    return reject(ast, `${name}() is an aggregate`, 'aggregates belong under aggregate:');
  }
  const names = [...byName.keys(), ...Object.keys(MACROS), 'has'];
  const near = nearest(name, names);
  return reject(
    ast,
    `unknown function ${name}()`,
    near === undefined ? undefined : `did you mean ${near}()?`,
  );
}

function compileFunction(
  scope: Scope,
  ast: ASTNode,
  spec: FunctionSpec,
  asts: readonly ASTNode[],
): CompiledNode {
  checkCount(ast, spec, asts.length);
  const args = asts.map((arg, index) => {
    const node = scope.compile(arg);
    const wanted = spec.arguments[Math.min(index, spec.arguments.length - 1)] ?? 'dyn';
    expectType(arg, node, wanted, `argument ${index + 1} of ${spec.name}()`);
    return node;
  });
  const text = textOf(scope, ast);
  const run = spec.build(args, {
    text,
    meter: scope.meter,
    asts,
    rejectArgument: (index, message, hint) => reject(asts[index] ?? ast, message, hint),
  });
  return folded(scope, { type: spec.returns, text, run }, args);
}

function checkCount(ast: ASTNode, spec: FunctionSpec, count: number): void {
  const max = spec.variadic === true ? Infinity : spec.arguments.length;
  const min = spec.variadic === true ? 1 : max - (spec.optional ?? 0);
  if (count >= min && count <= max) return;
  reject(
    ast,
    `${spec.name}() does not take ${count - (spec.form === 'method' ? 1 : 0)} arguments`,
    `for example ${spec.example}`,
  );
}
