/**
 * A running stream job: sources with their event time, steps with their state, counters.
 *
 * The order in which one entry works: `now` moves (idle sources, absence, timers), the record's
 * event time is found and checked, the record goes through the steps against the watermark as it
 * was, then the watermark moves and windows fire. Everything follows from the order of the entries
 * and the `now` they carry, so how they are batched changes nothing (I6).
 *
 * What is kept between entries and is no step's own is one value in the state `$time`: `now`, the
 * sources' event time and the watermarks of the groups of steps.
 */
import type { SourceDefinition } from '../definitions/sources/registry.ts';
import { RunnelError } from '../errors.ts';
import type { Expression } from '../expressions/expression.ts';
import { ExpressionError } from '../expressions/expression.ts';
import type { EpochMs } from '../ids.ts';
import { eventTimeOf } from './event-time.ts';
import type { Identities } from './identities.ts';
import type { EngineRecord } from './record.ts';
import { newSourceTime, SourceTime, type SourceTimeState } from './source-time.ts';
import type { JobState, KeyedState } from './state.ts';
import type { StepHost, StepNode } from './step-node.ts';
import type {
  JobCounters,
  OutputCollector,
  SourceRecord,
  StreamJobInstance,
} from './stream-job.ts';
import type { WatermarkGroup } from './watermark-group.ts';

/** The name of the state that holds event time; its only key is empty. */
export const TIME_STEP = '$time';
export const TIME_STATE_VERSION = 1;

interface TimeState {
  /** The largest `now`; −Infinity before the first entry. */
  n: number;
  /** By alias. */
  s: Record<string, SourceTimeState>;
  /** Watermarks by the aliases of the group's sources. */
  w: Record<string, number>;
  /** The device's clock is not synchronised; absent when it is, or nothing is known. */
  u?: true;
}

/** A source as the running job sees it. */
export interface SourceInput {
  readonly alias: string;
  readonly time: SourceTime;
  readonly timeExpression: Expression | undefined;
  readonly maxAheadMs: number;
  readonly identity: Expression | undefined;
  readonly identities: Identities | undefined;
  readonly targets: readonly StepNode[];
  /** The groups that it feeds, those with fewer sources first. */
  readonly groups: readonly WatermarkGroup[];
}

/** What the program hands over once everything is wired. */
export interface Wiring {
  readonly inputs: ReadonlyMap<string, SourceInput>;
  /** In the order of the document. */
  readonly steps: readonly StepNode[];
  /** By signature, those with fewer sources first. */
  readonly groups: ReadonlyMap<string, WatermarkGroup>;
  readonly lateSinks: readonly number[];
  readonly lateTargets: readonly StepNode[];
  /** Steps that come after `late`; their own late records do not go round again. */
  readonly afterLate: ReadonlySet<string>;
}

export class JobInstance implements StreamJobInstance, StepHost {
  readonly counters: JobCounters = {
    recordsIn: 0,
    recordsOut: 0,
    late: 0,
    deadLetters: 0,
    dropped: {},
  };
  readonly state: JobState;
  private readonly collector: OutputCollector;
  private readonly times: KeyedState<TimeState>;
  private readonly time: TimeState;
  private wiring!: Wiring;
  private groups: readonly (readonly [string, WatermarkGroup])[] = [];
  private inputs: readonly SourceInput[] = [];
  /** Steps that may wait for a `now`. */
  private waiting: readonly StepNode[] = [];
  private recordMs = -Infinity;
  /** No `now` before this one has anything to do. */
  private wakeMs = -Infinity;
  /** The `now` of the entry at hand. */
  private entryMs: number;

  constructor(state: JobState, collector: OutputCollector) {
    this.state = state;
    this.collector = collector;
    this.times = state.step<TimeState>(TIME_STEP, TIME_STATE_VERSION);
    this.time = this.times.get('') ?? { n: -Infinity, s: {}, w: {} };
    this.entryMs = this.time.n;
  }

  /** The event time of a source, as it was kept or new. */
  sourceTime(source: SourceDefinition): SourceTime {
    const state = (this.time.s[source.alias] ??= newSourceTime(source));
    return new SourceTime(source, state, this.state, () => this.dropped('topics_max'));
  }

  groupWatermarkMs(signature: string): number {
    return this.time.w[signature] ?? -Infinity;
  }

  wire(wiring: Wiring): void {
    this.wiring = wiring;
    this.groups = [...wiring.groups];
    this.inputs = [...wiring.inputs.values()];
    this.waiting = wiring.steps.filter((step) => step.instance.now !== undefined);
  }

  record(source: string, record: SourceRecord, nowMs: EpochMs): void {
    const input = this.inputOf(source);
    this.moveNow(nowMs);
    this.counters.recordsIn += 1;
    const taken = this.take(input, record, nowMs);
    if (taken !== undefined) {
      this.recordMs = input.time.watermarkBy(taken.time);
      for (const target of input.targets) target.receive(taken);
      if (input.time.advance(taken.topic, taken.time, this.time.n)) this.advance(input.groups);
      const wakeMs = Math.min(input.time.idleAtMs(), this.stepsWakeMs());
      if (wakeMs < this.wakeMs) this.wakeMs = wakeMs;
    }
    this.times.put('', this.time);
  }

  tick(nowMs: EpochMs): void {
    this.moveNow(nowMs);
    this.times.put('', this.time);
  }

  sourceConnected(source: string, connected: boolean, nowMs: EpochMs): void {
    const input = this.inputOf(source);
    this.moveNow(nowMs);
    input.time.connect(connected, this.time.n);
    this.settle();
  }

  clockSynchronised(synchronised: boolean, nowMs: EpochMs): void {
    this.moveNow(nowMs);
    if (synchronised) delete this.time.u;
    else this.time.u = true;
    this.times.put('', this.time);
  }

  raiseWatermark(source: string, watermarkMs: EpochMs, nowMs: EpochMs): void {
    const input = this.inputOf(source);
    this.moveNow(nowMs);
    input.time.raise(watermarkMs);
    this.settle();
  }

  flush(): void {
    let endMs = -Infinity;
    for (const step of this.wiring.steps) endMs = step.flush(endMs);
    for (const [signature, group] of this.groups) {
      group.watermarkMs = Math.max(group.watermarkMs, endMs);
      this.time.w[signature] = group.watermarkMs;
    }
    this.times.put('', this.time);
  }

  nextTickMs(): EpochMs | undefined {
    const wakeMs = this.nextWakeMs();
    return wakeMs === Infinity ? undefined : (Math.max(wakeMs, this.time.n) as EpochMs);
  }

  watermarkMs(): EpochMs | undefined {
    let leastMs = Infinity;
    for (const [, group] of this.groups) leastMs = Math.min(leastMs, group.watermarkMs);
    return Number.isFinite(leastMs) ? (leastMs as EpochMs) : undefined;
  }

  nowMs(): EpochMs {
    return this.time.n as EpochMs;
  }

  recordWatermarkMs(): EpochMs {
    return this.recordMs as EpochMs;
  }

  output(step: string, record: EngineRecord, sinks: readonly number[]): void {
    this.counters.recordsOut += 1;
    this.collector.output(
      {
        step,
        key: record.key,
        windowStart: record.windowStart,
        windowEnd: record.windowEnd,
        time: record.time,
        revision: record.revision,
        value: record.payload,
        at: this.entryMs as EpochMs,
      },
      sinks,
    );
  }

  late(step: StepNode, record: EngineRecord): void {
    this.counters.late += 1;
    const { lateSinks, lateTargets, afterLate } = this.wiring;
    this.output('late', { ...record, windowStart: null, windowEnd: null }, lateSinks);
    const targets = afterLate.has(step.stepId) ? [] : lateTargets;
    // Where nothing takes it, its only trace is this count.
    if (lateSinks.length + targets.length === 0) this.dropped('late');
    for (const target of targets) target.receive(record);
  }

  dropped(reason: string): void {
    this.counters.dropped[reason] = (this.counters.dropped[reason] ?? 0) + 1;
  }

  deadLetter(step: string, error: ExpressionError, record: DeadRecord): void {
    this.counters.deadLetters += 1;
    this.collector.deadLetter({
      step,
      reason: error.reason,
      message: error.message,
      record: { topic: record.topic, payload: record.payload, time: record.time },
      at: this.entryMs as EpochMs,
    });
  }

  /** The record with its event time; undefined when it was quarantined or is a duplicate. */
  private take(
    input: SourceInput,
    record: SourceRecord,
    arrivalMs: EpochMs,
  ): EngineRecord | undefined {
    const taken = {
      time: arrivalMs,
      payload: record.payload,
      topic: record.topic,
      meta: record.meta,
      key: null,
      windowStart: null,
      windowEnd: null,
      revision: 1,
    };
    if (input.timeExpression === undefined && input.identity === undefined) return taken;
    try {
      if (input.timeExpression !== undefined) {
        const { timeExpression } = input;
        taken.time = eventTimeOf(timeExpression.evaluate(taken), timeExpression.source);
        const aheadMs = taken.time - arrivalMs;
        if (aheadMs > input.maxAheadMs && this.time.u !== true) refuseAhead(aheadMs, input);
      }
      const identity = input.identity?.evaluate(taken);
      if (identity !== undefined && input.identities?.isDuplicate(identity, this.time.n) === true) {
        this.dropped('duplicate');
        return undefined;
      }
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.deadLetter(input.alias, error, taken);
      return undefined;
    }
    return taken;
  }

  /**
   * Moves `now`, stopping at every time at which something is due, in order. So it makes no
   * difference whether a tick came for each of them or none did.
   */
  private moveNow(nowMs: EpochMs): void {
    const { time } = this;
    if (nowMs <= time.n) return;
    this.entryMs = nowMs;
    if (time.n === -Infinity) {
      this.wakeAt(nowMs);
      return;
    }
    while (this.wakeMs <= nowMs) this.wakeAt(Math.max(this.wakeMs, time.n));
    time.n = nowMs;
  }

  private wakeAt(nowMs: number): void {
    this.time.n = nowMs;
    for (const input of this.inputs) {
      input.time.start(nowMs);
      input.time.checkIdle(nowMs);
    }
    for (const [, group] of this.groups) group.advance(nowMs);
    for (const step of this.waiting) step.now(nowMs as EpochMs);
    this.settle();
  }

  private advance(groups: readonly WatermarkGroup[]): void {
    for (const group of groups) group.advance(this.time.n);
    this.keepWatermarks();
  }

  private settle(): void {
    for (const [, group] of this.groups) group.advance(this.time.n);
    this.keepWatermarks();
    this.wakeMs = this.nextWakeMs();
    this.times.put('', this.time);
  }

  private keepWatermarks(): void {
    for (const [signature, group] of this.groups) this.time.w[signature] = group.watermarkMs;
  }

  private nextWakeMs(): number {
    let wakeMs = this.stepsWakeMs();
    for (const input of this.inputs) wakeMs = Math.min(wakeMs, input.time.idleAtMs());
    for (const [, group] of this.groups) wakeMs = Math.min(wakeMs, group.wakeMs(this.time.n));
    return wakeMs;
  }

  private stepsWakeMs(): number {
    let wakeMs = Infinity;
    for (const step of this.waiting) {
      wakeMs = Math.min(wakeMs, step.instance.nextNowMs?.() ?? Infinity);
    }
    return wakeMs;
  }

  private inputOf(alias: string): SourceInput {
    const input = this.wiring.inputs.get(alias);
    if (input !== undefined) return input;
    const known = [...this.wiring.inputs.keys()].join(', ');
    throw new RunnelError('source_unknown', `the job has no source "${alias}"`, {
      hint: `Its sources are ${known}.`,
    });
  }
}

interface DeadRecord {
  readonly topic: string;
  readonly payload: unknown;
  readonly time: number;
}

function refuseAhead(aheadMs: number, input: SourceInput): never {
  throw new ExpressionError(
    'max_ahead',
    `the event time is ${aheadMs} ms ahead of its arrival, more than ${input.maxAheadMs} ms`,
  );
}
