/**
 * Recognises records that a publisher sent twice: a second record with the same identity within
 * `identityWindow` of the first is a duplicate. Times are times of arrival, so that a replay
 * forgets at the same places. At most `limits.identitiesMax` are kept: the oldest go first,
 * counted.
 */
import { limits } from '../limits.ts';
import { keyText } from './key.ts';
import type { Json } from './record.ts';
import type { KeyedState } from './state.ts';

export class Identities {
  private readonly windowMs: number;
  private readonly seen: KeyedState<number>;
  private readonly forgotEarly: () => void;
  /** The identities by arrival; what is before `head` has been forgotten. */
  private order: { identity: string; seenMs: number }[];
  private head = 0;

  /** `forgotEarly` is called for each identity that had to go before its time. */
  constructor(windowMs: number, seen: KeyedState<number>, forgotEarly: () => void) {
    this.windowMs = windowMs;
    this.seen = seen;
    this.forgotEarly = forgotEarly;
    this.order = [...seen.entries()]
      .map(([identity, seenMs]) => ({ identity, seenMs }))
      .sort(
        (left, right) => left.seenMs - right.seenMs || (left.identity < right.identity ? -1 : 1),
      );
  }

  /** Whether the identity was seen within the window; if not, it is now. */
  isDuplicate(value: unknown, nowMs: number): boolean {
    this.forgetUntil(nowMs - this.windowMs);
    const identity = keyText(value as Json);
    if (this.seen.get(identity) !== undefined) return true;
    if (this.seen.size >= limits.identitiesMax) {
      this.forgetOldest();
      this.forgotEarly();
    }
    this.seen.put(identity, nowMs);
    this.order.push({ identity, seenMs: nowMs });
    return false;
  }

  /** An identity seen exactly the window ago is still known. */
  private forgetUntil(ms: number): void {
    while (this.head < this.order.length && this.order[this.head]!.seenMs < ms) {
      this.forgetOldest();
    }
  }

  private forgetOldest(): void {
    this.seen.delete(this.order[this.head]!.identity);
    this.head += 1;
    if (this.head > 1024 && this.head * 2 > this.order.length) {
      this.order = this.order.slice(this.head);
      this.head = 0;
    }
  }
}
