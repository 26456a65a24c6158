/**
 * What the compilers of the single constructs share: the compiled node, the way to compile a child,
 * to fail at a place of the source, to bind a macro's variable, and the meter.
 *
 * The meter bounds what one evaluation may cost. Only what can repeat or work through a text
 * charges it (macros, string functions, `in`); an expression without any of these pays nothing.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { limits } from '../limits.ts';
import {
  ExpressionError,
  ExpressionSyntaxError,
  type Shape,
  type Subject,
  type ValueType,
} from './expression.ts';

export type Run = (subject: Subject) => unknown;

/** An expression, or a part of one, that is compiled. */
export interface CompiledNode {
  readonly type: ValueType;
  readonly run: Run;
  /** Its text in the source, for errors. */
  readonly text: string;
  /** Set when the value does not depend on the record. */
  readonly constant?: { readonly value: unknown };
}

/** Where a macro puts the element it is at. Evaluation is synchronous and never re-enters. */
export interface Slot {
  value: unknown;
}

/** Cost left of the evaluation that is under way. */
export class Meter {
  left = limits.expressionCostMax;
  /** True once something charges it: only then must each evaluation reset it. */
  used = false;

  charge(cost: number): void {
    this.left -= cost;
    if (this.left < 0) {
      throw new ExpressionError(
        'cost_exceeded',
        `the evaluation costs more than ${limits.expressionCostMax} steps`,
      );
    }
  }
}

export interface Scope {
  readonly source: string;
  readonly shape: Shape;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly meter: Meter;
  /** Variables of the macros around this place, innermost last. */
  readonly variables: readonly { readonly name: string; readonly slot: Slot }[];
  compile(ast: ASTNode): CompiledNode;
  /** Compiles `ast` with one more variable. */
  compileWith(name: string, slot: Slot, ast: ASTNode): CompiledNode;
}

export type CallNode = Extract<ASTNode, { op: 'call' }>;

export function textOf(scope: Scope, ast: ASTNode): string {
  const text = scope.source.slice(ast.start, ast.end).trim();
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

export function reject(ast: ASTNode, message: string, hint?: string): never {
  throw new ExpressionSyntaxError(message, { start: ast.start, end: ast.end }, hint);
}

const NOWHERE: Subject = {
  time: 0,
  payload: null,
  topic: '',
  meta: {},
  key: null,
  windowStart: null,
  windowEnd: null,
};

/**
 * The node, evaluated now when all that it is made of is constant. One that fails stays as it is:
 * `params.k == 0 ? 0 : 1 / params.k` must compile for 0.
 */
export function folded(
  scope: Scope,
  node: CompiledNode,
  parts: readonly CompiledNode[],
): CompiledNode {
  if (!parts.every((part) => part.constant !== undefined)) return node;
  try {
    scope.meter.left = limits.expressionCostMax;
    const value = node.run(NOWHERE);
    return { ...node, run: () => value, constant: { value } };
  } catch (error) {
    if (error instanceof ExpressionError) return node;
    throw error;
  }
}

/** Timestamps and durations are numbers of milliseconds; nothing is known of `dyn`. */
export function mayBe(type: ValueType, wanted: ValueType): boolean {
  if (type === 'dyn' || wanted === 'dyn' || type === wanted) return true;
  return isNumeric(type) && isNumeric(wanted);
}

export function isNumeric(type: ValueType): boolean {
  return type === 'number' || type === 'timestamp' || type === 'duration';
}

/** Fails at submit when the type that is known cannot be the one wanted. */
export function expectType(
  ast: ASTNode,
  node: CompiledNode,
  wanted: ValueType,
  what: string,
): void {
  if (mayBe(node.type, wanted)) return;
  reject(ast, `${what} must be a ${wanted}, and ${node.text} is a ${node.type}`);
}
