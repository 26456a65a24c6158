/**
 * The slow and obvious way to evaluate an expression: a tree of its own, walked node by node, with
 * the rules of the language written down once more. Shares nothing with shared/expressions.
 */
export type Tree =
  | { readonly kind: 'literal'; readonly value: number | string | boolean | null }
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'list'; readonly items: readonly Tree[] }
  | { readonly kind: 'not' | 'negate' | 'has'; readonly of: Tree }
  | { readonly kind: 'binary'; readonly op: string; readonly left: Tree; readonly right: Tree }
  | { readonly kind: 'if'; readonly condition: Tree; readonly yes: Tree; readonly no: Tree }
  | {
      readonly kind: 'macro';
      readonly name: 'all' | 'exists' | 'exists_one' | 'map' | 'filter';
      readonly list: Tree;
      readonly body: Tree;
    }
  | { readonly kind: 'element' };

export class Failure extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

export function textOf(tree: Tree): string {
  switch (tree.kind) {
    case 'literal':
      return typeof tree.value === 'string' ? `'${tree.value}'` : numberText(tree.value);
    case 'field':
      return `payload.${tree.name}`;
    case 'element':
      return 'e';
    case 'list':
      return `[${tree.items.map(textOf).join(', ')}]`;
    case 'not':
      return `!(${textOf(tree.of)})`;
    case 'negate':
      return `-(${textOf(tree.of)})`;
    case 'has':
      return `has(${textOf(tree.of)})`;
    case 'binary':
      return `(${textOf(tree.left)} ${tree.op} ${textOf(tree.right)})`;
    case 'if':
      return `(${textOf(tree.condition)} ? ${textOf(tree.yes)} : ${textOf(tree.no)})`;
    case 'macro':
      return `(${textOf(tree.list)}).${tree.name}(e, ${textOf(tree.body)})`;
  }
}

function numberText(value: number | boolean | null): string {
  return typeof value === 'number' && value < 0 ? `(${value})` : String(value);
}

type Payload = Readonly<Record<string, unknown>>;

export function walk(tree: Tree, payload: Payload, element?: unknown): unknown {
  const sub = (part: Tree): unknown => walk(part, payload, element);
  switch (tree.kind) {
    case 'literal':
      return tree.value;
    case 'element':
      return element;
    case 'field':
      if (!Object.hasOwn(payload, tree.name)) throw new Failure('missing_key');
      return payload[tree.name];
    case 'list':
      return tree.items.map(sub);
    case 'not':
      return !boolean(sub(tree.of));
    case 'negate':
      return 0 - number(sub(tree.of));
    case 'has':
      return tree.of.kind === 'field' && Object.hasOwn(payload, tree.of.name);
    case 'if':
      return boolean(sub(tree.condition)) ? sub(tree.yes) : sub(tree.no);
    case 'binary':
      return binary(tree, sub);
    case 'macro':
      return macro(tree, payload, list(sub(tree.list)));
  }
}

function binary(tree: Tree & { kind: 'binary' }, sub: (part: Tree) => unknown): unknown {
  const { op } = tree;
  if (op === '&&' || op === '||') return logic(op === '||', tree, sub);
  const left = sub(tree.left);
  const right = sub(tree.right);
  if (op === '==') return same(left, right);
  if (op === '!=') return !same(left, right);
  if (op === 'in') return list(right).some((item) => same(item, left));
  if (op === '+' && typeof left === 'string') return left + text(right);
  if (op === '+' && Array.isArray(left)) return [...(left as unknown[]), ...list(right)];
  if (['<', '<=', '>', '>='].includes(op)) return ordered(op, left, right);
  return arithmetic(op, number(left), number(right));
}

function ordered(op: string, left: unknown, right: unknown): boolean {
  const sign =
    typeof left === 'string' ? compare(left, text(right)) : compare(number(left), number(right));
  if (op === '<') return sign < 0;
  if (op === '<=') return sign <= 0;
  return op === '>' ? sign > 0 : sign >= 0;
}

function compare<T extends string | number>(left: T, right: T): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function arithmetic(op: string, left: number, right: number): number {
  if ((op === '/' || op === '%') && right === 0) throw new Failure('divide_by_zero');
  const results: Readonly<Record<string, number>> = {
    '+': left + right,
    '-': left - right,
    '*': left * right,
    '/': left / right,
    '%': left % right,
  };
  const result = results[op] ?? Number.NaN;
  if (!Number.isFinite(result)) throw new Failure('not_finite');
  return result;
}

/** The side that decides wins, whatever the other does; else the first failure does. */
function logic(decisive: boolean, tree: Tree & { kind: 'binary' }, sub: (part: Tree) => unknown) {
  const sides = [tree.left, tree.right].map((side) => {
    try {
      return { value: boolean(sub(side)) };
    } catch (error) {
      if (error instanceof Failure) return { error };
      throw error;
    }
  });
  if (sides.some((side) => side.value === decisive)) return decisive;
  const failed = sides.find((side) => side.error !== undefined);
  if (failed?.error !== undefined) throw failed.error;
  return !decisive;
}

function macro(tree: Tree & { kind: 'macro' }, payload: Payload, items: unknown[]): unknown {
  const at = (item: unknown): unknown => walk(tree.body, payload, item);
  if (tree.name === 'map') return items.map(at);
  if (tree.name === 'filter') return items.filter((item) => boolean(at(item)));
  if (tree.name === 'exists_one') return items.filter((item) => boolean(at(item))).length === 1;
  const decisive = tree.name === 'exists';
  let failed: Failure | undefined;
  for (const item of items) {
    try {
      if (boolean(at(item)) === decisive) return decisive;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failed ??= error;
    }
  }
  if (failed !== undefined) throw failed;
  return !decisive;
}

function same(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => same(item, right[index]));
  }
  return left === right;
}

function fails(value: unknown): never {
  throw new Failure(value === null ? 'null_value' : 'wrong_type');
}

const number = (value: unknown): number => (typeof value === 'number' ? value : fails(value));
const text = (value: unknown): string => (typeof value === 'string' ? value : fails(value));
const boolean = (value: unknown): boolean => (typeof value === 'boolean' ? value : fails(value));
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : fails(value));
