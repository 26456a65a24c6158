/**
 * A stream job's document to a `StreamJob`. Every part is parsed on its own, so that one pass finds
 * all mistakes and each names its place.
 */
import { z } from 'zod';
import type { Json } from '../engine/record.ts';
import { type DefinitionIssue, RunnelError } from '../errors.ts';
import { compileExpression } from '../expressions/compile-expression.ts';
import { suggestion } from '../expressions/suggest.ts';
import type { JobName } from '../ids.ts';
import { canonicalJson, contentHash } from './canonical-json.ts';
import { sampleParameters } from './parameters.ts';
import type { Path } from './path.ts';
import { commonSourceFields } from './source-definition.ts';
import { type SourceDefinition, sources } from './sources/registry.ts';
import { type SinkDefinition, sinks } from './sinks/registry.ts';
import { parseSteps } from './step-schemas.ts';
import { LATE, name, type StepDefinition, type StreamJob, streamJobFields } from './stream-job.ts';
import { type Fields, issueAt, parseAt, strict } from './strict.ts';

const jobSchema = strict({
  ...streamJobFields,
  sources: z.unknown().optional(),
  steps: z.unknown().optional(),
  sinks: z.unknown().optional(),
});

export const commonSourceSchema = strict(commonSourceFields);

/** Undefined when there are issues; they are added to `issues`. */
export function parseStreamJob(
  document: unknown,
  issues: DefinitionIssue[],
): StreamJob | undefined {
  const job = parseAt(jobSchema, document, [], issues);
  const parts = document as { sources?: unknown; steps?: unknown; sinks?: unknown };
  const parsedSources = parseSources(parts.sources, issues);
  const aliases = aliasesOf(parts.sources);
  const steps = parseSteps(parts.steps, aliases, issues);
  if (parts.steps === undefined) issues.push(issueAt(['steps'], 'is missing: a job needs a step'));
  const parsedSinks = parseSinks(parts.sinks, steps, parts.steps, issues);
  if (job !== undefined) checkSourceExpressions(parsedSources, job.parameters, issues);
  if (job === undefined || issues.length > 0) return undefined;
  return {
    kind: 'StreamJob',
    name: job.metadata.name as JobName,
    description: job.metadata.description,
    labels: job.metadata.labels,
    parameters: job.parameters,
    placement: job.placement ?? null,
    rollout: job.rollout ?? null,
    sla: job.sla,
    sources: parsedSources,
    steps,
    sinks: parsedSinks,
    onIncompatibleState: job.onIncompatibleState,
    onLag: job.onLag,
    document: document as Json,
  };
}

const SOURCES_MAX = 32;

function aliasesOf(input: unknown): string[] {
  return typeof input === 'object' && input !== null ? Object.keys(input) : [];
}

function parseSources(
  input: unknown,
  issues: DefinitionIssue[],
): Readonly<Record<string, SourceDefinition>> {
  const record = parseAt(z.record(z.string(), z.unknown()), input, ['sources'], issues) ?? {};
  const aliases = Object.keys(record);
  if (input !== undefined && (aliases.length === 0 || aliases.length > SOURCES_MAX)) {
    issues.push(issueAt(['sources'], `needs from 1 to ${SOURCES_MAX} sources`));
  }
  const parsed: Record<string, SourceDefinition> = {};
  for (const alias of aliases) {
    const path = ['sources', alias];
    parseAt(name, alias, path, issues);
    if (alias === LATE) issues.push(issueAt(path, '"late" names the late records'));
    const source = parseSource(alias, record[alias], path, issues);
    if (source !== undefined) parsed[alias] = source;
  }
  return parsed;
}

function parseSource(
  alias: string,
  raw: unknown,
  path: Path,
  issues: DefinitionIssue[],
): SourceDefinition | undefined {
  const record = parseAt(z.record(z.string(), z.unknown()), raw, path, issues);
  if (record === undefined) return undefined;
  const known = Object.keys(commonSourceFields);
  const picked = pickKind(record, sources, known, { path, what: 'source' }, issues);
  if (picked === undefined) return undefined;
  const common = parseAt(commonSourceSchema, picked.rest, path, issues);
  const config = parseConfig(picked.spec, picked.config, [...path, picked.spec.kind], issues);
  if (common === undefined || config === undefined) return undefined;
  const { kind } = picked.spec;
  const definition = {
    ...common,
    alias,
    time: common.time ?? null,
    idleTimeout: common.idleTimeout ?? null,
    identity: common.identity ?? null,
    connectorFingerprint: contentHash({ kind, config }).slice(0, 32),
    kind,
    config,
  };
  return definition as SourceDefinition;
}

interface Spec {
  readonly kind: string;
  readonly fields: Fields;
  readonly problem?: (config: never) => readonly [field: string, message: string] | undefined;
}

interface Picked<S extends Spec> {
  readonly spec: S;
  readonly config: unknown;
  readonly rest: Readonly<Record<string, unknown>>;
}

/** The one key that names a kind, its value, and the other keys, which must be known. */
function pickKind<S extends Spec>(
  record: Readonly<Record<string, unknown>>,
  specs: readonly S[],
  common: readonly string[],
  at: { readonly path: Path; readonly what: string },
  issues: DefinitionIssue[],
): Picked<S> | undefined {
  const kinds = specs.map((spec) => spec.kind);
  const keys = Object.keys(record);
  const named = keys.filter((key) => kinds.includes(key));
  const unknown = keys.filter((key) => !kinds.includes(key) && !common.includes(key));
  for (const key of unknown) {
    const names = named.length > 0 ? common : [...kinds, ...common];
    issues.push(issueAt([...at.path, key], `unknown key "${key}"`, suggestion(key, names)));
  }
  const [kind] = named;
  if (kind === undefined || named.length > 1) {
    if (unknown.length > 0 && kind === undefined) return undefined;
    const problem = kind === undefined ? 'has no kind' : `holds ${named.join(' and ')}`;
    issues.push(issueAt(at.path, `the ${at.what} ${problem}`, `one of ${kinds.join(', ')}`));
    return undefined;
  }
  const spec = specs.find((candidate) => candidate.kind === kind);
  if (spec === undefined) return undefined;
  const rest = Object.fromEntries(
    Object.entries(record).filter(([key]) => common.includes(key) && key !== kind),
  );
  return { spec, config: record[kind], rest };
}

function parseConfig(spec: Spec, input: unknown, path: Path, issues: DefinitionIssue[]): unknown {
  // `host:` and `alerts:` alone are null in YAML and mean the defaults.
  const config = parseAt(strict(spec.fields), input ?? {}, path, issues);
  if (config === undefined) return undefined;
  const problem = spec.problem?.(config as never);
  if (problem === undefined) return config;
  issues.push(issueAt([...path, problem[0]], problem[1]));
  return undefined;
}

function parseSinks(
  input: unknown,
  steps: readonly StepDefinition[],
  rawSteps: unknown,
  issues: DefinitionIssue[],
): SinkDefinition[] {
  const list = parseAt(z.array(z.unknown()).max(100), input ?? [], ['sinks'], issues) ?? [];
  const seen = new Set<string>();
  const files = new Set<string>();
  // What the sinks take is told only of steps that are there and were read: else it says twice
  // what is wrong with the steps.
  const complete = Array.isArray(rawSteps) && rawSteps.length === steps.length;
  return list.flatMap((raw, index) => {
    const path = ['sinks', index];
    const record = parseAt(z.record(z.string(), z.unknown()), raw, path, issues);
    if (record === undefined) return [];
    const picked = pickKind(record, sinks, ['from'], { path, what: 'sink' }, issues);
    if (picked === undefined) return [];
    const config = parseConfig(picked.spec, picked.config, [...path, picked.spec.kind], issues);
    const from = parseAt(name.optional(), picked.rest.from, [...path, 'from'], issues);
    const step = from ?? steps.at(-1)?.id;
    if (complete) checkSinkStep(step, from === undefined ? path : [...path, 'from'], steps, issues);
    if (config === undefined || step === undefined) return [];
    const sink = { from: step, kind: picked.spec.kind, config } as SinkDefinition;
    const identity = canonicalJson(sink);
    if (seen.has(identity)) {
      issues.push(issueAt(path, 'is there twice'));
      return [];
    }
    seen.add(identity);
    const file = sink.kind === 'file' ? plainPath(sink.config.path) : undefined;
    if (file !== undefined && files.has(file)) {
      const hint = 'give each file sink a path of its own';
      issues.push(issueAt([...path, 'file', 'path'], 'another sink of the job writes there', hint));
    } else if (file !== undefined) files.add(file);
    return [sink];
  });
}

/** Two spellings of one path are one file: `out/./rms.jsonl` is `out/rms.jsonl`. */
function plainPath(path: string): string {
  const plain: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..' && plain.length > 0 && plain.at(-1) !== '..') plain.pop();
    else if (name !== '' && name !== '.') plain.push(name);
  }
  return `${path.startsWith('/') ? '/' : ''}${plain.join('/')}`;
}

function checkSinkStep(
  step: string | undefined,
  path: Path,
  steps: readonly StepDefinition[],
  issues: DefinitionIssue[],
): void {
  if (step === undefined) {
    issues.push(issueAt(path, 'takes nothing: the job has no steps', 'add a step'));
    return;
  }
  const ids = steps.map((known) => known.id);
  if (step === LATE || ids.includes(step)) return;
  const hint = suggestion(step, [...ids, LATE]);
  issues.push(issueAt(path, `no step is named "${step}"`, hint));
}

/** `time:` and `identity:` see the record, like every expression before an aggregation. */
function checkSourceExpressions(
  parsed: Readonly<Record<string, SourceDefinition>>,
  parameters: StreamJob['parameters'],
  issues: DefinitionIssue[],
): void {
  const options = { shape: { kind: 'record' }, parameters: sampleParameters(parameters) } as const;
  for (const [alias, source] of Object.entries(parsed)) {
    for (const field of ['time', 'identity'] as const) {
      const text = source[field];
      if (text === null) continue;
      try {
        compileExpression(text, options);
      } catch (error) {
        if (!(error instanceof RunnelError)) throw error;
        issues.push(issueAt(['sources', alias, field], error.message, error.hint));
      }
    }
  }
}
