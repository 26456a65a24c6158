/**
 * The time that the batch engine goes by: its schedules, and all that it writes down of runs.
 *
 * Guarantees: between two looks it goes on with the monotonic clock, so that a decision and what it
 * is made from never see two clocks. A look asks for the time by the rules of batch-clock.ts. Where
 * that is another one than what has passed tells, whoever wrote times down hears by how much: what
 * timeouts, pauses and quotas count from is moved, and each of them is as long as it was meant.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { type EpochMs, epochMs } from '@runnel/shared/ids.ts';
import { type BatchClock, type BatchTime, type ClockState, STEP_MS_MAX } from './batch-clock.ts';

export interface EngineTimeOptions {
  readonly clock: Clock;
  readonly batchClock: BatchClock;
  /** The time is `deltaMs` later than what passed since the last look; called outside of writes. */
  readonly stepped: (deltaMs: number) => void;
}

export class EngineTime {
  readonly #options: EngineTimeOptions;
  #seen: BatchTime;
  #seenAtMs: number;

  constructor(options: EngineTimeOptions) {
    this.#options = options;
    this.#seen = options.batchClock.read();
    this.#seenAtMs = options.clock.monotonicMs();
  }

  get kind(): ClockState['kind'] {
    return this.#options.batchClock.kind;
  }

  now(): EpochMs {
    const passedMs = this.#options.clock.monotonicMs() - this.#seenAtMs;
    return epochMs(Math.floor(this.#seen.nowMs + passedMs));
  }

  /** As of the last look, and what has passed since. */
  read(): BatchTime {
    return { nowMs: this.now(), known: this.#seen.known };
  }

  /** Never within a write of the store: whoever is told of a step writes. */
  look(): BatchTime {
    const { batchClock, clock, stepped } = this.#options;
    const expectedMs = this.now();
    this.#seen = batchClock.read();
    this.#seenAtMs = clock.monotonicMs();
    const deltaMs = this.#seen.nowMs - expectedMs;
    if (Math.abs(deltaMs) > STEP_MS_MAX) stepped(deltaMs);
    return this.#seen;
  }
}
