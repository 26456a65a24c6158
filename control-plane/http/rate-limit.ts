/**
 * A token bucket per client address, for what can be asked without a token: enrolment, renewal,
 * sign-in. The burst is generous, because a whole site of devices can come from one address.
 *
 * Bounded: at most `ADDRESSES_MAX` buckets; when they are all taken the one that was used longest
 * ago makes room. Refused requests are counted by the caller.
 */
import type { Clock } from '@runnel/shared/clock.ts';

const ADDRESSES_MAX = 10_000;

export interface RateLimitOptions {
  readonly burst: number;
  readonly perSecond: number;
}

export class RateLimit {
  readonly #clock: Clock;
  readonly #options: RateLimitOptions;
  /** In order of last use. */
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(clock: Clock, options: RateLimitOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Seconds to wait before the next try; 0 when this one may pass. */
  take(address: string): number {
    const now = this.#clock.monotonicMs();
    const { burst, perSecond } = this.#options;
    const old = this.#buckets.get(address) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, old.tokens + ((now - old.at) / 1000) * perSecond);
    const passes = tokens >= 1;
    this.#buckets.delete(address);
    this.#buckets.set(address, { tokens: passes ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > ADDRESSES_MAX) {
      const oldest = this.#buckets.keys().next();
      if (oldest.done !== true) this.#buckets.delete(oldest.value);
    }
    return passes ? 0 : Math.ceil((1 - tokens) / perSecond);
  }
}
