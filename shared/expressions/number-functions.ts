/**
 * Functions of numbers. `min` and `max` also take one list; with one plain argument in an
 * `aggregate:` they are the aggregates.
 */
import { argument, finite, type FunctionSpec, numeric } from './function-spec.ts';
import type { CompiledNode, Meter, Run } from './scope.ts';
import { failure, wrongType } from './values.ts';

export const numberFunctions: readonly FunctionSpec[] = [
  number('abs', 'The number without its sign.', 'abs(payload.offset) > 2', Math.abs),
  number('ceil', 'The next whole number up.', 'ceil(payload.level)', (x) => Math.ceil(x) + 0),
  number('floor', 'The next whole number down.', 'floor(payload.t / 10) * 10', Math.floor),
  number(
    'round',
    'The nearest whole number; halves go away from zero.',
    'round(payload.t * 10) / 10',
    (x) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5) + 0,
  ),
  number('sign', '-1, 0 or 1.', 'sign(payload.delta)', Math.sign),
  number('sqrt', 'The square root.', 'sqrt(payload.x * payload.x)', Math.sqrt),
  number('exp', 'e to the power of the number.', 'exp(-payload.t / 20.0)', Math.exp),
  number('ln', 'The natural logarithm.', 'ln(payload.ratio)', Math.log),
  number('log10', 'The logarithm to base 10.', '20 * log10(payload.p / 0.00002)', Math.log10),
  {
    name: 'pow',
    form: 'function',
    arguments: ['number', 'number'],
    returns: 'number',
    summary: 'A number to the power of another.',
    example: 'pow(payload.speed, 3)',
    build: (args, site) => {
      const [base, exponent] = [argument(args, 0), argument(args, 1)];
      return (subject) => {
        const x = base.run(subject);
        const y = exponent.run(subject);
        if (typeof x !== 'number') return wrongType(x, base.text, 'a number');
        if (typeof y !== 'number') return wrongType(y, exponent.text, 'a number');
        return finite(x ** y, site.text);
      };
    },
  },
  extreme(
    'min',
    'The least of its arguments, or of a list.',
    'min(payload.a, payload.b)',
    Math.min,
  ),
  extreme('max', 'The greatest of its arguments, or of a list.', 'max(payload.t, 0)', Math.max),
];

function number(
  name: string,
  summary: string,
  example: string,
  apply: (value: number) => number,
): FunctionSpec {
  return {
    name,
    form: 'function',
    arguments: ['number'],
    returns: 'number',
    summary,
    example,
    build: numeric(apply),
  };
}

function extreme(
  name: string,
  summary: string,
  example: string,
  apply: (left: number, right: number) => number,
): FunctionSpec {
  return {
    name,
    form: 'function',
    arguments: ['dyn'],
    variadic: true,
    returns: 'number',
    summary,
    example,
    build: (args, site) => {
      const first = argument(args, 0);
      if (args.length === 1) return extremeOfList(first, site.meter, apply);
      if (args.length === 2) return extremeOfTwo(first, argument(args, 1), apply);
      return (subject) =>
        args.map((arg) => numberOf(arg.run(subject), arg.text)).reduce((a, b) => apply(a, b));
    },
  };
}

function numberOf(value: unknown, text: string): number {
  return typeof value === 'number' ? value : wrongType(value, text, 'a number');
}

function extremeOfTwo(
  left: CompiledNode,
  right: CompiledNode,
  apply: (left: number, right: number) => number,
): Run {
  return (subject) => {
    const a = left.run(subject);
    const b = right.run(subject);
    return apply(numberOf(a, left.text), numberOf(b, right.text));
  };
}

function extremeOfList(
  list: CompiledNode,
  meter: Meter,
  apply: (left: number, right: number) => number,
): Run {
  meter.used = true;
  return (subject) => {
    const values = list.run(subject);
    if (!Array.isArray(values)) return wrongType(values, list.text, 'a list');
    if (values.length === 0) return failure('out_of_range', `${list.text} is empty`);
    meter.charge(values.length >> 3);
    let result = numberOf(values[0], `an element of ${list.text}`);
    for (const value of values) {
      result = apply(result, numberOf(value, `an element of ${list.text}`));
    }
    return result;
  };
}
