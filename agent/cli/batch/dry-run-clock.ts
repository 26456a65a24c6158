/**
 * The clock of a run that stands for another time (`--at`): it begins there and goes on with real
 * time, so that whatever a task asks of the time is as it would have been on the device then.
 * Pauses and timeouts take as long as they say.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { type EpochMs, epochMs } from '@runnel/shared/ids.ts';

export class DryRunClock implements Clock {
  readonly #clock: Clock;
  #atMs: number;
  /** Null: it stands still, so that a run is asked for at exactly its time. */
  #sinceMs: number | null = null;
  #heldAtMs: number;

  constructor(clock: Clock, atMs: number) {
    this.#clock = clock;
    this.#atMs = atMs;
    this.#heldAtMs = clock.monotonicMs();
  }

  now(): EpochMs {
    const passedMs = this.#sinceMs === null ? 0 : this.#clock.monotonicMs() - this.#sinceMs;
    return epochMs(this.#atMs + Math.floor(passedMs));
  }

  /** Stands still at this time until `go`. */
  hold(atMs: number): void {
    this.#atMs = atMs;
    this.#heldAtMs = this.#clock.monotonicMs();
    this.#sinceMs = null;
  }

  /** As if it had never stood: what goes by what passes meanwhile does not see it jump back. */
  go(): void {
    this.#sinceMs ??= this.#heldAtMs;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal);
  }

  after(ms: number, run: () => void): () => void {
    return this.#clock.after(ms, run);
  }
}
