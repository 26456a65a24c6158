/**
 * A stream job's document to a `StreamJob`. Every part is parsed on its own, so that one pass finds
 * all mistakes and each names its place. Nothing of batch jobs is loaded with it: an agent that has
 * none does not carry them.
 */
import { z } from 'zod';
import type { Json } from '../engine/record.ts';
import { DefinitionError, type DefinitionIssue } from '../errors.ts';
import { suggestion } from '../expressions/suggest.ts';
import type { JobName } from '../ids.ts';
import { canonicalJson } from './canonical-json.ts';
import { checkGate } from './check-gate.ts';
import { aliasesOf, checkSourceExpressions, parseSources } from './parse-sources.ts';
import { readJobKind } from './job-kind.ts';
import type { Path } from './path.ts';
import { parseConfig, pickKind } from './pick-kind.ts';
import { type SinkDefinition, sinks } from './sinks/registry.ts';
import { parseSteps } from './step-schemas.ts';
import { LATE, name, type StepDefinition, type StreamJob, streamJobFields } from './stream-job.ts';
import { issueAt, parseAt, strict } from './strict.ts';

const jobSchema = strict({
  ...streamJobFields,
  sources: z.unknown().optional(),
  steps: z.unknown().optional(),
  sinks: z.unknown().optional(),
});

/** A document that came as JSON and must be a stream job. Throws `DefinitionError`. */
export function parseStreamJobDocument(document: unknown): StreamJob {
  const issues: DefinitionIssue[] = [];
  const known = readJobKind(document, issues);
  if (known?.kind === 'BatchJob') throw notStreamJob();
  const job = known === undefined ? undefined : parseStreamJob(known.record, issues);
  if (job === undefined || issues.length > 0) throw new DefinitionError(issues);
  return job;
}

export function notStreamJob(): DefinitionError {
  const message = 'this is a batch job, where a stream job is needed';
  return new DefinitionError([issueAt(['kind'], message)]);
}

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
  if (job !== undefined) {
    checkSourceExpressions(parsedSources, job.parameters, issues);
    checkGate(job, issues);
  }
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
    priority: job.priority,
    sources: parsedSources,
    steps,
    sinks: parsedSinks,
    onIncompatibleState: job.onIncompatibleState,
    onLag: job.onLag,
    document: document as Json,
  };
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
