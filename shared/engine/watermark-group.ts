/**
 * The watermark of the steps that take the same sources: the minimum over those that are not idle.
 * When all are idle it goes on with `now`. It never goes back.
 *
 * Steps are told in the order of the document, so that what an earlier step fires reaches a later
 * one before that one's own watermark moves.
 */
import type { EpochMs } from '../ids.ts';
import type { SourceTime } from './source-time.ts';
import type { StepNode } from './step-node.ts';

export class WatermarkGroup {
  private readonly sources: readonly SourceTime[];
  private readonly steps: readonly StepNode[];
  /** −Infinity before every source has had a record. */
  watermarkMs: number;

  constructor(sources: readonly SourceTime[], steps: readonly StepNode[], watermarkMs: number) {
    this.sources = sources;
    this.steps = steps;
    this.watermarkMs = watermarkMs;
  }

  /** Moves the watermark to where its sources are and fires what is due. */
  advance(nowMs: number): void {
    const watermarkMs = this.current(nowMs);
    if (watermarkMs > this.watermarkMs) this.moveTo(watermarkMs);
  }

  /** The `now` at which idle sources have moved to what is due; Infinity when none are all idle. */
  wakeMs(nowMs: number): number {
    if (!this.sources.every((source) => source.idle)) return Infinity;
    const dueMs = this.nextDueMs();
    const idleMs = this.allIdle(nowMs);
    return dueMs === Infinity || idleMs === Infinity
      ? Infinity
      : nowMs + Math.max(dueMs - idleMs, 1);
  }

  private moveTo(watermarkMs: number): void {
    this.watermarkMs = watermarkMs;
    for (const step of this.steps) step.watermark(watermarkMs as EpochMs);
  }

  private current(nowMs: number): number {
    let leastMs = Infinity;
    for (const source of this.sources) {
      if (!source.idle) leastMs = Math.min(leastMs, source.watermarkMs());
    }
    if (leastMs !== Infinity) return leastMs;
    const idleMs = this.allIdle(nowMs);
    return idleMs === Infinity ? -Infinity : idleMs;
  }

  private allIdle(nowMs: number): number {
    let leastMs = Infinity;
    for (const source of this.sources) leastMs = Math.min(leastMs, source.idleWatermarkMs(nowMs));
    return leastMs;
  }

  private nextDueMs(): number {
    let dueMs = Infinity;
    for (const step of this.steps) {
      dueMs = Math.min(dueMs, step.instance.nextWatermarkMs?.() ?? Infinity);
    }
    return dueMs;
  }
}
