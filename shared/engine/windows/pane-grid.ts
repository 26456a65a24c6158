/**
 * Where windows of fixed places lie in time, and the panes that they are made of.
 *
 * A pane is the largest stretch of time that every window covers wholly or not at all; a record is
 * added to one pane, and a window is the merge of its panes. A tumbling window is one pane.
 */
export interface PaneGrid {
  /** The pane `[startMs, endMs)` that was located last. */
  startMs: number;
  endMs: number;
  /** Finds the pane of an event time and sets `startMs` and `endMs`. */
  locate(timeMs: number): void;
  /** The start of the window that ends at `endMs`. */
  windowStartMs(endMs: number): number;
  /** The earliest window end after `afterMs` of those that cover the pane; Infinity for none. */
  windowEndAfter(paneStartMs: number, paneEndMs: number, afterMs: number): number;
  /** The end of the last window that covers the pane. */
  lastWindowEndMs(paneStartMs: number, paneEndMs: number): number;
}

/** Windows of `sizeMs` that begin every `everyMs`; tumbling when both are the same. */
export class FixedGrid implements PaneGrid {
  startMs = NaN;
  endMs = NaN;
  private readonly sizeMs: number;
  private readonly everyMs: number;
  private readonly offsetMs: number;
  private readonly paneMs: number;

  constructor(sizeMs: number, everyMs: number, offsetMs: number) {
    this.sizeMs = sizeMs;
    this.everyMs = everyMs;
    this.offsetMs = offsetMs;
    this.paneMs = greatestCommonDivisor(sizeMs, everyMs);
  }

  locate(timeMs: number): void {
    if (timeMs >= this.startMs && timeMs < this.endMs) return;
    const pane = Math.floor((timeMs - this.offsetMs) / this.paneMs);
    this.startMs = pane * this.paneMs + this.offsetMs;
    this.endMs = this.startMs + this.paneMs;
  }

  windowStartMs(endMs: number): number {
    return endMs - this.sizeMs;
  }

  windowEndAfter(paneStartMs: number, paneEndMs: number, afterMs: number): number {
    const leastMs = Math.max(paneEndMs, Math.floor(afterMs) + 1);
    const firstMs = this.offsetMs + this.sizeMs;
    const endMs = firstMs + Math.ceil((leastMs - firstMs) / this.everyMs) * this.everyMs;
    return endMs - this.sizeMs <= paneStartMs ? endMs : Infinity;
  }

  lastWindowEndMs(paneStartMs: number): number {
    const window = Math.floor((paneStartMs - this.offsetMs) / this.everyMs);
    return window * this.everyMs + this.offsetMs + this.sizeMs;
  }
}

export function greatestCommonDivisor(left: number, right: number): number {
  let [a, b] = [left, right];
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
