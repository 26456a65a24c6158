/** A clock that a test moves by hand; timers that are due on the way fire in order. */
import type { Clock } from '@runnel/shared/clock.ts';
import { type EpochMs, epochMs } from '@runnel/shared/ids.ts';

interface Timer {
  readonly dueMs: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  /** Wall-clock time may be set; this only goes on. */
  #monotonicMs = 0;
  #timers = new Set<Timer>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now(): EpochMs {
    return epochMs(this.#nowMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, ms), run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(new Error('aborted'));
      });
    });
  }

  /** Time passes; whoever waited is called at its moment. */
  pass(ms: number): void {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      const [next] = [...this.#timers].toSorted((a, b) => a.dueMs - b.dueMs);
      if (next === undefined || next.dueMs > endMs) break;
      this.#timers.delete(next);
      this.#move(Math.max(0, next.dueMs - this.#monotonicMs));
      next.run();
    }
    this.#move(endMs - this.#monotonicMs);
  }

  /** The process stands still: timers that are due on the way fire late, after it. */
  stall(ms: number): void {
    this.#move(ms);
    this.pass(0);
  }

  passTo(nowMs: number): void {
    if (nowMs > this.#nowMs) this.pass(nowMs - this.#nowMs);
  }

  /** Somebody sets the wall clock; no time passes. */
  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  #move(ms: number): void {
    if (ms <= 0) return;
    this.#monotonicMs += ms;
    this.#nowMs += ms;
  }
}
