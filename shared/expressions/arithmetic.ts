/**
 * `+ - * / %`, unary minus, comparison and equality.
 *
 * Numbers are doubles: JSON has no integers, so `payload.n / 2` never truncates and `1 / 2` is 0.5.
 * A result that is no finite number is an error, hence no NaN ever enters a window or a comparison.
 * A constant operand gets its own closure, since most comparisons have one.
 */
import type { ASTNode, BinaryOperator } from '@marcbachmann/cel-js';
import { limits } from '../limits.ts';
import type { ValueType } from './expression.ts';
import {
  type CompiledNode,
  folded,
  isNumeric,
  mayBe,
  reject,
  type Run,
  type Scope,
  textOf,
} from './scope.ts';
import { membership } from './select.ts';
import { equals, failure, wrongType } from './values.ts';

type BinaryNode = Extract<ASTNode, { op: BinaryOperator }>;

export function compileBinary(scope: Scope, ast: BinaryNode): CompiledNode {
  const [leftAst, rightAst] = ast.args;
  const left = scope.compile(leftAst);
  const right = scope.compile(rightAst);
  const text = textOf(scope, ast);
  const node = {
    type: typeOfBinary(ast, left, right),
    text,
    run: runBinary(scope, ast, left, right),
  };
  return folded(scope, node, [left, right]);
}

function runBinary(scope: Scope, ast: BinaryNode, left: CompiledNode, right: CompiledNode): Run {
  switch (ast.op) {
    case '==':
      return equality(scope, left, right, true);
    case '!=':
      return equality(scope, left, right, false);
    case '<':
      return comparison(left, right, (a, b) => a < b);
    case '<=':
      return comparison(left, right, (a, b) => a <= b);
    case '>':
      return comparison(left, right, (a, b) => a > b);
    case '>=':
      return comparison(left, right, (a, b) => a >= b);
    case 'in':
      return inclusion(scope, left, right);
    case '+':
      return addition(scope, left, right);
    case '-':
      return arithmetic(left, right, '-', (a, b) => a - b);
    case '*':
      return arithmetic(left, right, '*', (a, b) => a * b);
    case '/':
      return division(left, right, '/', (a, b) => a / b);
    case '%':
      return division(left, right, '%', (a, b) => a % b);
  }
}

function typeOfBinary(ast: BinaryNode, left: CompiledNode, right: CompiledNode): ValueType {
  const op = ast.op;
  if (op === '==' || op === '!=') return 'bool';
  if (op === 'in') {
    if (right.type === 'dyn' || right.type === 'list' || right.type === 'map') return 'bool';
    return reject(ast, `"in" needs a list or a map on its right; ${right.text} is a ${right.type}`);
  }
  if (op === '<' || op === '<=' || op === '>' || op === '>=') {
    const fits =
      (mayBe(left.type, 'number') && mayBe(right.type, 'number')) ||
      (mayBe(left.type, 'string') && mayBe(right.type, 'string'));
    return fits ? 'bool' : mismatch(ast, left, right);
  }
  if (op === '+' && !isNumeric(left.type) && !isNumeric(right.type)) {
    return typeOfConcatenation(ast, left, right);
  }
  if (!mayBe(left.type, 'number') || !mayBe(right.type, 'number'))
    return mismatch(ast, left, right);
  return typeOfArithmetic(op, left.type, right.type);
}

function typeOfConcatenation(ast: BinaryNode, left: CompiledNode, right: CompiledNode): ValueType {
  for (const type of ['string', 'list'] as const) {
    if (left.type === type || right.type === type) {
      if (mayBe(left.type, type) && mayBe(right.type, type)) return type;
      return mismatch(ast, left, right);
    }
  }
  return left.type === 'dyn' && right.type === 'dyn' ? 'dyn' : mismatch(ast, left, right);
}

/** A time and a duration keep their meaning: the difference of two times is a duration. */
function typeOfArithmetic(op: BinaryOperator, left: ValueType, right: ValueType): ValueType {
  if (left === 'timestamp' && right === 'timestamp') return op === '-' ? 'duration' : 'number';
  if (op !== '+' && op !== '-') return 'number';
  if (left === 'timestamp' || (op === '+' && right === 'timestamp')) return 'timestamp';
  return left === 'duration' && right === 'duration' ? 'duration' : 'number';
}

function mismatch(ast: BinaryNode, left: CompiledNode, right: CompiledNode): never {
  const hint =
    ast.op === '+' && (left.type === 'string' || right.type === 'string')
      ? 'make a text of a number with string(x)'
      : undefined;
  return reject(
    ast,
    `"${ast.op}" does not take ${left.text} (a ${left.type}) and ${right.text} (a ${right.type})`,
    hint,
  );
}

function equality(scope: Scope, left: CompiledNode, right: CompiledNode, same: boolean): Run {
  const known = right.constant ?? left.constant;
  const other = right.constant === undefined ? right.run : left.run;
  if (known !== undefined && (typeof known.value !== 'object' || known.value === null)) {
    const { value } = known;
    return same ? (subject) => other(subject) === value : (subject) => other(subject) !== value;
  }
  const a = left.run;
  const b = right.run;
  const visit = scope.variables.length > 0 ? () => scope.meter.charge(1) : undefined;
  return same
    ? (subject) => equals(a(subject), b(subject), visit)
    : (subject) => !equals(a(subject), b(subject), visit);
}

type Compare = (left: number, right: number) => boolean;

/** Numbers with numbers, texts with texts (by UTF-16 code unit). */
function comparison(left: CompiledNode, right: CompiledNode, compare: Compare): Run {
  const a = left.run;
  const b = right.run;
  const constant = right.constant?.value;
  if (typeof constant === 'number') {
    return (subject) => {
      const x = a(subject);
      return typeof x === 'number' ? compare(x, constant) : wrongType(x, left.text, 'a number');
    };
  }
  return (subject) => {
    const x = a(subject);
    const y = b(subject);
    if (typeof x === 'number') {
      return typeof y === 'number' ? compare(x, y) : wrongType(y, right.text, 'a number');
    }
    if (typeof x !== 'string') return wrongType(x, left.text, 'a number or a string');
    if (typeof y !== 'string') return wrongType(y, right.text, 'a string');
    // The operators of the four closures order texts as they order numbers.
    return compare(x as unknown as number, y as unknown as number);
  };
}

type Calculate = (left: number, right: number) => number;

function arithmetic(left: CompiledNode, right: CompiledNode, op: string, apply: Calculate): Run {
  const a = left.run;
  const b = right.run;
  return (subject) => {
    const x = a(subject);
    const y = b(subject);
    if (typeof x !== 'number') return wrongType(x, left.text, 'a number');
    if (typeof y !== 'number') return wrongType(y, right.text, 'a number');
    const result = apply(x, y);
    return Number.isFinite(result) ? result : notFinite(left, op, right);
  };
}

function division(left: CompiledNode, right: CompiledNode, op: string, apply: Calculate): Run {
  const whole = `${left.text} ${op} ${right.text}`;
  const problem =
    Number(right.text) === 0 ? `${whole} divides by zero` : `${right.text} is 0 in ${whole}`;
  return arithmetic(left, right, op, (x, y) =>
    y === 0 ? failure('divide_by_zero', problem) : apply(x, y),
  );
}

function notFinite(left: CompiledNode, op: string, right: CompiledNode): never {
  return failure('not_finite', `${left.text} ${op} ${right.text} gives no finite number`);
}

function addition(scope: Scope, left: CompiledNode, right: CompiledNode): Run {
  const a = left.run;
  const b = right.run;
  // Inside a macro a concatenation can repeat, so its length counts.
  const meter = scope.variables.length > 0 ? scope.meter : undefined;
  return (subject) => {
    const x = a(subject);
    const y = b(subject);
    if (typeof x === 'number' && typeof y === 'number') {
      const sum = x + y;
      return Number.isFinite(sum) ? sum : notFinite(left, '+', right);
    }
    if (typeof x === 'string' && typeof y === 'string') {
      const length = x.length + y.length;
      if (length > limits.expressionTextCharsMax) tooLarge(left, right);
      meter?.charge(1 + (length >> 4));
      return x + y;
    }
    if (Array.isArray(x) && Array.isArray(y)) {
      if (x.length + y.length > limits.expressionCostMax) tooLarge(left, right);
      meter?.charge(x.length + y.length);
      return [...(x as unknown[]), ...(y as unknown[])];
    }
    return cannotAdd(x, y, left, right);
  };
}

function tooLarge(left: CompiledNode, right: CompiledNode): never {
  return failure('too_large', `${left.text} + ${right.text} is too large`);
}

function cannotAdd(x: unknown, y: unknown, left: CompiledNode, right: CompiledNode): never {
  const wanted = 'a number, a string or a list';
  if (typeof x === 'number') return wrongType(y, right.text, 'a number');
  if (typeof x === 'string') return wrongType(y, right.text, 'a string');
  if (Array.isArray(x)) return wrongType(y, right.text, 'a list');
  return wrongType(x, left.text, wanted);
}

export function compileNegation(scope: Scope, ast: Extract<ASTNode, { op: '-_' }>): CompiledNode {
  const operand = scope.compile(ast.args);
  if (!mayBe(operand.type, 'number')) {
    reject(ast, `${operand.text} is a ${operand.type} and cannot be negated`);
  }
  const { run } = operand;
  const type = operand.type === 'duration' ? 'duration' : 'number';
  const text = textOf(scope, ast);
  const negate: Run = (subject) => {
    const value = run(subject);
    // 0 - x, so that minus zero, which JSON cannot tell from zero, never appears.
    return typeof value === 'number' ? 0 - value : wrongType(value, operand.text, 'a number');
  };
  return folded(scope, { type, text, run: negate }, [operand]);
}

function inclusion(scope: Scope, left: CompiledNode, right: CompiledNode): Run {
  const a = left.run;
  const constant = right.constant?.value;
  if (Array.isArray(constant) && constant.every((item) => typeof item !== 'object')) {
    const values = new Set<unknown>(constant);
    return (subject) => values.has(a(subject));
  }
  const b = right.run;
  const { meter } = scope;
  meter.used = true;
  return (subject) => {
    const wanted = a(subject);
    const container = b(subject);
    const answer = membership(wanted, container, right.text);
    if (answer !== undefined) return answer;
    return (container as unknown[]).some((item) => {
      meter.charge(1);
      return equals(item, wanted, () => meter.charge(1));
    });
  };
}
