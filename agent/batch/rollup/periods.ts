/** The periods of a rollup, and their names as partitions of its dataset. */
import { CalendarGrid } from '@runnel/shared/engine/windows/calendar-grid.ts';
import { FixedGrid, type PaneGrid } from '@runnel/shared/engine/windows/pane-grid.ts';
import { windowSizeOf } from '@runnel/shared/engine/windows/window-size.ts';
import { assert } from '@runnel/shared/errors.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { periodId, type PeriodShape, periodShape } from '@runnel/shared/schedule/partition-id.ts';

/** `[startMs, endMs)`. */
export interface Period {
  readonly startMs: number;
  readonly endMs: number;
}

export class Periods {
  readonly #grid: PaneGrid;
  readonly #shape: PeriodShape;
  readonly #timezone: string;
  /** Before the name, in a job with keys. */
  readonly #prefix: string;

  constructor(period: string, timezone: string, key: string | null) {
    const size = windowSizeOf(period);
    assert(size !== undefined, `${period} passed as a period`);
    this.#grid =
      size.kind === 'fixed'
        ? new FixedGrid(size.ms, size.ms, 0)
        : new CalendarGrid(size.unit, size.count, 0, timezone);
    this.#shape = periodShape(size);
    this.#timezone = timezone;
    this.#prefix = key === null ? '' : `${key}/`;
  }

  at(timeMs: number): Period {
    const { startMs, endMs } = this.#locate(timeMs);
    return { startMs, endMs };
  }

  /** The start of the period that an instant is in; cheap, for every row. */
  startOf(timeMs: number): number {
    return this.#locate(timeMs).startMs;
  }

  /** Those that end in `(fromMs, toMs]`, oldest first. */
  *endingIn(fromMs: number, toMs: number): Generator<Period> {
    for (let period = this.at(fromMs); period.endMs <= toMs; period = this.at(period.endMs)) {
      if (period.endMs > fromMs) yield period;
    }
  }

  partitionOf({ startMs, endMs }: Period): Pick<Partition, 'id' | 'start' | 'end'> {
    const id = this.#prefix + periodId(this.#shape, startMs, this.#timezone);
    return { id, start: epochMs(startMs), end: epochMs(endMs) };
  }

  #locate(timeMs: number): PaneGrid {
    this.#grid.locate(timeMs);
    return this.#grid;
  }
}

/** Neighbours as one range each, oldest first. */
export function rangesOf(periods: readonly Period[]): Period[] {
  const ranges: { startMs: number; endMs: number }[] = [];
  for (const { startMs, endMs } of periods.toSorted((a, b) => a.startMs - b.startMs)) {
    const last = ranges.at(-1);
    if (last?.endMs === startMs) last.endMs = endMs;
    else ranges.push({ startMs, endMs });
  }
  return ranges;
}
