/**
 * Golden cases for the agent's own runtime: the job with sinks that go to the results lane, its
 * input in the order in which dry-run merges it, and what dry-run prints for both.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { compileStreamJob } from '@runnel/shared/engine/compile-stream-job.ts';
import { effectiveParameters } from '@runnel/shared/definitions/parameters.ts';
import { parseJobDocument, streamJobOf } from '@runnel/shared/definitions/parse-job.ts';
import type { StreamJob } from '@runnel/shared/definitions/stream-job.ts';
import { dryRun, dryRunEntry, type DryRunInput } from '@runnel/shared/engine/dry-run.ts';
import { MemoryState } from '@runnel/shared/engine/memory-state.ts';
import { type Output, outputLine } from '@runnel/shared/engine/record.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';

export interface InputLine {
  readonly source: string;
  readonly time?: number;
  readonly now?: number;
  readonly watermark?: number;
  readonly topic?: string;
  readonly payload?: unknown;
}

export const CASES = join(import.meta.dirname, '../../golden/cases');

/** Every step that the job gives to a sink, once; without sinks the last one and late records. */
export function goldenJob(name: string): { document: unknown; job: StreamJob } {
  const text = readFileSync(join(CASES, name, 'job.yaml'), 'utf8');
  const written = parse(text) as { sinks?: { from: string }[] };
  const last = streamJobOf(parseJobDocument(written)).steps.at(-1)?.id ?? '';
  const froms = written.sinks?.map(({ from }) => from) ?? [last, 'late'];
  const sinks = froms.map((from) => ({ from, results: { dataset: from } }));
  const document = { ...written, sinks };
  return { document, job: streamJobOf(parseJobDocument(document)) };
}

export function goldenInput(name: string, sources: readonly string[]): InputLine[] {
  const lines = sources.flatMap((source, order) => {
    const own = join(CASES, name, `input.${source}.jsonl`);
    const file = existsSync(own) ? own : join(CASES, name, 'input.jsonl');
    let at = -Infinity;
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((text) => {
        const line = { source, ...(JSON.parse(text) as Omit<InputLine, 'source'>) };
        at = line.time ?? line.now ?? at;
        return { line, at, order };
      });
  });
  return lines.toSorted((a, b) => a.at - b.at || a.order - b.order).map(({ line }) => line);
}

export function desiredOf(document: unknown, name: string, version = 1): DesiredJob {
  const hash = `${name}-${version}`;
  return { name, version, hash, document, parameters: {}, paused: false };
}

/** What dry-run prints for these lines when the end of input closes nothing. */
export async function dryRunText(job: StreamJob, lines: readonly InputLine[]): Promise<string> {
  const program = compileStreamJob(job, effectiveParameters(job.parameters, {}).values);
  const inputs = Object.keys(job.sources).map((source): DryRunInput => {
    const entries = lines.filter((line) => line.source === source).map((line) => dryRunEntry(line));
    return { source, chunks: once(entries) };
  });
  const options = { state: new MemoryState(), flush: false, deadLetter: () => undefined };
  const outputs: Output[] = [];
  for await (const chunk of dryRun(program, inputs, options)) outputs.push(...chunk);
  return textOf(outputs);
}

async function* once<T>(entries: readonly T[]): AsyncGenerator<readonly T[]> {
  if (entries.length > 0) yield entries;
}

/** Outbox rows and outputs have the same fields. */
export function textOf(rows: readonly (Row | Output)[]): string {
  return rows.map((row) => `${outputLine(row as Output)}\n`).join('');
}
