/**
 * The time that schedules go by, when the clock on the wall cannot be trusted.
 *
 * A device without a battery-backed clock wakes in 1970, or at the time it was shut down, and
 * learns the time when the network comes. Therefore the last known time is remembered (the newest
 * `now` in the store), and while the wall clock is behind it, time goes on from there by the
 * monotonic clock: late by as long as the device was off, but never back. Without one the time is
 * unknown, and only what needs no calendar runs. A clock that had been wrong in the future is
 * believed again when it stays behind: at once would be too early, since most devices cannot tell
 * whether theirs was set.
 *
 * | state    | wall ≥ last − 1 min | behind it, after 2025  | before 2025          |
 * |----------|---------------------|------------------------|----------------------|
 * | unknown  | known, a jump       | known, a jump          | unknown              |
 * | starting | known               | held                   | held                 |
 * | known    | known, maybe a jump | held                   | held                 |
 * | held     | known, a jump       | held, then known again | held                 |
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { type EpochMs, epochMs } from '@runnel/shared/ids.ts';

/** 2025-01-01: no device of this release ran before it. */
export const CLOCK_FLOOR_MS = 1_735_689_600_000;
/** A jump is only seen by reading: whoever waits for a time reads at least this often. */
export const CLOCK_READ_EVERY_MS = 30_000;
/** Corrections of a running clock are smaller; what is larger is a jump. */
export const STEP_MS_MAX = 60_000;
/** How long a wall clock must stay behind before it is believed: set by the network, or not. */
const HOLD_SYNCHRONISED_MS = 10 * 60_000;
const HOLD_MS = 3_600_000;

export interface BatchTime {
  readonly nowMs: EpochMs;
  /** False: `nowMs` only tells how much time passes. */
  readonly known: boolean;
}

export type ClockState =
  | { readonly kind: 'unknown' }
  /** Not read yet: how long the device was off is no jump. */
  | { readonly kind: 'starting'; readonly atMs: number; readonly monotonicMs: number }
  /** The wall clock was right at this point of the monotonic clock. */
  | { readonly kind: 'known'; readonly atMs: number; readonly monotonicMs: number }
  | {
      readonly kind: 'held';
      readonly atMs: number;
      readonly monotonicMs: number;
      /** Since when a wall clock after the floor is behind; null while it is before the floor. */
      readonly behindSinceMs: number | null;
    };

export interface ClockReading {
  readonly wallMs: number;
  readonly monotonicMs: number;
  readonly synchronised: boolean;
}

/** More than a minute that did not pass, or passed twice. `fromMs` is null when it was unknown. */
export interface ClockJump {
  readonly fromMs: number | null;
  readonly toMs: number;
}

export interface ClockStep {
  readonly state: ClockState;
  readonly time: BatchTime;
  readonly jump: ClockJump | null;
}

/** At the start of the process. `lastMs`: the newest time in the store, or null. */
export function initialClockState(lastMs: number | null, monotonicMs: number): ClockState {
  if (lastMs === null || lastMs < CLOCK_FLOOR_MS) return { kind: 'unknown' };
  return { kind: 'starting', atMs: lastMs, monotonicMs };
}

export function readClock(state: ClockState, reading: ClockReading): ClockStep {
  const { wallMs, monotonicMs } = reading;
  const isPossible = wallMs >= CLOCK_FLOOR_MS;
  if (state.kind === 'unknown') {
    if (isPossible) return believed(reading, { fromMs: null, toMs: wallMs });
    return { state, time: { nowMs: epochMs(wallMs), known: false }, jump: null };
  }
  const expectedMs = state.atMs + (monotonicMs - state.monotonicMs);
  if (isPossible && wallMs >= expectedMs - STEP_MS_MAX) {
    const isJump = wallMs > expectedMs + STEP_MS_MAX && state.kind !== 'starting';
    return believed(reading, isJump ? { fromMs: expectedMs, toMs: wallMs } : null);
  }
  const before = state.kind === 'held' ? state.behindSinceMs : null;
  const behindSinceMs = isPossible ? (before ?? monotonicMs) : null;
  const holdMs = reading.synchronised ? HOLD_SYNCHRONISED_MS : HOLD_MS;
  if (behindSinceMs !== null && monotonicMs - behindSinceMs >= holdMs) {
    return believed(reading, { fromMs: expectedMs, toMs: wallMs });
  }
  const { atMs, monotonicMs: since } = state;
  return {
    state: { kind: 'held', atMs, monotonicMs: since, behindSinceMs },
    time: { nowMs: epochMs(Math.floor(expectedMs)), known: true },
    jump: null,
  };
}

function believed({ wallMs, monotonicMs }: ClockReading, jump: ClockJump | null): ClockStep {
  const state = { kind: 'known', atMs: wallMs, monotonicMs } as const;
  return { state, time: { nowMs: epochMs(wallMs), known: true }, jump };
}

export interface BatchClockOptions {
  readonly clock: Clock;
  readonly lastMs: number | null;
  readonly isSynchronised: (nowMs: number) => boolean;
  readonly onJump: (jump: ClockJump) => void;
}

/** The shell: keeps the state between readings. */
export class BatchClock {
  readonly #options: BatchClockOptions;
  #state: ClockState;

  constructor(options: BatchClockOptions) {
    this.#options = options;
    this.#state = initialClockState(options.lastMs, options.clock.monotonicMs());
  }

  /** What the runtime reports: `held` and `unknown` are a condition of the device. */
  get kind(): ClockState['kind'] {
    return this.#state.kind;
  }

  read(): BatchTime {
    const { clock, isSynchronised, onJump } = this.#options;
    const wallMs = clock.now();
    const { state, time, jump } = readClock(this.#state, {
      wallMs,
      monotonicMs: clock.monotonicMs(),
      synchronised: isSynchronised(wallMs),
    });
    this.#state = state;
    if (jump !== null) onJump(jump);
    return time;
  }
}
