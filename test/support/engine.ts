/** Runs stream jobs in tests: straight through, or killed and restored after every entry. */
import { decode, encode } from 'msgpackr';
import { effectiveParameters } from '@runnel/shared/definitions/parameters.ts';
import { parseJob, streamJobOf } from '@runnel/shared/definitions/parse-job.ts';
import {
  compileStreamJob,
  type StreamJobProgram,
} from '@runnel/shared/engine/compile-stream-job.ts';
import { type DryRunEntry, dryRunEntry } from '@runnel/shared/engine/dry-run.ts';
import { MemoryState, type StateDump } from '@runnel/shared/engine/memory-state.ts';
import { type Output, outputLine } from '@runnel/shared/engine/record.ts';
import type {
  DeadLetter,
  JobCounters,
  OutputCollector,
  StreamJobInstance,
} from '@runnel/shared/engine/stream-job.ts';
import type { EpochMs } from '@runnel/shared/ids.ts';
import { addCounters, emptyCounters } from './engine-crash.ts';

export function compileYaml(
  yaml: string,
  given: Readonly<Record<string, unknown>> = {},
): StreamJobProgram {
  const job = streamJobOf(parseJob(yaml).job);
  return compileStreamJob(job, effectiveParameters(job.parameters, given).values);
}

/** A job with one source, `in`, that has these fields beside its connector, and these steps. */
export function jobYaml(steps: string, source = ''): string {
  const indented = steps
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
  return [
    'apiVersion: runnel/v1',
    'kind: StreamJob',
    'metadata: { name: test }',
    `sources: { in: { mqtt: { topic: "in/#" }${source === '' ? '' : `, ${source}`} } }`,
    'steps:',
    indented,
  ].join('\n');
}

/** Entries of the sources, already in the order in which they are processed. */
export type Feed = readonly (readonly [source: string, entry: DryRunEntry])[];

export function feed(source: string, lines: readonly unknown[]): Feed {
  return lines.map((line) => [source, dryRunEntry(line)] as const);
}

export interface RunResult {
  readonly lines: string[];
  readonly outputs: Output[];
  readonly letters: DeadLetter[];
  readonly counters: JobCounters;
  readonly state: MemoryState;
}

export interface RunOptions {
  /** Kills the instance after these many entries and restores it from its encoded state. */
  readonly killAfter?: (entries: number) => boolean;
  readonly flush?: boolean;
}

export function run(program: StreamJobProgram, entries: Feed, options: RunOptions = {}): RunResult {
  const outputs: Output[] = [];
  const letters: DeadLetter[] = [];
  const collector: OutputCollector = {
    output: (output) => outputs.push(output),
    deadLetter: (letter) => letters.push(letter),
  };
  const totals = emptyCounters();
  let state = new MemoryState();
  let instance = program.create(state, collector);
  let lastMs = -Infinity;
  for (const [index, [source, entry]] of entries.entries()) {
    apply(instance, source, entry, lastMs as EpochMs);
    if (entry.kind !== 'watermark') lastMs = Math.max(lastMs, entry.timeMs);
    if (options.killAfter?.(index + 1) === true) {
      addCounters(totals, instance.counters);
      state = new MemoryState(decode(encode(state.dump())) as StateDump);
      instance = program.create(state, collector);
    }
  }
  if (options.flush ?? true) instance.flush();
  addCounters(totals, instance.counters);
  return { lines: outputs.map(outputLine), outputs, letters, counters: totals, state };
}

function apply(
  instance: StreamJobInstance,
  source: string,
  entry: DryRunEntry,
  nowMs: EpochMs,
): void {
  if (entry.kind === 'record') instance.record(source, entry.record, entry.timeMs);
  else if (entry.kind === 'now') instance.tick(entry.timeMs);
  else instance.raiseWatermark(source, entry.timeMs, nowMs);
}

/** Everything that `encode` would not bring back: undefined, Map, Set, Date, class instances. */
export function notPlain(value: unknown, path = 'state'): string[] {
  if (value === null || ['boolean', 'number', 'string'].includes(typeof value)) return [];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => notPlain(item, `${path}[${index}]`));
  }
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.entries(value).flatMap(([key, item]) => notPlain(item, `${path}.${key}`));
  }
  return [`${path} is ${typeof value === 'object' ? value.constructor.name : typeof value}`];
}
