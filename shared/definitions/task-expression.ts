/**
 * CEL over a run of a batch job: `{{ }}` in texts, `when`, `branch`, `forEach`.
 *
 * Beside what every expression is checked for, the names are: a task that is named must be done
 * before this one begins, a field must exist, and `item` is there only where a list is gone
 * through. What is asked for too early would be a missing key on a device at night.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { compileExpression } from '../expressions/compile-expression.ts';
import { ExpressionSyntaxError, type Shape, type ValueType } from '../expressions/expression.ts';
import { MACROS } from '../expressions/macros.ts';
import { parseExpression } from '../expressions/parse-expression.ts';
import { reject } from '../expressions/scope.ts';
import { suggestion } from '../expressions/suggest.ts';
import type { TaskScope } from './batch-program.ts';

export interface TaskExpression {
  readonly source: string;
  readonly type: ValueType;
  /** Set when the value depends on nothing but parameters. */
  readonly constant?: { readonly value: unknown };
  /** Ids of the tasks that it names. */
  readonly tasks: readonly string[];
  /**
   * False where it needs what only a run knows: outputs, items, labels of the device, parameters
   * that nothing has set yet.
   */
  readonly isKnown: boolean;
  /** Whether all that is not known are parameters: a sample of one has the type. */
  readonly isTyped: boolean;
  /** Throws `ExpressionError`. */
  evaluate(scope: TaskScope): unknown;
}

/** What an expression of a task may name. */
export interface ExpressionSite {
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Of these `parameters` holds a plausible value alone. */
  readonly unset?: ReadonlySet<string>;
  /** Tasks that are done before it is evaluated. */
  readonly upstream: (id: string) => boolean;
  readonly taskIds: readonly string[];
  /** The task goes through a list, and this is evaluated for each item. */
  readonly hasItem: boolean;
  readonly expects?: ValueType;
}

const SHAPE: Shape = {
  kind: 'row',
  columns: {
    job: 'map',
    run: 'map',
    partition: 'map',
    agent: 'map',
    tasks: 'map',
    item: 'dyn',
    index: 'dyn',
  },
  columnsOnly: true,
};

type MapName = 'job' | 'run' | 'partition' | 'agent';

/** Fields of the scope, which is a type and cannot be asked. */
const FIELDS: { readonly [Name in MapName]: Readonly<Record<keyof TaskScope[Name], true>> } = {
  job: { name: true, version: true },
  run: { id: true, key: true, at: true, trigger: true },
  partition: {
    id: true,
    key: true,
    start: true,
    end: true,
    startAt: true,
    endAt: true,
    date: true,
    timezone: true,
  },
  agent: { id: true, name: true, labels: true },
};

const TASK_FIELDS = ['state', 'output'];

/** Throws `ExpressionSyntaxError`. */
export function compileTaskExpression(source: string, site: ExpressionSite): TaskExpression {
  const names = new NameCheck(site);
  try {
    names.visit(parseExpression(source), []);
  } catch (error) {
    throw withDashHint(error, source, site);
  }
  const { parameters, expects } = site;
  const expression = compileExpression(source, {
    shape: SHAPE,
    parameters,
    ...(expects === undefined ? {} : { expects }),
  });
  const { type, constant } = expression;
  return {
    source,
    type,
    ...(constant === undefined ? {} : { constant }),
    tasks: [...names.tasks],
    isKnown: names.isKnown && !names.hasUnset,
    isTyped: names.isKnown,
    evaluate: (scope) =>
      expression.evaluate({
        payload: scope,
        time: 0,
        topic: '',
        meta: {},
        key: null,
        windowStart: null,
        windowEnd: null,
      }),
  };
}

class NameCheck {
  readonly tasks = new Set<string>();
  isKnown = true;
  hasUnset = false;
  readonly #site: ExpressionSite;

  constructor(site: ExpressionSite) {
    this.#site = site;
  }

  /** `bound`: variables of the macros around. */
  visit(node: ASTNode, bound: readonly string[]): void {
    const field = fieldOf(node);
    if (field !== undefined && !bound.includes(field.name)) {
      if (field.name === 'tasks') {
        this.#task(node, field.key);
        return;
      }
      if (field.name === 'params' && this.#site.unset?.has(field.key) === true) {
        this.hasUnset = true;
      }
      if (field.name in FIELDS) {
        this.#field(node, field.name as MapName, field.key);
        return;
      }
    }
    const outer = node.op === '.' ? fieldOf(node.args[0]) : undefined;
    if (node.op === '.' && outer?.name === 'tasks' && !bound.includes('tasks')) {
      const key = node.args[1];
      if (!TASK_FIELDS.includes(key)) {
        const hint = suggestion(key, TASK_FIELDS) ?? `write tasks.${outer.key}.output.${key}`;
        reject(node, `a task has no "${key}"`, hint);
      }
    }
    if (node.op === 'id' && !bound.includes(node.args)) this.#name(node, node.args);
    if (node.op === 'rcall' && Object.hasOwn(MACROS, node.args[0])) {
      const [, target, [variable, ...rest]] = node.args;
      this.visit(target, bound);
      const inner = variable?.op === 'id' ? [...bound, variable.args] : bound;
      for (const part of rest) this.visit(part, inner);
      return;
    }
    for (const child of childrenOf(node.args)) this.visit(child, bound);
  }

  #name(node: ASTNode, name: string): void {
    if (name === 'tasks') {
      reject(node, 'a task is named by its id', 'write tasks.daily.output or tasks["my-task"]');
    }
    if (name !== 'item' && name !== 'index') return;
    this.isKnown = false;
    if (this.#site.hasItem) return;
    reject(node, `"${name}" is known only in the settings of a task with forEach`);
  }

  #task(node: ASTNode, id: string): void {
    this.isKnown = false;
    this.tasks.add(id);
    const { upstream, taskIds } = this.#site;
    if (upstream(id)) return;
    if (taskIds.includes(id)) {
      reject(node, `the task "${id}" is not done before this one`, `add it: needs: [${id}]`);
    }
    reject(node, `no task is named "${id}"`, suggestion(id, taskIds));
  }

  #field(node: ASTNode, name: MapName, key: string): void {
    if (name === 'agent' && key === 'labels') this.isKnown = false;
    const known = Object.keys(FIELDS[name]);
    if (known.includes(key)) return;
    reject(node, `${name} has no "${key}"`, suggestion(key, known));
  }
}

/** `name.key` and `name["key"]`. */
function fieldOf(node: ASTNode): { readonly name: string; readonly key: string } | undefined {
  if (node.op === '.') {
    const [object, key] = node.args;
    return object.op === 'id' ? { name: object.args, key } : undefined;
  }
  if (node.op !== '[]') return undefined;
  const [object, key] = node.args;
  if (object.op !== 'id' || key.op !== 'value' || typeof key.args !== 'string') return undefined;
  return { name: object.args, key: key.args };
}

function childrenOf(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap((each) => childrenOf(each));
  if (typeof args === 'object' && args !== null && 'op' in args) return [args as ASTNode];
  return [];
}

/** `tasks.my-task` is a subtraction; the one who wrote it meant the task. */
function withDashHint(error: unknown, source: string, site: ExpressionSite): unknown {
  if (!(error instanceof ExpressionSyntaxError)) return error;
  const meant = site.taskIds.find((id) => id.includes('-') && source.includes(`tasks.${id}`));
  if (meant === undefined) return error;
  return new ExpressionSyntaxError(error.message, error, `write tasks["${meant}"]`);
}
