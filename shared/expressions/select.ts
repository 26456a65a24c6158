/**
 * Names, fields and elements: `payload.a.b`, `list[0]`, `map['odd-key']`, `has(payload.a)`.
 *
 * Only own properties of JSON values exist: `payload.constructor` and `payload.__proto__` are
 * missing keys. A name that no built-in prototype has needs no such check, because finding it
 * means owning it; that is nearly every field, and it makes a field one property load.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { isMap, failure, typeOfConstant, type Values, wrongType } from './values.ts';
import {
  type CompiledNode,
  expectType,
  folded,
  isNumeric,
  reject,
  type Run,
  type Scope,
  textOf,
} from './scope.ts';
import { nearest, suggestion } from './suggest.ts';

const RECORD_NAMES = ['payload', 'topic', 'time', 'meta'] as const;
const ROW_NAMES = ['key', 'windowStart', 'windowEnd', 'time'] as const;

const BUILT_IN: readonly object[] = [
  Array.prototype,
  String.prototype,
  Number.prototype,
  Boolean.prototype,
  Uint8Array.prototype,
];

/** True when only an own property of a JSON value can have this name. */
function cannotBeInherited(key: string): boolean {
  return !/^\d/.test(key) && !BUILT_IN.some((prototype) => key in prototype);
}

export function compileIdentifier(scope: Scope, ast: Extract<ASTNode, { op: 'id' }>): CompiledNode {
  const name = ast.args;
  const text = name;
  const variable = scope.variables.findLast((candidate) => candidate.name === name);
  if (variable !== undefined) {
    const { slot } = variable;
    return { type: 'dyn', text, run: () => slot.value };
  }
  const { shape } = scope;
  if (shape.kind === 'row' && Object.hasOwn(shape.columns, name)) {
    return { type: shape.columns[name] ?? 'dyn', text, run: payloadField(name) };
  }
  if (name === 'params') {
    const value = scope.parameters;
    return { type: 'map', text, run: () => value, constant: { value } };
  }
  if (shape.kind === 'row' && shape.columnsOnly === true) {
    return reject(ast, `unknown name "${name}"`, hintForName(scope, name));
  }
  if (name === 'time') return { type: 'timestamp', text, run: (subject) => subject.time };
  if (shape.kind === 'record') {
    if (name === 'payload') return { type: 'dyn', text, run: (subject) => subject.payload };
    if (name === 'topic') return { type: 'string', text, run: (subject) => subject.topic };
    if (name === 'meta') return { type: 'map', text, run: (subject) => subject.meta };
  } else {
    if (name === 'key') return { type: 'dyn', text, run: (subject) => subject.key };
    if (name === 'windowStart') return { type: 'dyn', text, run: (s) => s.windowStart };
    if (name === 'windowEnd') return { type: 'dyn', text, run: (s) => s.windowEnd };
  }
  return reject(ast, `unknown name "${name}"`, hintForName(scope, name));
}

function hintForName(scope: Scope, name: string): string {
  const variables = scope.variables.map((variable) => variable.name);
  const { shape } = scope;
  if (shape.kind === 'row') {
    const columns = Object.keys(shape.columns);
    if (shape.columnsOnly === true) {
      if (Object.hasOwn(scope.parameters, name)) return `write params.${name}`;
      return (
        suggestion(name, [...columns, ...variables, 'params']) ?? `known: ${columns.join(', ')}`
      );
    }
    const known = [...columns, ...variables, ...ROW_NAMES, 'params'];
    const near = nearest(name, known);
    if (near !== undefined) return `did you mean "${near}"?`;
    return `after an aggregation only its columns are known: ${known.join(', ')}`;
  }
  const known = [...variables, ...RECORD_NAMES, 'params'];
  const near = nearest(name, known);
  if (near !== undefined) return `did you mean "${near}"?`;
  if (Object.hasOwn(scope.parameters, name)) return `write params.${name}`;
  return `a field of the record is payload.${name}; known names: ${known.join(', ')}`;
}

export function compileSelect(scope: Scope, ast: Extract<ASTNode, { op: '.' }>): CompiledNode {
  const [object, key] = ast.args;
  if (isParams(scope, object)) return parameter(scope, ast, key);
  const base = scope.compile(object);
  const text = textOf(scope, ast);
  expectMap(ast, base, `.${key}`);
  if (isPayload(scope, object)) return { type: 'dyn', text, run: payloadField(key) };
  return folded(scope, { type: 'dyn', text, run: field(base, key) }, [base]);
}

function isName(scope: Scope, ast: ASTNode, name: string): boolean {
  return (
    ast.op === 'id' &&
    ast.args === name &&
    !scope.variables.some((variable) => variable.name === name)
  );
}

function isPayload(scope: Scope, ast: ASTNode): boolean {
  return scope.shape.kind === 'record' && isName(scope, ast, 'payload');
}

function isParams(scope: Scope, ast: ASTNode): boolean {
  if (!isName(scope, ast, 'params')) return false;
  return scope.shape.kind !== 'row' || !Object.hasOwn(scope.shape.columns, 'params');
}

function parameter(scope: Scope, ast: ASTNode, key: string): CompiledNode {
  if (!Object.hasOwn(scope.parameters, key)) {
    const names = Object.keys(scope.parameters);
    const hint =
      suggestion(key, names) ?? `declare it: parameters: { ${key}: { type: number, default: 0 } }`;
    return reject(ast, `unknown parameter "${key}"`, hint);
  }
  const value = scope.parameters[key];
  const text = `params.${key}`;
  return { type: typeOfConstant(value), text, run: () => value, constant: { value } };
}

function expectMap(ast: ASTNode, base: CompiledNode, what: string): void {
  if (base.type === 'dyn' || base.type === 'map') return;
  reject(ast, `${base.text} is a ${base.type} and has no ${what}`);
}

/** A column or a field of the payload: the hottest closures there are. */
function payloadField(key: string): Run {
  const text = 'the payload';
  if (!cannotBeInherited(key)) {
    return (subject) => ownField(subject.payload, key, text);
  }
  return (subject) => {
    const payload = subject.payload as Values | null | undefined;
    if (payload !== null && payload !== undefined) {
      const value = payload[key];
      if (value !== undefined) return value;
    }
    return ownField(payload, key, text);
  };
}

function field(base: CompiledNode, key: string): Run {
  const { run, text } = base;
  if (!cannotBeInherited(key)) return (subject) => ownField(run(subject), key, text);
  return (subject) => {
    const map = run(subject) as Values | null | undefined;
    if (map !== null && map !== undefined) {
      const value = map[key];
      if (value !== undefined) return value;
    }
    return ownField(map, key, text);
  };
}

/** The value of an own property, or the error that says why there is none. */
function ownField(value: unknown, key: string, text: string): unknown {
  if (!isMap(value)) return wrongType(value, text, `a map with "${key}"`);
  if (!Object.hasOwn(value, key) || value[key] === undefined) {
    return failure('missing_key', `${text} has no "${key}"`);
  }
  return value[key];
}

export function compileIndex(scope: Scope, ast: Extract<ASTNode, { op: '[]' }>): CompiledNode {
  const [object, indexAst] = ast.args;
  const index = scope.compile(indexAst);
  const text = textOf(scope, ast);
  if (isParams(scope, object) && typeof index.constant?.value === 'string') {
    return parameter(scope, ast, index.constant.value);
  }
  const base = scope.compile(object);
  if (!['dyn', 'map', 'list', 'bytes'].includes(base.type)) {
    return reject(ast, `${base.text} is a ${base.type} and has no elements`);
  }
  if (base.type === 'list' || base.type === 'bytes') {
    expectType(indexAst, index, 'number', 'the index of a list');
  }
  if (base.type === 'map' && isNumeric(index.type)) {
    reject(indexAst, `${base.text} is a map, whose keys are texts`);
  }
  if (typeof index.constant?.value === 'string') {
    const key = index.constant.value;
    return folded(scope, { type: 'dyn', text, run: field(base, key) }, [base]);
  }
  const node = { type: 'dyn', text, run: element(base, index) } as const;
  return folded(scope, node, [base, index]);
}

function element(base: CompiledNode, index: CompiledNode): Run {
  return (subject) => {
    const container = base.run(subject);
    const at = index.run(subject);
    if (Array.isArray(container) || container instanceof Uint8Array) {
      if (typeof at !== 'number') return wrongType(at, index.text, 'a number');
      const value: unknown = container[at];
      if (value === undefined) {
        failure('out_of_range', `${base.text} has ${container.length} elements, none at ${at}`);
      }
      return value;
    }
    if (typeof at !== 'string') {
      if (isMap(container)) return wrongType(at, index.text, 'a string');
      return wrongType(container, base.text, 'a list or a map');
    }
    return ownField(container, at, base.text);
  };
}

/** `has(a.b)`: whether `a`, which must be a map, has `b`; null counts as being there. */
export function compileHas(scope: Scope, ast: ASTNode, args: readonly ASTNode[]): CompiledNode {
  const [target] = args;
  if (args.length !== 1 || target?.op !== '.') {
    return reject(ast, 'has() takes a field', 'for example has(payload.status)');
  }
  const [object, key] = target.args;
  const text = textOf(scope, ast);
  const base = scope.compile(object);
  expectMap(target, base, `.${key}`);
  const { run } = base;
  const node: CompiledNode = {
    type: 'bool',
    text,
    run: (subject) => {
      const value = run(subject);
      if (!isMap(value)) return wrongType(value, base.text, 'a map');
      return Object.hasOwn(value, key) && value[key] !== undefined;
    },
  };
  return folded(scope, node, [base]);
}

/** `x in list`, `'key' in map`. */
export function membership(left: unknown, right: unknown, text: string): boolean | undefined {
  if (Array.isArray(right)) return undefined;
  if (!isMap(right)) return wrongType(right, text, 'a list or a map');
  if (typeof left !== 'string') return false;
  return Object.hasOwn(right, left);
}
