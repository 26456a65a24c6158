/** One timer for the earliest moment that any job waits for; none while no job waits. */
import type { Clock } from '@runnel/shared/clock.ts';

/** A job that asks for a tick that does not help it must not make the agent spin. */
const GAP_MS_MIN = 5;

export class TickTimer {
  readonly #clock: Clock;
  readonly #fire: (dueMs: number, waitedMs: number) => void;
  #dueMs = Infinity;
  #cancel: (() => void) | undefined;

  /** `fire` is told when the tick was due and how long was waited for it. */
  constructor(clock: Clock, fire: (dueMs: number, waitedMs: number) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  arm(dueMs: number, nowMs: number): void {
    if (dueMs === this.#dueMs) return;
    this.stop();
    if (dueMs === Infinity) return;
    this.#dueMs = dueMs;
    const waitMs = Math.max(GAP_MS_MIN, dueMs - nowMs);
    this.#cancel = this.#clock.after(waitMs, () => {
      this.#dueMs = Infinity;
      this.#cancel = undefined;
      this.#fire(dueMs, waitMs);
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#dueMs = Infinity;
  }
}
