/**
 * What pane windows and sessions have in common: state per key, when a key is due, the order of
 * firing, bounds, and the watermark that a record is judged by.
 *
 * State is plain data under the key's text; which keys are due is an index in memory that is
 * rebuilt from it. Windows fire by (end, start, key) over all keys. With `watermarkPer: key` each
 * key has its own watermark, which is kept (one number) when its windows are gone, because a key
 * that forgot it would open closed windows again. At the bound of keys those with the oldest
 * watermark and no window are forgotten: what comes new is then judged by the latest of theirs.
 */
import type { EpochMs } from '../../ids.ts';
import { limits } from '../../limits.ts';
import type { Aggregation } from '../aggregates/aggregation.ts';
import type { Tally } from '../aggregates/aggregate.ts';
import { compareKeyTexts, keyOfText, type KeyReader } from '../key.ts';
import { KeyTimers } from '../key-timers.ts';
import type { OperatorInstance, OperatorRuntime } from '../operators/operator.ts';
import type { EngineRecord } from '../record.ts';
import type { KeyedState } from '../state.ts';

/** Raised when the shape of any window's state changes. */
export const WINDOW_STATE_VERSION = 1;

export interface WindowPlan {
  readonly keys: KeyReader;
  readonly aggregation: Aggregation;
  readonly allowedLatenessMs: number;
}

export interface KeyState {
  /** The key's own watermark, with `watermarkPer: key` only. */
  w?: number;
  /** The `now` at which `w` was true, with `watermarkPer: key` and an idle timeout only. */
  t?: number;
  /** The key is idle: its watermark goes on with `now` from `w` at `t`. */
  i?: boolean;
}

/** A window that is about to fire. */
export interface DueWindow<State> {
  readonly startMs: number;
  readonly endMs: number;
  readonly key: string;
  readonly state: State;
}

/** No text of a key (key.ts): under it stands, as `w`, the watermark of the forgotten keys. */
const FORGOTTEN_KEY = '\u0001forgotten';
const NO_META: Readonly<Record<string, unknown>> = Object.freeze({});

export abstract class KeyedWindows<State extends KeyState> implements OperatorInstance {
  protected readonly aggregation: Aggregation;
  protected readonly latenessMs: number;
  private readonly runtime: OperatorRuntime;
  private readonly keys: KeyReader;
  private readonly states: KeyedState<State>;
  private readonly timers = new KeyTimers();
  private readonly perKey: boolean;
  private readonly idleTimeoutMs: number;
  private readonly idleTimers = new KeyTimers();
  /** Keys without windows by their watermark, with `watermarkPer: key` only. */
  private readonly spareKeys = new KeyTimers();
  /** The latest watermark of the keys that were forgotten. */
  private forgottenMs = -Infinity;

  constructor(plan: WindowPlan, runtime: OperatorRuntime) {
    this.aggregation = plan.aggregation;
    this.latenessMs = plan.allowedLatenessMs;
    this.keys = plan.keys;
    this.runtime = runtime;
    this.perKey = runtime.watermarkPer === 'key';
    this.idleTimeoutMs = this.perKey ? runtime.idleTimeoutMs : Infinity;
    this.states = runtime.state<State>(WINDOW_STATE_VERSION);
  }

  /** Rebuilds what is in memory; the subclass calls it when it is complete. */
  protected restore(): void {
    for (const [key, state] of this.states.entries()) {
      if (key === FORGOTTEN_KEY) {
        if (this.perKey) this.forgottenMs = state.w ?? -Infinity;
        continue;
      }
      const dueMs = this.dueMs(state, this.watermarkOf(state));
      if (dueMs !== Infinity) this.timers.set(key, dueMs);
      else if (this.perKey) this.spareKeys.set(key, state.w ?? -Infinity);
      if (state.t === undefined) continue;
      if (state.i === true) this.waitIdle(key, state);
      else this.idleTimers.set(key, state.t + this.idleTimeoutMs);
    }
  }

  protected abstract newState(): State;
  /** Whether the evaluated record would be late for all its windows, with this key state. */
  protected abstract isLate(state: State | undefined, timeMs: number, wmMs: number): boolean;
  /**
   * Adds the evaluated record and emits what has fired before. Returns the earliest watermark at
   * which the key now has something to do, if that may have changed, NaN if not; undefined when
   * the key has too many windows.
   */
  protected abstract add(
    key: string,
    state: State,
    timeMs: number,
    wmMs: number,
  ): number | undefined;
  /** Collects the key's windows that a watermark moving from `fromMs` to `toMs` closes. */
  protected abstract collect(
    key: string,
    state: State,
    fromMs: number,
    toMs: number,
    due: DueWindow<State>[],
  ): void;
  protected abstract fire(due: DueWindow<State>): void;
  /** Removes what is past its lateness; true when nothing is left. */
  protected abstract prune(state: State, wmMs: number): boolean;
  /** The earliest watermark at which the key has something to do; Infinity for none. */
  protected abstract dueMs(state: State, wmMs: number): number;
  /** The watermark at which the key's last open window fires; −Infinity for none. */
  protected abstract lastFiringMs(state: State): number;

  process(record: EngineRecord): void {
    const key = this.keys.read(record);
    this.aggregation.evaluate(record);
    const timeMs = record.time;
    const known = this.states.get(key);
    const state = known ?? this.newKeyState();
    const wmMs = this.perKey ? this.watermarkOf(state) : this.floorMs();
    if (this.isLate(known, timeMs, wmMs)) {
      this.runtime.late(withKey(record, key));
      return;
    }
    if (known === undefined && !this.makeRoom()) {
      this.runtime.dropped('keys_max');
      return;
    }
    const dueMs = this.add(key, state, timeMs, wmMs);
    if (dueMs === undefined) {
      this.runtime.dropped('windows_max');
      return;
    }
    this.states.put(key, state);
    this.spareKeys.delete(key);
    if (!Number.isNaN(dueMs)) this.timers.setEarlier(key, dueMs);
    if (this.perKey) this.advanceKeyByRecord(key, state);
  }

  watermark(watermarkMs: EpochMs): void {
    const due: DueWindow<State>[] = [];
    const touched: [string, State][] = [];
    for (;;) {
      const key = this.timers.pop(watermarkMs);
      if (key === undefined) break;
      const state = this.states.get(key);
      if (state === undefined) continue;
      this.collect(key, state, this.watermarkOf(state), watermarkMs, due);
      touched.push([key, state]);
    }
    this.fireAll(due);
    for (const [key, state] of touched) this.settle(key, state, watermarkMs);
  }

  /** With `watermarkPer: key`, the watermark of a key that is idle goes on with `now`. */
  now(nowMs: EpochMs): void {
    for (;;) {
      const key = this.idleTimers.pop(nowMs);
      if (key === undefined) return;
      const state = this.states.get(key);
      if (state?.t === undefined || state.w === undefined) continue;
      if (state.i !== true && nowMs - state.t < this.idleTimeoutMs) {
        this.idleTimers.set(key, state.t + this.idleTimeoutMs);
        continue;
      }
      const fromMs = this.watermarkOf(state);
      state.w += nowMs - state.t;
      state.t = nowMs;
      state.i = true;
      this.states.put(key, state);
      if (this.spareKeys.get(key) !== undefined) this.spareKeys.set(key, state.w);
      this.advanceKey(key, state, fromMs);
      this.waitIdle(key, state);
    }
  }

  nextNowMs(): EpochMs | undefined {
    const dueMs = this.idleTimers.earliestMs();
    return dueMs === Infinity ? undefined : (dueMs as EpochMs);
  }

  nextWatermarkMs(): EpochMs | undefined {
    const dueMs = this.timers.earliestMs();
    return dueMs === Infinity ? undefined : (dueMs as EpochMs);
  }

  flushToMs(): EpochMs | undefined {
    let lastMs = -Infinity;
    for (const [, state] of this.states.entries()) {
      lastMs = Math.max(lastMs, this.lastFiringMs(state));
    }
    return lastMs === -Infinity ? undefined : (lastMs as EpochMs);
  }

  /** Emits a result; null columns are a retraction. */
  protected emit(
    key: string,
    startMs: number,
    endMs: number,
    revision: number,
    tally: Tally | null,
  ): void {
    const value = keyOfText(key);
    this.runtime.emit({
      time: (endMs - 1) as EpochMs,
      payload: tally === null ? null : this.aggregation.row(tally, value, startMs, endMs),
      topic: '',
      meta: NO_META,
      key: value,
      windowStart: startMs as EpochMs,
      windowEnd: endMs as EpochMs,
      revision,
    });
  }

  /** The step's watermark; with `watermarkPer: key` the one below which no key's can be. */
  private floorMs(): number {
    return this.runtime.watermarkMs() ?? -Infinity;
  }

  private watermarkOf(state: State): number {
    const floorMs = this.floorMs();
    return state.w === undefined || state.w < floorMs ? floorMs : state.w;
  }

  /** Forgets keys until there is room for another; false when all have windows. */
  private makeRoom(): boolean {
    while (this.states.size >= limits.keysPerStepMax) {
      const oldestMs = this.spareKeys.earliestMs();
      if (oldestMs === Infinity) return false;
      this.forgottenMs = Math.max(this.forgottenMs, oldestMs);
      // All of the same watermark, since which of them is first would differ after a restart.
      for (;;) {
        const key = this.spareKeys.pop(oldestMs);
        if (key === undefined) break;
        this.states.delete(key);
        this.idleTimers.delete(key);
        this.runtime.dropped('keys_forgotten');
      }
      this.states.put(FORGOTTEN_KEY, this.newKeyState());
    }
    return true;
  }

  private newKeyState(): State {
    const state = this.newState();
    if (this.forgottenMs !== -Infinity) state.w = this.forgottenMs;
    return state;
  }

  private fireAll(due: DueWindow<State>[]): void {
    if (due.length > 1) due.sort(byEndStartKey);
    for (const window of due) this.fire(window);
  }

  /** After firing: forgets what is over, stores the rest and says when it is due next. */
  private settle(key: string, state: State, reachedMs: number): void {
    const wmMs = Math.max(this.watermarkOf(state), reachedMs);
    if (this.prune(state, wmMs)) {
      this.timers.delete(key);
      if (this.perKey) {
        this.states.put(key, state);
        this.spareKeys.set(key, state.w ?? -Infinity);
      } else this.states.delete(key);
      return;
    }
    this.states.put(key, state);
    const dueMs = this.dueMs(state, wmMs);
    if (dueMs === Infinity) this.timers.delete(key);
    else this.timers.set(key, dueMs);
  }

  private advanceKeyByRecord(key: string, state: State): void {
    const fromMs = this.watermarkOf(state);
    const candidateMs = this.runtime.recordWatermarkMs();
    state.w = Math.max(candidateMs, state.w ?? -Infinity);
    if (this.idleTimeoutMs !== Infinity) {
      state.t = this.runtime.nowMs();
      state.i = false;
      this.idleTimers.setEarlier(key, state.t + this.idleTimeoutMs);
    }
    this.advanceKey(key, state, fromMs);
  }

  private advanceKey(key: string, state: State, fromMs: number): void {
    const toMs = this.watermarkOf(state);
    if (toMs < (this.timers.get(key) ?? Infinity)) return;
    const due: DueWindow<State>[] = [];
    this.collect(key, state, fromMs, toMs, due);
    this.fireAll(due);
    this.settle(key, state, toMs);
  }

  /** An idle key waits for the `now` at which its watermark reaches its next window. */
  private waitIdle(key: string, state: State): void {
    const dueMs = this.timers.get(key);
    if (dueMs === undefined || state.t === undefined) return;
    this.idleTimers.set(key, state.t + Math.max(dueMs - this.watermarkOf(state), 1));
  }
}

function byEndStartKey(
  left: { endMs: number; startMs: number; key: string },
  right: { endMs: number; startMs: number; key: string },
): number {
  if (left.endMs !== right.endMs) return left.endMs - right.endMs;
  if (left.startMs !== right.startMs) return left.startMs - right.startMs;
  return compareKeyTexts(left.key, right.key);
}

function withKey(record: EngineRecord, key: string): EngineRecord {
  return {
    time: record.time,
    payload: record.payload,
    topic: record.topic,
    meta: record.meta,
    key: keyOfText(key),
    windowStart: record.windowStart,
    windowEnd: record.windowEnd,
    revision: record.revision,
  };
}
