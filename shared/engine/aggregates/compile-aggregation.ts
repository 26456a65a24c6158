/**
 * From the `aggregate:` of a step to an `AggregationPlan`: finds the aggregate calls, compiles
 * their arguments against the step's input and the rest against their results, and reports what is
 * wrong by column.
 *
 * Equal calls of several columns are kept once: `avg(payload.rms)` and `avg(payload.rms) * 2` have
 * one accumulator.
 */
import type { ValueType } from '../../expressions/expression.ts';
import type { CompileContext } from '../operators/operator.ts';
import type { AggregateSpec } from './aggregate.ts';
import type { AggregationPlan, PlannedColumn } from './aggregation.ts';
import { findAggregateCalls, type AggregateCall } from './find-calls.ts';
import { aggregates } from './registry.ts';

const BY_NAME: ReadonlyMap<string, AggregateSpec> = new Map(
  aggregates.map((aggregate) => [aggregate.name, aggregate]),
);
const NAMES: ReadonlySet<string> = new Set(BY_NAME.keys());

export function compileAggregation(
  columns: Readonly<Record<string, string>>,
  context: CompileContext,
): AggregationPlan {
  const compiler = new Compiler(context);
  const planned = Object.entries(columns).flatMap(([name, source]) => {
    const column = compiler.column(name, source);
    return column === undefined ? [] : [column];
  });
  return { arguments: compiler.arguments, accumulators: compiler.accumulators, columns: planned };
}

class Compiler {
  readonly arguments: {
    expression: AggregationPlan['arguments'][0]['expression'];
    numeric: boolean;
  }[] = [];
  readonly accumulators: AggregationPlan['accumulators'][0][] = [];
  private readonly context: CompileContext;
  private readonly argumentAt = new Map<string, number>();
  private readonly accumulatorAt = new Map<string, number>();
  private numbers = 0;
  private cells = 0;

  constructor(context: CompileContext) {
    this.context = context;
  }

  column(name: string, source: string): PlannedColumn | undefined {
    const path = ['aggregate', name];
    const found = findAggregateCalls(source, NAMES);
    if (found.problem !== undefined) {
      this.context.issue(path, found.problem, 'Close the call; aggregates cannot be nested.');
      return undefined;
    }
    if (found.calls.length === 0) {
      const known = aggregates.map((aggregate) => aggregate.usage).join(', ');
      this.context.issue(path, `"${source}" has no aggregate`, `Use one of ${known}.`);
      return undefined;
    }
    const specs: AggregateSpec[] = [];
    const indexes: number[] = [];
    for (const call of found.calls) {
      const index = this.call(call, path);
      if (index === undefined) return undefined;
      specs.push(BY_NAME.get(call.name)!);
      indexes.push(index);
    }
    if (found.rest === undefined) {
      return { name, type: specs[0]!.output, accumulators: indexes };
    }
    const types: [string, ValueType][] = found.names.map((each, at) => [each, specs[at]!.output]);
    const expression = this.context.expression(found.rest, path, {
      shape: { kind: 'row', columns: Object.fromEntries(types) },
    });
    return {
      name,
      type: expression.type,
      accumulators: indexes,
      combine: { expression, names: found.names },
    };
  }

  /** The index of the call's accumulator. */
  private call(call: AggregateCall, path: readonly string[]): number | undefined {
    const spec = BY_NAME.get(call.name)!;
    const given = call.arguments.length;
    if (given < spec.argumentsMin || given > spec.argumentsMax) {
      this.context.issue(path, `${call.name} takes ${arity(spec)}, not ${given}`, spec.usage);
      return undefined;
    }
    const constants = this.constants(spec, call, path);
    if (constants === undefined) return undefined;
    const identity = JSON.stringify([call.name, call.arguments]);
    const known = this.accumulatorAt.get(identity);
    if (known !== undefined) return known;
    const argument = given === 0 ? -1 : this.argument(call.arguments[0]!, spec, path);
    const index = this.accumulators.length;
    const { numbers, cells } = spec;
    const place = { numberAt: this.numbers, numbers, cellAt: this.cells, cells };
    const accumulator = spec.create(this.numbers, this.cells, constants);
    this.numbers += numbers;
    this.cells += cells;
    const text = `${call.name}(${call.arguments.join(', ')})`;
    this.accumulators.push({ accumulator, argument, call: text, ...place });
    this.accumulatorAt.set(identity, index);
    return index;
  }

  private argument(source: string, spec: AggregateSpec, path: readonly string[]): number {
    let index = this.argumentAt.get(source);
    if (index === undefined) {
      index = this.arguments.length;
      this.argumentAt.set(source, index);
      const expression = this.context.expression(
        source,
        path,
        spec.numeric ? { expects: 'number' } : {},
      );
      this.arguments.push({ expression, numeric: spec.numeric });
    } else if (spec.numeric) this.arguments[index]!.numeric = true;
    return index;
  }

  private constants(
    spec: AggregateSpec,
    call: AggregateCall,
    path: readonly string[],
  ): number[] | undefined {
    const constants: number[] = [];
    for (const source of call.arguments.slice(1)) {
      const { constant } = this.context.expression(source, path, { expects: 'number' });
      if (typeof constant?.value !== 'number') {
        this.context.issue(path, `${source} must be a constant number`, spec.usage);
        return undefined;
      }
      constants.push(constant.value);
    }
    const problem = spec.check?.(constants);
    if (problem !== undefined) {
      this.context.issue(path, `${call.name}: ${problem}`, spec.usage);
      return undefined;
    }
    return constants;
  }
}

function arity(spec: AggregateSpec): string {
  const { argumentsMin: min, argumentsMax: max } = spec;
  const range = min === max ? String(min) : `${min} to ${max}`;
  return `${range} ${max === 1 ? 'argument' : 'arguments'}`;
}
