/**
 * One step of a running job: its operator's instance, where its records go, and what the instance
 * may ask (`OperatorRuntime`).
 *
 * A record on which an expression fails goes to the dead letters here, so that it stops at the step
 * that could not take it, and nothing before or beside that step notices.
 */
import { ExpressionError } from '../expressions/expression.ts';
import type { EpochMs } from '../ids.ts';
import type { OperatorInstance, OperatorRuntime } from './operators/operator.ts';
import type { EngineRecord } from './record.ts';
import type { JobState, KeyedState } from './state.ts';

/** What the job offers to its steps. */
export interface StepHost {
  readonly state: JobState;
  nowMs(): EpochMs;
  /** The watermark that the source record at hand makes. */
  recordWatermarkMs(): EpochMs;
  output(step: string, record: EngineRecord, sinks: readonly number[]): void;
  late(step: StepNode, record: EngineRecord): void;
  dropped(reason: string): void;
  deadLetter(step: string, error: ExpressionError, record: EngineRecord): void;
}

export class StepNode implements OperatorRuntime {
  readonly stepId: string;
  readonly watermarkPer: 'source' | 'key';
  readonly idleTimeoutMs: number;
  /** Set once by the job, when the nodes that it may emit to exist. */
  instance!: OperatorInstance;
  readonly targets: StepNode[] = [];
  private readonly host: StepHost;
  /** Sinks that take this step's output; undefined when it reaches none. */
  private readonly sinks: readonly number[] | undefined;
  private readWatermarkMs: number;

  constructor(
    stepId: string,
    host: StepHost,
    sinks: readonly number[] | undefined,
    time: {
      readonly perKey: boolean;
      readonly idleTimeoutMs: number;
      readonly watermarkMs: number;
    },
  ) {
    this.stepId = stepId;
    this.host = host;
    this.sinks = sinks;
    this.watermarkPer = time.perKey ? 'key' : 'source';
    this.idleTimeoutMs = time.idleTimeoutMs;
    this.readWatermarkMs = time.watermarkMs;
  }

  receive(record: EngineRecord): void {
    try {
      this.instance.process(record);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.host.deadLetter(this.stepId, error, record);
    }
  }

  /** The step's own watermark moves; its instance is called only when something is due. */
  watermark(watermarkMs: EpochMs): void {
    const { instance } = this;
    const dueMs = instance.nextWatermarkMs?.();
    if (dueMs !== undefined && watermarkMs >= dueMs) instance.watermark?.(watermarkMs);
    this.readWatermarkMs = watermarkMs;
  }

  /** Moves event time to the end of what is open, at least to `leastMs`; returns where it is. */
  flush(leastMs: number): number {
    const endMs = Math.max(leastMs, this.readWatermarkMs, this.instance.flushToMs?.() ?? -Infinity);
    if (endMs !== -Infinity) this.watermark(endMs as EpochMs);
    return endMs;
  }

  now(nowMs: EpochMs): void {
    const dueMs = this.instance.nextNowMs?.();
    if (dueMs !== undefined && nowMs >= dueMs) this.instance.now?.(nowMs);
  }

  emit(record: EngineRecord): void {
    if (this.sinks !== undefined) this.host.output(this.stepId, record, this.sinks);
    for (const target of this.targets) target.receive(record);
  }

  late(record: EngineRecord): void {
    this.host.late(this, record);
  }

  dropped(reason: string): void {
    this.host.dropped(reason);
  }

  state<S>(version: number): KeyedState<S> {
    return this.host.state.step<S>(this.stepId, version);
  }

  nowMs(): EpochMs {
    return this.host.nowMs();
  }

  watermarkMs(): EpochMs | undefined {
    return this.readWatermarkMs === -Infinity ? undefined : (this.readWatermarkMs as EpochMs);
  }

  recordWatermarkMs(): EpochMs {
    return this.host.recordWatermarkMs();
  }
}
