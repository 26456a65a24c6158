/**
 * Rate limit of a metered link: `bytesPerSecond` on average with a burst of `burstBytes`.
 *
 * What must not wait (alerts, heartbeats) spends without waiting and drives the bucket into debt,
 * which whoever asks `waitMs` waits off; so the average holds over everything that was sent.
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
  readonly burstBytes: number;
  #tokens: number;
  #atMs: number;

  constructor(options: TokenBucketOptions) {
    this.#clock = options.clock;
    this.#bytesPerMs = options.bytesPerSecond / 1000;
    this.burstBytes = options.burstBytes ?? options.bytesPerSecond * 10;
    this.#tokens = this.burstBytes;
    this.#atMs = options.clock.monotonicMs();
  }

  /** Spends at once, into debt if need be. */
  spend(bytes: number): void {
    this.#refill();
    this.#tokens -= bytes;
  }

  /** Until the debt is paid and so much can be spent; more than a burst is spent in one go. */
  waitMs(bytes: number): number {
    this.#refill();
    const missing = Math.min(bytes, this.burstBytes) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil(missing / this.#bytesPerMs);
  }

  #refill(): void {
    const now = this.#clock.monotonicMs();
    const gained = (now - this.#atMs) * this.#bytesPerMs;
    this.#tokens = Math.min(this.#tokens + gained, this.burstBytes);
    this.#atMs = now;
  }
}
