/**
 * How many of the records of the last hour (or whatever a promise names) failed, from totals that
 * only grow: a ring of slots, so that what is kept does not depend on the load. The window moves by
 * a slot, a sixtieth of it. Pure.
 */
const SLOTS = 60;

export interface RateWindow {
  readonly slotMs: number;
  /** Ascending by `at`, the begin of the slot. */
  readonly slots: readonly {
    readonly at: number;
    readonly total: number;
    readonly failed: number;
  }[];
  /** Totals that are counted already. */
  readonly total: number;
  readonly failed: number;
}

export interface Totals {
  readonly total: number;
  readonly failed: number;
}

/** Counts from these totals on. */
export function newRateWindow(overMs: number, { total, failed }: Totals): RateWindow {
  return { slotMs: Math.max(1, Math.ceil(overMs / SLOTS)), slots: [], total, failed };
}

/** What was added since goes into the slot of now; totals that fell began anew. */
export function countInto(window: RateWindow, totals: Totals, now: number): RateWindow {
  const grew = totals.total >= window.total && totals.failed >= window.failed;
  const total = totals.total - (grew ? window.total : 0);
  const failed = totals.failed - (grew ? window.failed : 0);
  const at = Math.floor(now / window.slotMs) * window.slotMs;
  const kept = window.slots.filter((slot) => slot.at > at - SLOTS * window.slotMs && slot.at <= at);
  if (total === 0 && failed === 0 && kept.length === window.slots.length) return window;
  const last = kept.at(-1);
  const slots =
    total === 0 && failed === 0
      ? kept
      : last?.at === at
        ? [...kept.slice(0, -1), { at, total: last.total + total, failed: last.failed + failed }]
        : [...kept, { at, total, failed }];
  return { slotMs: window.slotMs, slots, total: totals.total, failed: totals.failed };
}

export function sumOf({ slots }: RateWindow): Totals {
  return {
    total: slots.reduce((sum, slot) => sum + slot.total, 0),
    failed: slots.reduce((sum, slot) => sum + slot.failed, 0),
  };
}

/** The clock was set: what was counted lies as far back as before. */
export function shifted(window: RateWindow, deltaMs: number): RateWindow {
  const by = Math.round(deltaMs / window.slotMs) * window.slotMs;
  return { ...window, slots: window.slots.map((slot) => ({ ...slot, at: slot.at + by })) };
}
