/**
 * What a function of expressions is; the lists in text-, number-, time- and conversion-functions.ts
 * are made of these, and the reference prints them.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { ValueType } from './expression.ts';
import type { CompiledNode, Meter, Run } from './scope.ts';
import { failure, wrongType } from './values.ts';

export interface FunctionSpec {
  readonly name: string;
  /** `f(x)`, `x.f()`, or either. */
  readonly form: 'function' | 'method' | 'both';
  /** Types of the arguments; of a method the first is what stands before the dot. */
  readonly arguments: readonly ValueType[];
  /** How many of the last arguments may be left out. */
  readonly optional?: number;
  /** Any number of arguments of the last type. */
  readonly variadic?: boolean;
  readonly returns: ValueType;
  readonly summary: string;
  readonly example: string;
  build(args: readonly CompiledNode[], site: CallSite): Run;
}

/** Where a function is called: for errors at submit, and the meter. */
export interface CallSite {
  readonly text: string;
  readonly meter: Meter;
  /** Fails at submit, at the argument with this index. */
  rejectArgument(index: number, message: string, hint?: string): never;
  readonly asts: readonly ASTNode[];
}

export function argument(args: readonly CompiledNode[], index: number): CompiledNode {
  const node = args[index];
  if (node === undefined) throw new Error(`a function was built without argument ${index}`);
  return node;
}

/** One number in, one number out. */
export function numeric(apply: (value: number) => number): FunctionSpec['build'] {
  return (args, site) => {
    const { run, text } = argument(args, 0);
    return (subject) => {
      const value = run(subject);
      return typeof value === 'number'
        ? finite(apply(value), site.text)
        : wrongType(value, text, 'a number');
    };
  };
}

export function finite(value: number, text: string): number {
  return Number.isFinite(value) ? value : failure('not_finite', `${text} gives no finite number`);
}

/** One text in; working through it costs a step per 64 characters. */
export function textual(apply: (value: string) => unknown): FunctionSpec['build'] {
  return (args, site) => {
    const { run, text } = argument(args, 0);
    const { meter } = site;
    meter.used = true;
    return (subject) => {
      const value = run(subject);
      if (typeof value !== 'string') return wrongType(value, text, 'a string');
      meter.charge(1 + (value.length >> 6));
      return apply(value);
    };
  };
}

/** Two texts in. */
export function textualPair(
  apply: (value: string, other: string) => unknown,
): FunctionSpec['build'] {
  return (args, site) => {
    const [left, right] = [argument(args, 0), argument(args, 1)];
    const { meter } = site;
    meter.used = true;
    return (subject) => {
      const value = left.run(subject);
      const other = right.run(subject);
      if (typeof value !== 'string') return wrongType(value, left.text, 'a string');
      if (typeof other !== 'string') return wrongType(other, right.text, 'a string');
      meter.charge(1 + (value.length >> 6));
      return apply(value, other);
    };
  };
}

/** The value of an optional integer argument, within `[0, max]`. */
export function whole(node: CompiledNode, value: unknown, max: number): number {
  if (typeof value !== 'number') return wrongType(value, node.text, 'a number');
  if (!Number.isInteger(value) || value < 0 || value > max) {
    return failure(
      'out_of_range',
      `${node.text} is ${value}; a whole number from 0 to ${max} fits`,
    );
  }
  return value;
}
