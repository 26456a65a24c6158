/**
 * The steps of a `transform` task, compiled by the code of stream jobs: its rows are the one source
 * of a stream job that exists only here.
 */
import { compileStreamJob, type StreamJobProgram } from '../engine/compile-stream-job.ts';
import { DefinitionError, type DefinitionIssue } from '../errors.ts';
import { compileExpression } from '../expressions/compile-expression.ts';
import { type Expression, ExpressionSyntaxError } from '../expressions/expression.ts';
import { suggestion } from '../expressions/suggest.ts';
import { type DurationMs, durationMs, type JobName } from '../ids.ts';
import { parsePath } from './path.ts';
import type { SourceDefinition } from './sources/registry.ts';
import { parseSteps } from './step-schemas.ts';
import { LATE, type StepDefinition, type StreamJob } from './stream-job.ts';
import type { TaskIssue } from './task-definition.ts';

/** What of the task's settings is compiled. */
export interface TransformSettings {
  readonly input?: string | undefined;
  readonly journal?: string | undefined;
  readonly dataset?: string | undefined;
  readonly time?: string | undefined;
  readonly maxOutOfOrderness: DurationMs;
  readonly steps: readonly unknown[];
  readonly from?: string | undefined;
}

export interface CompiledTransform {
  /** What steps may call the rows. */
  readonly alias: string;
  readonly program: StreamJobProgram;
  /** Undefined: the time that the row has. */
  readonly time: Expression | undefined;
}

/** Everything that is wrong with steps, `time` and `from`, by its place. */
export function transformIssues(
  settings: TransformSettings,
  parameters: Readonly<Record<string, unknown>>,
): TaskIssue[] {
  try {
    compileTransform(settings, parameters);
    return [];
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return error.issues.map(({ path, message, hint }) => ({
      path: parsePath(path),
      message,
      ...(hint === undefined ? {} : { hint }),
    }));
  }
}

/** Throws `DefinitionError`; paths are below the task's settings. */
export function compileTransform(
  settings: TransformSettings,
  parameters: Readonly<Record<string, unknown>>,
): CompiledTransform {
  const issues: DefinitionIssue[] = [];
  const alias = aliasOf(settings);
  const time = timeOf(settings.time, parameters, issues);
  const steps = parseSteps(settings.steps, [alias], issues);
  const from = outputStep(settings, steps, issues);
  if (issues.length > 0 || from === undefined) throw new DefinitionError(issues);
  const program = compileStreamJob(jobOf(alias, settings, steps, from), parameters);
  return { alias, program, time };
}

/** The part behind the job's name. A dataset or task has one name only. */
function aliasOf({ input, journal, dataset }: TransformSettings): string {
  return input ?? dataset ?? journal!.slice(journal!.indexOf('/') + 1);
}

function timeOf(
  source: string | undefined,
  parameters: Readonly<Record<string, unknown>>,
  issues: DefinitionIssue[],
): Expression | undefined {
  if (source === undefined) return undefined;
  try {
    return compileExpression(source, { shape: { kind: 'record' }, parameters });
  } catch (error) {
    if (!(error instanceof ExpressionSyntaxError)) throw error;
    const { message, hint } = error;
    issues.push({ path: 'time', message, ...(hint === undefined ? {} : { hint }) });
    return undefined;
  }
}

function outputStep(
  settings: TransformSettings,
  steps: readonly StepDefinition[],
  issues: DefinitionIssue[],
): string | undefined {
  const ids = steps.map(({ id }) => id);
  const from = settings.from ?? ids.at(-1);
  const complete = steps.length === settings.steps.length;
  if (from !== undefined && complete && from !== LATE && !ids.includes(from)) {
    const hint = suggestion(from, [...ids, LATE]);
    const message = `no step is named "${from}"`;
    issues.push({ path: 'from', message, ...(hint === undefined ? {} : { hint }) });
  }
  return from;
}

function jobOf(
  alias: string,
  settings: TransformSettings,
  steps: readonly StepDefinition[],
  from: string,
): StreamJob {
  return {
    kind: 'StreamJob',
    name: 'transform' as JobName,
    description: '',
    labels: {},
    parameters: {},
    placement: null,
    rollout: null,
    sla: [],
    priority: 0,
    sources: { [alias]: rowsSource(alias, settings.maxOutOfOrderness) },
    steps,
    // What reaches it is the table; nothing is delivered.
    sinks: [{ from, kind: 'alerts', config: {} }],
    onIncompatibleState: 'fail',
    onLag: 'skip',
    document: null,
  };
}

/**
 * The rows as a source. Their event time is known before they reach the engine, so it comes as the
 * arrival.
 */
function rowsSource(alias: string, maxOutOfOrderness: DurationMs): SourceDefinition {
  return {
    alias,
    time: null,
    maxOutOfOrderness,
    maxAhead: durationMs(Number.MAX_SAFE_INTEGER),
    idleTimeout: null,
    watermarkPer: 'source',
    identity: null,
    identityWindow: durationMs(0),
    codec: 'json',
    overflow: 'block',
    connectorFingerprint: '',
    kind: 'file',
    config: { path: alias, from: 'start', every: durationMs(1000) },
  };
}
