/**
 * Long work on the event loop in slices, so that ingestion goes on beside it.
 */
import type { Clock } from '@runnel/shared/clock.ts';

/** An alert that waits for a slice is still within its latency budget (DESIGN.md §12). */
const SLICE_MS = 4;
/** Reading the clock costs more than a record, so it is read now and then. */
const STEPS_PER_LOOK = 32;

export class Slices {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #endMs: number;
  #steps = 0;

  constructor(context: { readonly clock: Clock; readonly signal: AbortSignal }) {
    this.#clock = context.clock;
    this.#signal = context.signal;
    this.#endMs = this.#clock.monotonicMs() + SLICE_MS;
  }

  /** After each piece of work; true when it is time for `rest`. */
  isOver(): boolean {
    this.#steps += 1;
    if (this.#steps % STEPS_PER_LOOK !== 0) return false;
    return this.#clock.monotonicMs() >= this.#endMs;
  }

  /** Lets everything else have its turn; throws the signal's reason. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#signal.throwIfAborted();
    this.#endMs = this.#clock.monotonicMs() + SLICE_MS;
  }
}
