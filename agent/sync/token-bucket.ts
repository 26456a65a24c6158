/**
 * Rate limit of a metered link: `bytesPerSecond` on average with a burst of `burstBytes`.
 *
 * What must not wait (alerts, heartbeats) spends without waiting and drives the bucket into debt,
 * which later `take`s wait off; so the average holds over everything that was sent.
 */
import type { Clock } from '@runnel/shared/clock.ts';

export interface TokenBucketOptions {
  readonly clock: Clock;
  readonly bytesPerSecond: number;
  /** Defaults to ten seconds' worth. */
  readonly burstBytes?: number;
}

export class TokenBucket {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  #tokens: number;
  #atMs: number;

  constructor(options: TokenBucketOptions) {
    this.#clock = options.clock;
    this.#bytesPerMs = options.bytesPerSecond / 1000;
    this.#burstBytes = options.burstBytes ?? options.bytesPerSecond * 10;
    this.#tokens = this.#burstBytes;
    this.#atMs = options.clock.monotonicMs();
  }

  /** Spends at once, into debt if need be. */
  spend(bytes: number): void {
    this.#refill();
    this.#tokens -= bytes;
  }

  /** Waits until the debt is paid, then spends; more than a burst is spent in one go. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      this.#refill();
      const missing = Math.min(bytes, this.#burstBytes) - this.#tokens;
      if (missing <= 0) break;
      await this.#clock.sleep(Math.ceil(missing / this.#bytesPerMs), signal);
    }
    this.#tokens -= bytes;
  }

  #refill(): void {
    const now = this.#clock.monotonicMs();
    const gained = (now - this.#atMs) * this.#bytesPerMs;
    this.#tokens = Math.min(this.#tokens + gained, this.#burstBytes);
    this.#atMs = now;
  }
}
