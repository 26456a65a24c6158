/**
 * Runs a job over entries from files instead of a journal: dry-run, `test` and the golden cases.
 *
 * Entries of several inputs are merged by `time`, then by the order of the inputs; entries of one
 * input keep their order. `{"watermark"}` entries stand where the entry before them stood. At the
 * end event time moves to the end of every open window; processing time does not. Inputs come in
 * chunks and outputs leave in chunks, so memory does not grow with the input.
 */
import { RunnelError } from '../errors.ts';
import type { EpochMs } from '../ids.ts';
import type { Output } from './record.ts';
import type { JobState } from './state.ts';
import type { StreamJobProgram } from './compile-stream-job.ts';
import type { DeadLetter, JobCounters, SourceRecord, StreamJobInstance } from './stream-job.ts';

export type DryRunEntry =
  | { readonly kind: 'record'; readonly timeMs: EpochMs; readonly record: SourceRecord }
  | { readonly kind: 'now'; readonly timeMs: EpochMs }
  | { readonly kind: 'watermark'; readonly timeMs: EpochMs };

export interface DryRunInput {
  /** The job's own name for the source. */
  readonly source: string;
  readonly chunks: AsyncIterable<readonly DryRunEntry[]>;
}

export interface DryRunOptions {
  readonly state: JobState;
  /** Whether the end of input closes what is open. */
  readonly flush: boolean;
  deadLetter(letter: DeadLetter): void;
}

/** Outputs gathered before they are handed over. */
const OUTPUTS_PER_CHUNK = 512;
const NO_META: Readonly<Record<string, unknown>> = Object.freeze({});

/** Yields the outputs in order; returns the counters. */
export async function* dryRun(
  program: StreamJobProgram,
  inputs: readonly DryRunInput[],
  options: DryRunOptions,
): AsyncGenerator<readonly Output[], JobCounters> {
  const outputs: Output[] = [];
  const instance = program.create(options.state, {
    output: (output) => outputs.push(output),
    deadLetter: (letter) => options.deadLetter(letter),
  });
  const cursors = inputs.map((input) => new Cursor(input));
  try {
    for (const cursor of cursors) await cursor.fill();
    for (;;) {
      const cursor = earliest(cursors);
      if (cursor === undefined) break;
      if (cursor.apply(instance)) await cursor.fill();
      if (outputs.length >= OUTPUTS_PER_CHUNK) yield outputs.splice(0);
    }
    if (options.flush) instance.flush();
    if (outputs.length > 0) yield outputs.splice(0);
    return instance.counters;
  } catch (error) {
    // What came out before a broken line is still right.
    if (outputs.length > 0) yield outputs;
    throw error;
  } finally {
    for (const cursor of cursors) await cursor.close();
  }
}

/** One input and the place it has been read to. */
class Cursor {
  /** Where the next entry stands in the merge; Infinity at the end. */
  atMs = -Infinity;
  private readonly source: string;
  private readonly chunks: AsyncIterator<readonly DryRunEntry[]>;
  private chunk: readonly DryRunEntry[] = [];
  private next = 0;
  private lastMs = -Infinity;

  constructor(input: DryRunInput) {
    this.source = input.source;
    this.chunks = input.chunks[Symbol.asyncIterator]();
  }

  async fill(): Promise<void> {
    while (this.next >= this.chunk.length) {
      const result = await this.chunks.next();
      if (result.done === true) {
        this.atMs = Infinity;
        return;
      }
      this.chunk = result.value;
      this.next = 0;
    }
    this.place();
  }

  /** Gives the next entry to the job; true when more must be read. */
  apply(instance: StreamJobInstance): boolean {
    const entry = this.chunk[this.next]!;
    this.next += 1;
    if (entry.kind === 'record') instance.record(this.source, entry.record, entry.timeMs);
    else if (entry.kind === 'now') instance.tick(entry.timeMs);
    else instance.raiseWatermark(this.source, entry.timeMs, this.lastMs as EpochMs);
    if (this.next >= this.chunk.length) return true;
    this.place();
    return false;
  }

  async close(): Promise<void> {
    await this.chunks.return?.();
  }

  private place(): void {
    const entry = this.chunk[this.next]!;
    if (entry.kind !== 'watermark') this.lastMs = entry.timeMs;
    this.atMs = this.lastMs;
  }
}

function earliest(cursors: readonly Cursor[]): Cursor | undefined {
  let found: Cursor | undefined;
  for (const cursor of cursors) {
    if (cursor.atMs < (found?.atMs ?? Infinity)) found = cursor;
  }
  return found;
}

/**
 * An input line as JSON: `{"time": ms, "topic", "payload"}`, `{"watermark": ms}` or `{"now": ms}`.
 * Throws a `RunnelError` that says what is wrong with it.
 */
export function dryRunEntry(value: unknown): DryRunEntry {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('is no JSON object');
  }
  const line = value as Readonly<Record<string, unknown>>;
  const meanings = ['payload', 'watermark', 'now'].filter((field) => field in line);
  if (meanings.length > 1) throw invalid(`has ${meanings.join(' and ')}, of which it can have one`);
  if ('watermark' in line) return { kind: 'watermark', timeMs: msOf(line, 'watermark') };
  if ('now' in line) return { kind: 'now', timeMs: msOf(line, 'now') };
  if (!('payload' in line)) throw invalid('has no payload');
  const topic = line['topic'] ?? '';
  if (typeof topic !== 'string') throw invalid('has a topic that is no text');
  const meta = line['meta'] ?? NO_META;
  if (typeof meta !== 'object' || Array.isArray(meta)) throw invalid('has a meta that is no map');
  const record = { topic, payload: line['payload'], meta: meta as SourceRecord['meta'] };
  return { kind: 'record', timeMs: msOf(line, 'time'), record };
}

function msOf(line: Readonly<Record<string, unknown>>, field: string): EpochMs {
  const value = line[field];
  if (typeof value === 'number' && Number.isFinite(value)) return Math.floor(value) as EpochMs;
  throw invalid(value === undefined ? `has no ${field}` : `has a ${field} that is no number`);
}

function invalid(problem: string): RunnelError {
  return new RunnelError('input_invalid', problem, {
    hint: 'A line is {"time": ms, "topic", "payload"}, {"watermark": ms} or {"now": ms}.',
  });
}
