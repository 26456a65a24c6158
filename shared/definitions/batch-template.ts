/**
 * Texts with `{{ expression }}` inside, in the settings of batch tasks.
 *
 * The expressions are CEL over the run (task-expression.ts). A text that is one `{{ }}` alone gives
 * the value as it is, so that a number stays a number; inside of a longer text a value becomes its
 * JSON form, and what has no plain one (null, lists, maps) is an error, because `report-null.csv`
 * or `[object Object]` in a path is a mistake that nobody sees. There is no escape for `{{`: write
 * `{{ "{{" }}`.
 */
import type { Json } from '../engine/record.ts';
import { RunnelError } from '../errors.ts';
import { ExpressionError } from '../expressions/expression.ts';
import { limits } from '../limits.ts';
import type { TaskScope } from './batch-program.ts';
import type { TaskExpression } from './task-expression.ts';

/** A piece of text, or the expression between `{{` and `}}` with where it begins. */
export type TemplatePiece = string | { readonly source: string; readonly at: number };

export interface TemplateProblem {
  readonly problem: string;
  readonly hint: string;
}

export const isTemplate = (text: string): boolean => text.includes('{{');

/** The pieces in order. An expression may itself hold braces and texts with braces. */
export function templatePieces(text: string): readonly TemplatePiece[] | TemplateProblem {
  const pieces: TemplatePiece[] = [];
  let end = 0;
  for (;;) {
    const start = text.indexOf('{{', end);
    if (start < 0) break;
    if (start > end) pieces.push(text.slice(end, start));
    const close = endOfExpression(text, start + 2);
    if (close === undefined) {
      const problem = `"${shortened(text.slice(start))}" has {{ without }}`;
      return { problem, hint: 'write {{ expression }}' };
    }
    pieces.push({ source: text.slice(start + 2, close).trim(), at: start });
    end = close + 2;
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}

/** Where the `}}` is that ends an expression which begins at `from`; undefined: nowhere. */
export function endOfExpression(text: string, from: number): number | undefined {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const character = text[at] ?? '';
    if (character === '"' || character === "'") {
      at = endOfString(text, at);
      continue;
    }
    if (character === '{') depth += 1;
    else if (character === '}' && depth > 0) depth -= 1;
    else if (text.startsWith('}}', at)) return at;
    at += 1;
  }
  return undefined;
}

/**
 * After the closing quote of a CEL string: `'…'`, `"…"` or tripled. A backslash protects what
 * follows in raw strings (`r'…'`) too, as cel-js reads them.
 */
function endOfString(text: string, start: number): number {
  const one = text[start] ?? '';
  const quote = text.startsWith(one.repeat(3), start) ? one.repeat(3) : one;
  let at = start + quote.length;
  while (at < text.length) {
    if (text.startsWith(quote, at)) return at + quote.length;
    at += text[at] === '\\' ? 2 : 1;
  }
  return text.length;
}

/** Counts what the templates of one task give, so that no list of references becomes a flood. */
export class RenderBudget {
  #left: number = limits.renderedConfigCharsMax;

  spend(characters: number): void {
    this.#left -= characters;
    if (this.#left >= 0) return;
    throw new RunnelError(
      'template_value',
      `the templates of the task give more than ${limits.renderedConfigCharsMax} characters`,
      { hint: 'pass rows on as a table, not through a template' },
    );
  }
}

export interface Template {
  /** Ids of the tasks whose output it uses. */
  readonly tasks: readonly string[];
  /** The value is known when a job is submitted, but for its parameters and its partition. */
  readonly isKnown: boolean;
  /** Else it needs nothing but parameters, of which a sample has the type. */
  readonly isTyped: boolean;
  /** It is one `{{ }}` alone: the value keeps its type. */
  readonly isAlone: boolean;
  /** Throws `template_value`. */
  render(scope: TaskScope, budget: RenderBudget): Json;
}

/** `compile` throws what is wrong with an expression. */
export function makeTemplate(
  pieces: readonly TemplatePiece[],
  compile: (source: string) => TaskExpression,
): Template {
  const parts = pieces.map((piece) => (typeof piece === 'string' ? piece : compile(piece.source)));
  const expressions = parts.filter((part) => typeof part !== 'string');
  const [first] = parts;
  const isAlone = parts.length === 1 && typeof first === 'object';
  return {
    tasks: [...new Set(expressions.flatMap((each) => each.tasks))],
    isKnown: expressions.every((each) => each.isKnown),
    isTyped: expressions.every((each) => each.isTyped),
    isAlone,
    render(scope, budget) {
      if (typeof first === 'object' && isAlone) return valueOf(first, scope, budget);
      const text = parts
        .map((part) => (typeof part === 'string' ? part : textOf(part, scope)))
        .join('');
      budget.spend(text.length);
      return text;
    },
  };
}

/** The value of an expression as JSON. Throws `template_value`. */
export function valueOf(expression: TaskExpression, scope: TaskScope, budget: RenderBudget): Json {
  const value = evaluated(expression, scope);
  if (value instanceof Uint8Array || value === undefined) {
    throw notRendered(expression, 'gives bytes, which no document holds', 'use base64.encode');
  }
  budget.spend(typeof value === 'string' ? value.length : JSON.stringify(value).length);
  return value as Json;
}

function textOf(expression: TaskExpression, scope: TaskScope): string {
  const value = evaluated(expression, scope);
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return JSON.stringify(value);
  if (value === null) {
    throw notRendered(expression, 'is null, which no text can hold', 'test it: x == null ? … : …');
  }
  const what = Array.isArray(value) ? 'a list' : value instanceof Uint8Array ? 'bytes' : 'a map';
  const hint = 'let the field be this one {{ }} alone, or take an element of it';
  throw notRendered(expression, `is ${what}, which no text can hold`, hint);
}

function evaluated(expression: TaskExpression, scope: TaskScope): unknown {
  try {
    return expression.evaluate(scope);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new RunnelError('template_value', `{{ ${shownOf(expression)} }}: ${error.message}`, {
      cause: error,
      fields: { reason: error.reason },
    });
  }
}

function notRendered(expression: TaskExpression, problem: string, hint: string): RunnelError {
  return new RunnelError('template_value', `{{ ${shownOf(expression)} }} ${problem}`, { hint });
}

const shownOf = ({ source }: TaskExpression): string => shortened(source);

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 57)}…` : line;
}
