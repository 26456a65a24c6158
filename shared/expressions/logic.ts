/**
 * `&&`, `||`, `!` and `? :`.
 *
 * As in CEL, `&&` and `||` are commutative about errors: a side that decides the answer absorbs the
 * other's failure, whichever comes first, so `payload.a > 1 || payload.b > 1` is true when `b` is
 * large and `a` is missing. Exceeding the cost bound is never absorbed.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError, type Subject, type ValueType } from './expression.ts';
import {
  type CompiledNode,
  expectType,
  folded,
  isNumeric,
  type Run,
  type Scope,
  textOf,
} from './scope.ts';
import { wrongType } from './values.ts';

export function compileLogic(
  scope: Scope,
  ast: Extract<ASTNode, { op: '&&' | '||' }>,
): CompiledNode {
  const [leftAst, rightAst] = ast.args;
  const left = scope.compile(leftAst);
  const right = scope.compile(rightAst);
  expectType(leftAst, left, 'bool', `the left side of ${ast.op}`);
  expectType(rightAst, right, 'bool', `the right side of ${ast.op}`);
  const run = ast.op === '&&' ? decide(left, right, false) : decide(left, right, true);
  return folded(scope, { type: 'bool', text: textOf(scope, ast), run }, [left, right]);
}

/** `decisive` is the value that settles it alone: false for `&&`, true for `||`. */
function decide(left: CompiledNode, right: CompiledNode, decisive: boolean): Run {
  const a = left.run;
  const b = right.run;
  return (subject) => {
    let value: unknown;
    try {
      value = a(subject);
      if (typeof value !== 'boolean') wrongType(value, left.text, 'a bool');
    } catch (error) {
      return absorb(error, right, subject, decisive);
    }
    if (value === decisive) return decisive;
    const other = b(subject);
    return typeof other === 'boolean' ? other : wrongType(other, right.text, 'a bool');
  };
}

function absorb(error: unknown, right: CompiledNode, subject: Subject, decisive: boolean): boolean {
  if (!isAbsorbable(error)) throw error;
  try {
    if (right.run(subject) === decisive) return decisive;
  } catch (second) {
    if (!isAbsorbable(second)) throw second;
  }
  throw error;
}

export function isAbsorbable(error: unknown): error is ExpressionError {
  return error instanceof ExpressionError && error.reason !== 'cost_exceeded';
}

export function compileNot(scope: Scope, ast: Extract<ASTNode, { op: '!_' }>): CompiledNode {
  const operand = scope.compile(ast.args);
  expectType(ast.args, operand, 'bool', 'what follows "!"');
  const { run } = operand;
  const not: Run = (subject) => {
    const value = run(subject);
    return typeof value === 'boolean' ? !value : wrongType(value, operand.text, 'a bool');
  };
  return folded(scope, { type: 'bool', text: textOf(scope, ast), run: not }, [operand]);
}

export function compileTernary(scope: Scope, ast: Extract<ASTNode, { op: '?:' }>): CompiledNode {
  const [conditionAst, thenAst, otherwiseAst] = ast.args;
  const condition = scope.compile(conditionAst);
  const yes = scope.compile(thenAst);
  const no = scope.compile(otherwiseAst);
  expectType(conditionAst, condition, 'bool', 'the condition before "?"');
  // A parameter may settle it at submit; then only the branch taken must be constant to be folded.
  if (condition.constant?.value === true) return { ...yes, text: textOf(scope, ast) };
  if (condition.constant?.value === false) return { ...no, text: textOf(scope, ast) };
  const a = condition.run;
  const b = yes.run;
  const c = no.run;
  const run: Run = (subject) => {
    const value = a(subject);
    if (value === true) return b(subject);
    return value === false ? c(subject) : wrongType(value, condition.text, 'a bool');
  };
  return { type: common(yes.type, no.type), text: textOf(scope, ast), run };
}

function common(left: ValueType, right: ValueType): ValueType {
  if (left === right) return left;
  return isNumeric(left) && isNumeric(right) ? 'number' : 'dyn';
}
