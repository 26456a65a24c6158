/**
 * From a checked stream job and its parameters to a program: every expression compiled against
 * what its step can see, every step's operator compiled, and the graph between them.
 *
 * Throws one `DefinitionError` with all that is wrong and where. A program holds no state and may
 * be used for any number of instances, one after the other or side by side.
 */
import { type Path, pathText } from '../definitions/path.ts';
import { LATE, type StepDefinition, type StreamJob } from '../definitions/stream-job.ts';
import { DefinitionError, type DefinitionIssue } from '../errors.ts';
import { compileExpression } from '../expressions/compile-expression.ts';
import {
  ExpressionError,
  ExpressionSyntaxError,
  type Expression,
  type Shape,
  type ValueType,
} from '../expressions/expression.ts';
import { Identities } from './identities.ts';
import { JobInstance, type SourceInput, TIME_STATE_VERSION, TIME_STEP } from './job-instance.ts';
import type { CompileContext, CompiledOperator } from './operators/operator.ts';
import { operators } from './operators/registry.ts';
import { topicsStep } from './source-time.ts';
import type { JobState } from './state.ts';
import { StepNode } from './step-node.ts';
import type { OutputCollector, StreamJobInstance } from './stream-job.ts';
import { WatermarkGroup } from './watermark-group.ts';

/** A step's state, for version switches: kept where all three match. */
export interface StepState {
  readonly stepId: string;
  /** 0: it keeps none. */
  readonly stateVersion: number;
  readonly stateFingerprint: string;
}

export interface StreamJobProgram {
  /** The steps, and what the engine keeps beside them (names that begin with `$`). */
  readonly steps: readonly StepState[];
  create(state: JobState, collector: OutputCollector): StreamJobInstance;
}

export function compileStreamJob(
  job: StreamJob,
  parameters: Readonly<Record<string, unknown>>,
): StreamJobProgram {
  const compiler = new Compiler(job, parameters);
  const program = compiler.compile();
  if (compiler.issues.length > 0) throw new DefinitionError(compiler.issues);
  return program;
}

interface CompiledStep {
  readonly definition: StepDefinition;
  readonly operator: CompiledOperator;
  readonly output: Shape;
  readonly revises: boolean;
  /** Aliases of all sources that reach it. */
  readonly sources: readonly string[];
  readonly afterLate: boolean;
}

interface CompiledSource {
  readonly time: Expression | undefined;
  readonly identity: Expression | undefined;
}

const RECORD: Shape = { kind: 'record' };

class Compiler {
  readonly issues: DefinitionIssue[] = [];
  private readonly job: StreamJob;
  private readonly parameters: Readonly<Record<string, unknown>>;
  private readonly steps = new Map<string, CompiledStep>();

  constructor(job: StreamJob, parameters: Readonly<Record<string, unknown>>) {
    this.job = job;
    this.parameters = parameters;
  }

  compile(): StreamJobProgram {
    const sources = new Map<string, CompiledSource>();
    for (const alias of Object.keys(this.job.sources)) sources.set(alias, this.source(alias));
    for (const definition of this.job.steps) {
      const step = this.step(definition);
      if (step !== undefined) this.steps.set(definition.id, step);
    }
    return new Program(this.job, sources, [...this.steps.values()]);
  }

  private source(alias: string): CompiledSource {
    const compiled = (field: 'time' | 'identity'): Expression | undefined => {
      const text = this.job.sources[alias]![field];
      if (text === null) return undefined;
      return this.expression(text, ['sources', alias, field], RECORD, undefined);
    };
    return { time: compiled('time'), identity: compiled('identity') };
  }

  private step(definition: StepDefinition): CompiledStep | undefined {
    const operator = operators.find((each) => each.name === definition.operator);
    if (operator === undefined) {
      this.issue(definition.path, `no operator is named "${definition.operator}"`);
      return undefined;
    }
    const inputs = definition.from.map((name) => this.input(name, definition));
    const sources = [...new Set(inputs.flatMap((input) => input.sources))].sort();
    const input = mergeShapes(inputs.map((each) => each.output));
    const inputRevises = inputs.some((each) => each.revises);
    const context: CompileContext = {
      stepId: definition.id,
      input,
      inputRevises,
      inputPerKey: sources.some((alias) => this.job.sources[alias]?.watermarkPer === 'key'),
      parameters: this.parameters,
      expression: (text, path, options) =>
        this.expression(
          text,
          [...definition.path, ...path],
          options?.shape ?? input,
          options?.expects,
        ),
      issue: (path, message, hint) => this.issue([...definition.path, ...path], message, hint),
    };
    const compiled = operator.compile(definition.config as never, context);
    return {
      definition,
      operator: compiled,
      output: compiled.output,
      revises: compiled.revises ?? inputRevises,
      sources,
      afterLate: inputs.some((each) => each.afterLate),
    };
  }

  /** What is known of a source, an earlier step, or the late records of all steps. */
  private input(
    name: string,
    step: StepDefinition,
  ): Pick<CompiledStep, 'output' | 'revises' | 'sources' | 'afterLate'> {
    const everything = Object.keys(this.job.sources);
    if (name === LATE) {
      return { output: RECORD, revises: false, sources: everything, afterLate: true };
    }
    if (everything.includes(name)) {
      return { output: RECORD, revises: false, sources: [name], afterLate: false };
    }
    const earlier = this.steps.get(name);
    if (earlier !== undefined) return earlier;
    const failed = this.job.steps.some(({ id }) => id === name && id !== step.id);
    if (!failed) this.issue([...step.path, 'from'], `no earlier step or source is named "${name}"`);
    return { output: RECORD, revises: false, sources: everything, afterLate: false };
  }

  private expression(
    text: string,
    path: Path,
    shape: Shape,
    expects: ValueType | undefined,
  ): Expression {
    try {
      return compileExpression(text, {
        shape,
        parameters: this.parameters,
        ...(expects === undefined ? {} : { expects }),
      });
    } catch (error) {
      if (!(error instanceof ExpressionSyntaxError)) throw error;
      this.issue(path, error.message, error.hint);
      return failing(text);
    }
  }

  private issue(path: Path, message: string, hint?: string): void {
    this.issues.push({
      path: pathText(path),
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Stands for an expression that does not compile, so that the rest is still looked at. */
function failing(source: string): Expression {
  return {
    source,
    type: 'dyn',
    evaluate: () => {
      throw new ExpressionError('invalid', `${source} does not compile`);
    },
  };
}

/** What a step may use of several inputs: the columns of any row; of records nothing is known. */
function mergeShapes(shapes: readonly Shape[]): Shape {
  const columns: Record<string, ValueType> = {};
  for (const shape of shapes) {
    if (shape.kind === 'record') return RECORD;
    for (const [name, type] of Object.entries(shape.columns)) {
      columns[name] = columns[name] === undefined || columns[name] === type ? type : 'dyn';
    }
  }
  return { kind: 'row', columns };
}

class Program implements StreamJobProgram {
  readonly steps: readonly StepState[];
  private readonly job: StreamJob;
  private readonly sources: ReadonlyMap<string, CompiledSource>;
  private readonly compiled: readonly CompiledStep[];
  private readonly lateSinks: readonly number[];

  constructor(
    job: StreamJob,
    sources: ReadonlyMap<string, CompiledSource>,
    compiled: readonly CompiledStep[],
  ) {
    this.job = job;
    this.sources = sources;
    this.compiled = compiled;
    this.lateSinks = this.sinksOf(LATE);
    this.steps = [...this.engineStates(), ...compiled.map(stateOf)];
  }

  create(state: JobState, collector: OutputCollector): StreamJobInstance {
    const instance = new JobInstance(state, collector);
    const nodes = this.nodes(instance);
    const inputs = new Map<string, SourceInput>();
    const groups = new Map<string, WatermarkGroup>();
    const times = new Map(
      Object.entries(this.job.sources).map(([alias, source]) => [
        alias,
        instance.sourceTime(source),
      ]),
    );
    for (const step of [...this.compiled].sort((a, b) => a.sources.length - b.sources.length)) {
      const signature = signatureOf(step);
      if (groups.has(signature)) continue;
      const members = this.compiled.filter((each) => signatureOf(each) === signature);
      const moved = members.map((each) => nodes.get(each.definition.id)!);
      const group = new WatermarkGroup(
        step.sources.map((alias) => times.get(alias)!),
        moved.filter((node) => node.instance.watermark !== undefined),
        instance.groupWatermarkMs(signature),
      );
      groups.set(signature, group);
    }
    for (const [alias, time] of times) {
      const fed = this.compiled.filter((step) => step.sources.includes(alias)).map(signatureOf);
      inputs.set(alias, {
        alias,
        time,
        ...this.expressionsOf(alias, instance),
        maxAheadMs: this.job.sources[alias]!.maxAhead,
        targets: this.targetsOf(alias, nodes),
        groups: [...groups]
          .filter(([signature]) => fed.includes(signature))
          .map(([, each]) => each),
      });
    }
    const late = this.compiled.filter((step) => step.afterLate);
    instance.wire({
      inputs,
      steps: [...nodes.values()],
      groups,
      lateSinks: this.lateSinks,
      lateTargets: this.targetsOf(LATE, nodes),
      afterLate: new Set(late.map((step) => step.definition.id)),
    });
    return instance;
  }

  private nodes(instance: JobInstance): Map<string, StepNode> {
    const nodes = new Map<string, StepNode>();
    const lastId = this.compiled.at(-1)?.definition.id;
    for (const step of this.compiled) {
      const { id } = step.definition;
      const perKey = step.sources.filter(
        (alias) => this.job.sources[alias]?.watermarkPer === 'key',
      );
      const sinks = this.sinksOf(id);
      const isOutput = sinks.length > 0 || (this.job.sinks.length === 0 && id === lastId);
      const node = new StepNode(id, instance, isOutput ? sinks : undefined, {
        perKey: perKey.length > 0,
        idleTimeoutMs: Math.min(
          ...perKey.map((alias) => this.job.sources[alias]?.idleTimeout ?? Infinity),
        ),
        watermarkMs: instance.groupWatermarkMs(signatureOf(step)),
      });
      nodes.set(id, node);
    }
    for (const step of this.compiled) {
      const node = nodes.get(step.definition.id)!;
      node.instance = step.operator.create(node);
      node.targets.push(...this.targetsOf(step.definition.id, nodes));
    }
    return nodes;
  }

  private expressionsOf(
    alias: string,
    instance: JobInstance,
  ): Pick<SourceInput, 'timeExpression' | 'identity' | 'identities'> {
    const { time, identity } = this.sources.get(alias)!;
    if (identity === undefined) {
      return { timeExpression: time, identity: undefined, identities: undefined };
    }
    const seen = instance.state.step<number>(identitiesStep(alias), 1);
    const windowMs = this.job.sources[alias]!.identityWindow;
    const forgot = (): void => instance.dropped('identities_max');
    return { timeExpression: time, identity, identities: new Identities(windowMs, seen, forgot) };
  }

  private targetsOf(name: string, nodes: ReadonlyMap<string, StepNode>): StepNode[] {
    return this.compiled
      .filter((step) => step.definition.from.includes(name))
      .map((step) => nodes.get(step.definition.id)!);
  }

  private sinksOf(name: string): number[] {
    return this.job.sinks.flatMap((sink, index) => (sink.from === name ? [index] : []));
  }

  private engineStates(): StepState[] {
    const states: StepState[] = [
      { stepId: TIME_STEP, stateVersion: TIME_STATE_VERSION, stateFingerprint: '' },
    ];
    for (const [alias, source] of Object.entries(this.job.sources)) {
      if (source.watermarkPer === 'topic') {
        const stateFingerprint = '';
        states.push({ stepId: topicsStep(alias), stateVersion: 1, stateFingerprint });
      }
      if (source.identity !== null) {
        const stateFingerprint = source.identity;
        states.push({ stepId: identitiesStep(alias), stateVersion: 1, stateFingerprint });
      }
    }
    return states;
  }
}

function identitiesStep(alias: string): string {
  return `$identities:${alias}`;
}

function signatureOf(step: CompiledStep): string {
  return step.sources.join(' ');
}

function stateOf(step: CompiledStep): StepState {
  const { stateVersion, stateFingerprint } = step.operator;
  return { stepId: step.definition.id, stateVersion, stateFingerprint };
}
