/**
 * `all`, `exists`, `exists_one`, `map` and `filter` over a list, or over the keys of a map.
 *
 * Each element costs one step and one for every part of the body, so that nesting them over a large
 * payload ends at the cost bound. `all` and `exists` absorb an element's error when another element
 * decides, as CEL says.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { ExpressionError, Subject, ValueType } from './expression.ts';
import { isAbsorbable } from './logic.ts';
import {
  type CompiledNode,
  expectType,
  reject,
  type Run,
  type Scope,
  type Slot,
  textOf,
} from './scope.ts';
import { isMap, wrongType } from './values.ts';

type MethodNode = Extract<ASTNode, { op: 'rcall' }>;

export const MACROS: Readonly<Record<string, { summary: string; example: string }>> = {
  all: {
    summary: 'Whether a condition is true for every element.',
    example: 'payload.values.all(v, v < 10)',
  },
  exists: {
    summary: 'Whether a condition is true for at least one element.',
    example: "payload.tags.exists(t, t == 'spare')",
  },
  exists_one: {
    summary: 'Whether a condition is true for exactly one element.',
    example: 'payload.values.exists_one(v, v == 0)',
  },
  map: {
    summary: 'A list with a value for every element, or for those that meet a condition.',
    example: 'payload.values.map(v, v > 0, v * 2)',
  },
  filter: {
    summary: 'The elements for which a condition is true.',
    example: 'payload.values.filter(v, v > 0)',
  },
};

export function compileMacro(scope: Scope, ast: MethodNode): CompiledNode {
  const [name, target, args] = ast.args;
  const [variable, ...bodies] = args;
  const wanted = name === 'map' ? 'two or three' : 'two';
  if (bodies.length !== 1 && !(name === 'map' && bodies.length === 2)) {
    return reject(
      ast,
      `${name}() takes ${wanted} arguments`,
      `for example ${MACROS[name]?.example}`,
    );
  }
  if (variable?.op !== 'id') {
    return reject(ast, `the first argument of ${name}() names the element`);
  }
  const list = scope.compile(target);
  if (!['dyn', 'list', 'map'].includes(list.type)) {
    return reject(ast, `${name}() needs a list or a map, and ${list.text} is a ${list.type}`);
  }
  scope.meter.used = true;
  const slot: Slot = { value: null };
  const nodes = bodies.map((body) => scope.compileWith(variable.args, slot, body));
  const [first, second] = nodes as [CompiledNode, CompiledNode?];
  if (name !== 'map' || second !== undefined) {
    expectType(bodies[0] ?? ast, first, 'bool', `the condition of ${name}()`);
  }
  const each = elements(scope, list, slot, 1 + countNodes(bodies));
  const type: ValueType = name === 'map' || name === 'filter' ? 'list' : 'bool';
  return { type, text: textOf(scope, ast), run: body(name, each, slot, first, second) };
}

/** Calls `visit` with the slot set to each element in turn, until it gives true. */
type Each = (subject: Subject, visit: (subject: Subject) => boolean) => void;

function elements(scope: Scope, list: CompiledNode, slot: Slot, cost: number): Each {
  const { meter } = scope;
  const { run, text } = list;
  return (subject, visit) => {
    const value = run(subject);
    const items: readonly unknown[] = Array.isArray(value)
      ? value
      : isMap(value)
        ? Object.keys(value)
        : wrongType(value, text, 'a list or a map');
    for (const item of items) {
      meter.charge(cost);
      // A body that holds the same macro again sets its own slot, never this one.
      slot.value = item;
      if (visit(subject)) break;
    }
    slot.value = null;
  };
}

function body(
  name: string,
  each: Each,
  slot: Slot,
  first: CompiledNode,
  second: CompiledNode | undefined,
): Run {
  if (name === 'all') return quantifier(each, first, false);
  if (name === 'exists') return quantifier(each, first, true);
  if (name === 'exists_one') {
    return (subject) => {
      let count = 0;
      each(subject, () => {
        if (truth(first, subject)) count += 1;
        return false;
      });
      return count === 1;
    };
  }
  const chosen = (subject: Subject): boolean =>
    name === 'map' && second === undefined ? true : truth(first, subject);
  const value: Run = name === 'map' ? (second ?? first).run : () => slot.value;
  return (subject) => {
    const result: unknown[] = [];
    each(subject, () => {
      if (chosen(subject)) result.push(value(subject));
      return false;
    });
    return result;
  };
}

function quantifier(each: Each, condition: CompiledNode, decisive: boolean): Run {
  return (subject) => {
    let decided = false;
    let failed: ExpressionError | undefined;
    each(subject, () => {
      try {
        decided = truth(condition, subject) === decisive;
      } catch (error) {
        if (!isAbsorbable(error)) throw error;
        failed ??= error;
      }
      return decided;
    });
    if (decided) return decisive;
    if (failed !== undefined) throw failed;
    return !decisive;
  };
}

function truth(condition: CompiledNode, subject: Subject): boolean {
  const value = condition.run(subject);
  return typeof value === 'boolean' ? value : wrongType(value, condition.text, 'a bool');
}

function countNodes(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countNodes(item), 0);
  if (typeof value !== 'object' || value === null || !('op' in value)) return 0;
  return 1 + countNodes((value as ASTNode).args);
}
