/**
 * What a job put out since the last commit was prepared. It becomes outbox rows of that commit; a
 * job that throws loses it together with its state, and a replay puts out nothing.
 */
import type { Output } from '@runnel/shared/engine/record.ts';
import type { DeadLetter, OutputCollector } from '@runnel/shared/engine/stream-job.ts';
import type { RowOrigin } from '../outbox/job-lanes.ts';
import type { JobRecord } from './job-record.ts';
import type { JobTotalsMeter } from './job-totals.ts';
import type { RunnableJob, RunnableSink } from './runnable-job.ts';

/** Where outputs go when their commit is prepared. */
export interface OutputTargets {
  alert(text: string): void;
  row(origin: RowOrigin, text: string): void;
  local(job: string, sink: number, text: string): void;
  deadLetter(job: string, version: number, letter: DeadLetter): void;
  /** Letters beyond what a commit keeps. */
  lettersDropped(count: number): void;
  /** A dataset got rows; `end` of the newest window among them, or null. */
  updated?(dataset: string, end: number | null): void;
}

/** Dead letters of one job kept per commit; policy: drop-newest, counted. */
const LETTERS_PER_COMMIT_MAX = 100;

export class JobOutputs implements OutputCollector {
  readonly #job: string;
  readonly #version: number;
  readonly #priority: number;
  readonly #sinks: readonly RunnableSink[];
  readonly #meter: JobTotalsMeter;
  /** While a part of the journal is replayed. */
  muted = false;
  /** Something should be delivered at once. */
  urgent = false;
  #rows: { readonly to: 'alerts' | 'results'; readonly text: string }[] = [];
  #local: { readonly sink: number; readonly text: string }[] = [];
  #letters: DeadLetter[] = [];
  #lettersDropped = 0;
  readonly #updated = new Map<string, number | null>();

  constructor(record: JobRecord, runnable: RunnableJob, meter: JobTotalsMeter) {
    this.#job = record.name;
    this.#version = record.current.version;
    this.#priority = runnable.priority;
    this.#sinks = runnable.sinks;
    this.#meter = meter;
  }

  get count(): number {
    return this.#rows.length + this.#local.length + this.#letters.length;
  }

  output(output: Output, sinks: readonly number[]): void {
    if (this.muted) return;
    for (const index of sinks) {
      const sink = this.#sinks[index];
      if (sink === undefined) continue;
      if (sink.urgent) this.urgent = true;
      if (sink.to === 'local') {
        const row = { v: 1, version: this.#version, output };
        this.#local.push({ sink: index, text: JSON.stringify(row) });
      } else {
        this.#rows.push({ to: sink.to, text: this.#rowText(sink, output) });
        if (sink.to === 'results') this.#update(sink.dataset, output.windowEnd);
      }
    }
  }

  deadLetter(letter: DeadLetter): void {
    if (this.muted) return;
    this.#meter.deadLetter(letter);
    if (this.#letters.length < LETTERS_PER_COMMIT_MAX) this.#letters.push(letter);
    else this.#lettersDropped++;
  }

  handOver(targets: OutputTargets): void {
    const origin = { job: this.#job, priority: this.#priority };
    for (const { to, text } of this.#rows) {
      if (to === 'alerts') targets.alert(text);
      else targets.row(origin, text);
    }
    for (const { sink, text } of this.#local) targets.local(this.#job, sink, text);
    for (const letter of this.#letters) targets.deadLetter(this.#job, this.#version, letter);
    if (this.#lettersDropped > 0) targets.lettersDropped(this.#lettersDropped);
    for (const [dataset, end] of this.#updated) targets.updated?.(dataset, end);
    this.discard();
  }

  discard(): void {
    if (this.#rows.length > 0) this.#rows = [];
    if (this.#local.length > 0) this.#local = [];
    if (this.#letters.length > 0) this.#letters = [];
    this.#lettersDropped = 0;
    if (this.#updated.size > 0) this.#updated.clear();
    this.urgent = false;
  }

  #update(dataset: string, end: number | null): void {
    const before = this.#updated.get(dataset) ?? null;
    this.#updated.set(
      dataset,
      end === null || before === null ? (end ?? before) : Math.max(end, before),
    );
  }

  #rowText(sink: Exclude<RunnableSink, { to: 'local' }>, output: Output): string {
    const { step, key, windowStart, windowEnd, time, revision, value, at } = output;
    return JSON.stringify({
      kind: sink.to === 'alerts' ? 'alert' : 'result',
      job: this.#job,
      version: this.#version,
      step,
      dataset: sink.to === 'alerts' ? step : sink.dataset,
      key,
      windowStart,
      windowEnd,
      time,
      revision,
      value,
      at,
    });
  }
}
