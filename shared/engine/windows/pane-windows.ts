/**
 * Tumbling, hopping and calendar windows: a record goes into one pane, a window is merged from its
 * panes when it fires.
 *
 * A window fires when the watermark reaches its end − 1. A pane stays until the last window that
 * covers it is past its lateness; a record that comes for a window which has fired sends that
 * window out again with the next revision. Only windows with a record exist.
 */
import { limits } from '../../limits.ts';
import type { Tally } from '../aggregates/aggregate.ts';
import type { OperatorRuntime } from '../operators/operator.ts';
import { type DueWindow, KeyedWindows, type KeyState, type WindowPlan } from './keyed-windows.ts';
import type { PaneGrid } from './pane-grid.ts';

export interface Pane extends Tally {
  /** `[s, e)` in event time. */
  readonly s: number;
  readonly e: number;
}

export interface PaneState extends KeyState {
  /** By start. */
  p: Pane[];
  /** End and last revision of windows that have fired and may change, by end. */
  r: [number, number][];
}

export class PaneWindows extends KeyedWindows<PaneState> {
  private readonly grid: PaneGrid;

  constructor(grid: PaneGrid, plan: WindowPlan, runtime: OperatorRuntime) {
    super(plan, runtime);
    this.grid = grid;
    this.restore();
  }

  protected newState(): PaneState {
    return { p: [], r: [] };
  }

  protected isLate(_state: PaneState | undefined, timeMs: number, wmMs: number): boolean {
    const { grid } = this;
    grid.locate(timeMs);
    // The pane's end is a lower bound of its last window's, and is at hand.
    if (grid.endMs - 1 + this.latenessMs > wmMs) return false;
    return this.overMs(grid.startMs, grid.endMs) <= wmMs;
  }

  protected add(key: string, state: PaneState, timeMs: number, wmMs: number): number | undefined {
    // `isLate` has located the pane of this record.
    const { startMs, endMs } = this.grid;
    let dueMs = NaN;
    const panes = state.p;
    let at = panes.length - 1;
    while (at >= 0 && panes[at]!.s > startMs) at -= 1;
    let pane = at < 0 ? undefined : panes[at]!;
    if (pane === undefined || pane.s !== startMs) {
      if (panes.length >= limits.windowsPerKeyMax) return undefined;
      pane = { s: startMs, e: endMs, n: [], c: [] };
      this.aggregation.open(pane);
      panes.splice(at + 1, 0, pane);
      dueMs = this.paneDueMs(pane, wmMs);
    }
    this.aggregation.add(pane, timeMs);
    if (wmMs >= endMs - 1) this.emitAgain(key, state, pane, wmMs);
    return dueMs;
  }

  protected collect(
    key: string,
    state: PaneState,
    fromMs: number,
    toMs: number,
    due: DueWindow<PaneState>[],
  ): void {
    let afterMs = fromMs + 1;
    for (;;) {
      const endMs = this.nextEndMs(state, afterMs);
      if (endMs - 1 > toMs) return;
      due.push({ startMs: this.grid.windowStartMs(endMs), endMs, key, state });
      afterMs = endMs;
    }
  }

  protected fire({ startMs, endMs, key, state }: DueWindow<PaneState>): void {
    this.emit(
      key,
      startMs,
      endMs,
      this.nextRevision(state, endMs),
      this.merged(state, startMs, endMs),
    );
  }

  protected prune(state: PaneState, wmMs: number): boolean {
    const isOpen = (pane: Pane): boolean => this.overMs(pane.s, pane.e) > wmMs;
    if (!state.p.every(isOpen)) state.p = state.p.filter(isOpen);
    if (state.r.length > 0) {
      state.r = state.r.filter(([endMs]) => endMs - 1 + this.latenessMs > wmMs);
    }
    return state.p.length === 0;
  }

  protected dueMs(state: PaneState, wmMs: number): number {
    let dueMs = Infinity;
    for (const pane of state.p) dueMs = Math.min(dueMs, this.paneDueMs(pane, wmMs));
    return dueMs;
  }

  protected lastFiringMs(state: PaneState): number {
    const last = state.p.at(-1);
    return last === undefined ? -Infinity : this.grid.lastWindowEndMs(last.s, last.e) - 1;
  }

  /** The watermark at which no window of the pane can change any more. */
  private overMs(startMs: number, endMs: number): number {
    return this.grid.lastWindowEndMs(startMs, endMs) - 1 + this.latenessMs;
  }

  /** The pane's next window to fire, or when all have, the end of its lateness. */
  private paneDueMs(pane: Pane, wmMs: number): number {
    const nextMs = this.grid.windowEndAfter(pane.s, pane.e, wmMs + 1);
    return Math.min(nextMs - 1, this.overMs(pane.s, pane.e));
  }

  private nextEndMs(state: PaneState, afterMs: number): number {
    let endMs = Infinity;
    for (const pane of state.p) {
      endMs = Math.min(endMs, this.grid.windowEndAfter(pane.s, pane.e, afterMs));
    }
    return endMs;
  }

  /** Sends out the windows of a pane that have fired and are within their lateness. */
  private emitAgain(key: string, state: PaneState, pane: Pane, wmMs: number): void {
    let endMs = this.grid.windowEndAfter(pane.s, pane.e, wmMs + 1 - this.latenessMs);
    while (endMs - 1 <= wmMs) {
      const startMs = this.grid.windowStartMs(endMs);
      this.fire({ startMs, endMs, key, state });
      endMs = this.grid.windowEndAfter(pane.s, pane.e, endMs);
    }
  }

  private nextRevision(state: PaneState, endMs: number): number {
    if (this.latenessMs === 0) return 1;
    const fired = state.r.find(([firedMs]) => firedMs === endMs);
    if (fired !== undefined) return (fired[1] += 1);
    state.r.push([endMs, 1]);
    return 1;
  }

  private merged(state: PaneState, startMs: number, endMs: number): Tally {
    const parts = state.p.filter((pane) => pane.s >= startMs && pane.e <= endMs);
    if (parts.length === 1) return parts[0]!;
    const tally: Tally = { n: [], c: [] };
    this.aggregation.open(tally);
    for (const part of parts) this.aggregation.merge(tally, part);
    return tally;
  }
}
