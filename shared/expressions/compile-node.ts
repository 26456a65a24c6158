/**
 * Syntax tree to closures, one construct after the other.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { compileBinary, compileNegation } from './arithmetic.ts';
import { compileCall, compileMethod } from './functions.ts';
import { compileLogic, compileNot, compileTernary } from './logic.ts';
import { type CompiledNode, folded, reject, type Scope, textOf } from './scope.ts';
import { compileIdentifier, compileIndex, compileSelect } from './select.ts';
import { typeOfConstant } from './values.ts';

export function compileNode(scope: Scope, ast: ASTNode): CompiledNode {
  switch (ast.op) {
    case 'value':
      return literal(scope, ast);
    case 'id':
      return compileIdentifier(scope, ast);
    case '.':
      return compileSelect(scope, ast);
    case '[]':
      return compileIndex(scope, ast);
    case 'call':
      return compileCall(scope, ast);
    case 'rcall':
      return compileMethod(scope, ast);
    case 'list':
      return list(scope, ast);
    case 'map':
      return map(scope, ast);
    case '?:':
      return compileTernary(scope, ast);
    case '&&':
    case '||':
      return compileLogic(scope, ast);
    case '!_':
      return compileNot(scope, ast);
    case '-_':
      return compileNegation(scope, ast);
    case '.?':
    case '[?]':
      return reject(ast, 'optional chaining is not part of this language', 'use has(x.y)');
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=':
    case 'in':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return compileBinary(scope, ast);
  }
}

function literal(scope: Scope, ast: Extract<ASTNode, { op: 'value' }>): CompiledNode {
  const value = plain(ast);
  return {
    type: typeOfConstant(value),
    text: textOf(scope, ast),
    run: () => value,
    constant: { value },
  };
}

/** JSON has doubles only: whole numbers beyond 2^53 would silently become others. */
function plain(ast: Extract<ASTNode, { op: 'value' }>): unknown {
  const value = ast.args;
  if (
    typeof value === 'bigint' ||
    (typeof value === 'object' && value !== null && !isBytes(value))
  ) {
    const number = Number(value.valueOf());
    if (!Number.isSafeInteger(number)) {
      reject(
        ast,
        'whole numbers are exact up to 2^53 only',
        `${String(value)}.0 is the nearest that there is; an exact id must be a text`,
      );
    }
    return number;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) reject(ast, 'the number is too large');
  return value;
}

function isBytes(value: object): value is Uint8Array {
  return value instanceof Uint8Array;
}

function list(scope: Scope, ast: Extract<ASTNode, { op: 'list' }>): CompiledNode {
  const items = ast.args.map((item) => scope.compile(item));
  const runs = items.map((item) => item.run);
  return folded(
    scope,
    {
      type: 'list',
      text: textOf(scope, ast),
      run: (subject) => runs.map((run) => run(subject)),
    },
    items,
  );
}

function map(scope: Scope, ast: Extract<ASTNode, { op: 'map' }>): CompiledNode {
  const names = new Set<string>();
  const entries = ast.args.map(([keyAst, valueAst]) => {
    const key = scope.compile(keyAst).constant?.value;
    if (typeof key !== 'string') return reject(keyAst, 'the keys of a map are literal texts');
    if (key === '__proto__') return reject(keyAst, '"__proto__" cannot be a key');
    if (names.has(key)) return reject(keyAst, `the key "${key}" is there twice`);
    names.add(key);
    return { key, node: scope.compile(valueAst) };
  });
  return folded(
    scope,
    {
      type: 'map',
      text: textOf(scope, ast),
      run: (subject) => {
        const result: Record<string, unknown> = {};
        for (const entry of entries) result[entry.key] = entry.node.run(subject);
        return result;
      },
    },
    entries.map((entry) => entry.node),
  );
}
