/**
 * The running part of the alert operator (operators/alert.ts says what it guarantees): one small
 * state machine per key, with timers for hold times in event time and for absence in `now`.
 */
import { ExpressionError, type Expression } from '../expressions/expression.ts';
import type { EpochMs } from '../ids.ts';
import { limits } from '../limits.ts';
import { compareKeyTexts, keyOfText, type KeyReader, NULL_KEY } from './key.ts';
import { KeyTimers } from './key-timers.ts';
import type { OperatorInstance, OperatorRuntime } from './operators/operator.ts';
import { type EngineRecord, isRetraction } from './record.ts';
import type { KeyedState, StateValue } from './state.ts';

export interface AlertPlan {
  readonly when: Expression | undefined;
  readonly clear: Expression | undefined;
  readonly forMs: number;
  readonly absenceMs: number;
  readonly keys: KeyReader;
  /** There is one key, null, and it is missed even if it never came. */
  readonly watchesFromStart: boolean;
  readonly severity: string;
}

interface KeyAlert {
  phase: 'quiet' | 'pending' | 'firing';
  /** Event time since which the condition holds; for `pending`. */
  since: number;
  /** Event time, payload and window of the last record. */
  last: number;
  payload: StateValue;
  start: number | null;
  end: number | null;
  /** The `now` of the last record, and whether its absence is firing. */
  seen: number;
  absent: boolean;
}

type Change = 'none' | 'hold' | 'fire' | 'calm' | 'resolve';

const NO_META: Readonly<Record<string, unknown>> = Object.freeze({});

export class Alerts implements OperatorInstance {
  private readonly plan: AlertPlan;
  private readonly runtime: OperatorRuntime;
  private readonly states: KeyedState<KeyAlert>;
  private readonly holdTimers = new KeyTimers();
  private readonly absenceTimers = new KeyTimers();
  private readonly watchesAbsence: boolean;
  private awaitsStart: boolean;

  constructor(plan: AlertPlan, runtime: OperatorRuntime) {
    this.plan = plan;
    this.runtime = runtime;
    this.states = runtime.state<KeyAlert>(1);
    this.watchesAbsence = plan.absenceMs !== Infinity;
    this.awaitsStart = plan.watchesFromStart && this.states.get(NULL_KEY) === undefined;
    for (const [key, state] of this.states.entries()) this.setTimers(key, state);
  }

  process(record: EngineRecord): void {
    if (isRetraction(record)) return;
    const key = this.plan.keys.read(record);
    const before = this.states.get(key);
    const older = before !== undefined && record.time < before.last && before.phase !== 'quiet';
    const change = older ? 'none' : this.changeBy(record, before);
    if (before === undefined && change === 'none' && !this.watchesAbsence) return;
    if (before === undefined && this.states.size >= limits.keysPerStepMax) {
      this.runtime.dropped('keys_max');
      return;
    }
    const state = before ?? newState(record);
    if (!older) remember(state, record);
    this.see(key, state);
    this.apply(key, state, change);
  }

  watermark(watermarkMs: EpochMs): void {
    const due: [number, string][] = [];
    for (;;) {
      const dueMs = this.holdTimers.earliestMs();
      const key = this.holdTimers.pop(watermarkMs);
      if (key === undefined) break;
      due.push([dueMs, key]);
    }
    for (const [dueMs, key] of due.sort(byTimeAndKey)) {
      const state = this.states.get(key);
      if (state?.phase !== 'pending') continue;
      state.phase = 'firing';
      this.emit(key, state, 'firing', dueMs, false);
      this.states.put(key, state);
    }
  }

  now(nowMs: EpochMs): void {
    if (this.awaitsStart) this.watchFrom(nowMs);
    const due: [number, string][] = [];
    for (;;) {
      const key = this.absenceTimers.pop(nowMs);
      if (key === undefined) break;
      const state = this.states.get(key);
      if (state === undefined || state.absent) continue;
      const dueMs = state.seen + this.plan.absenceMs;
      if (dueMs > nowMs) this.absenceTimers.set(key, dueMs);
      else due.push([dueMs, key]);
    }
    for (const [dueMs, key] of due.sort(byTimeAndKey)) {
      const state = this.states.get(key)!;
      state.absent = true;
      this.emit(key, state, 'firing', dueMs, true);
      this.states.put(key, state);
    }
  }

  nextNowMs(): EpochMs | undefined {
    if (this.awaitsStart) return 0 as EpochMs;
    return finite(this.absenceTimers.earliestMs());
  }

  nextWatermarkMs(): EpochMs | undefined {
    return finite(this.holdTimers.earliestMs());
  }

  /** Evaluates what the phase asks for, before anything is changed. */
  private changeBy(record: EngineRecord, state: KeyAlert | undefined): Change {
    const { when, clear, forMs } = this.plan;
    if (when === undefined) return 'none';
    if (state?.phase === 'firing') {
      const over = clear === undefined ? !holds(when, record) : holds(clear, record);
      return over ? 'resolve' : 'none';
    }
    if (!holds(when, record)) return state?.phase === 'pending' ? 'calm' : 'none';
    const since = state?.phase === 'pending' ? state.since : record.time;
    return record.time - since >= forMs ? 'fire' : 'hold';
  }

  private apply(key: string, state: KeyAlert, change: Change): void {
    switch (change) {
      case 'none':
        break;
      case 'hold':
        if (state.phase !== 'pending') state.since = state.last;
        state.phase = 'pending';
        this.holdTimers.set(key, state.since + this.plan.forMs);
        break;
      case 'fire':
        state.phase = 'firing';
        this.holdTimers.delete(key);
        this.emit(key, state, 'firing', state.last, false);
        break;
      case 'calm':
        state.phase = 'quiet';
        this.holdTimers.delete(key);
        break;
      case 'resolve':
        state.phase = 'quiet';
        this.emit(key, state, 'resolved', state.last, false);
        break;
    }
    if (state.phase === 'quiet' && !this.watchesAbsence) this.states.delete(key);
    else this.states.put(key, state);
  }

  /** The key was heard of: its absence, if it was firing, is over. */
  private see(key: string, state: KeyAlert): void {
    if (!this.watchesAbsence) return;
    state.seen = this.runtime.nowMs();
    this.absenceTimers.setEarlier(key, state.seen + this.plan.absenceMs);
    if (!state.absent) return;
    state.absent = false;
    this.emit(key, state, 'resolved', state.last, true);
  }

  private watchFrom(nowMs: number): void {
    this.awaitsStart = false;
    if (this.states.get(NULL_KEY) !== undefined) return;
    const state: KeyAlert = { ...EMPTY, seen: nowMs };
    this.states.put(NULL_KEY, state);
    this.absenceTimers.set(NULL_KEY, nowMs + this.plan.absenceMs);
  }

  private setTimers(key: string, state: KeyAlert): void {
    if (state.phase === 'pending') this.holdTimers.set(key, state.since + this.plan.forMs);
    if (this.watchesAbsence && !state.absent) {
      this.absenceTimers.set(key, state.seen + this.plan.absenceMs);
    }
  }

  private emit(
    key: string,
    state: KeyAlert,
    status: 'firing' | 'resolved',
    timeMs: number,
    absent: boolean,
  ): void {
    const { severity } = this.plan;
    const about = absent ? { status, severity, absent } : { status, severity };
    this.runtime.emit({
      time: timeMs as EpochMs,
      payload: { ...about, ...fieldsOf(state.payload), ...about },
      topic: '',
      meta: NO_META,
      key: keyOfText(key),
      windowStart: state.start as EpochMs | null,
      windowEnd: state.end as EpochMs | null,
      revision: 1,
    });
  }
}

const EMPTY: KeyAlert = {
  phase: 'quiet',
  since: 0,
  last: 0,
  payload: null,
  start: null,
  end: null,
  seen: 0,
  absent: false,
};

function newState(record: EngineRecord): KeyAlert {
  return { ...EMPTY, last: record.time };
}

function remember(state: KeyAlert, record: EngineRecord): void {
  state.last = record.time;
  state.payload = record.payload as StateValue;
  state.start = record.windowStart;
  state.end = record.windowEnd;
}

/** The fields of a payload; a payload that is no object stands under `value`. */
function fieldsOf(payload: StateValue): Readonly<Record<string, StateValue>> {
  if (payload === null) return {};
  return typeof payload === 'object' && !Array.isArray(payload) ? payload : { value: payload };
}

function holds(condition: Expression, record: EngineRecord): boolean {
  const value = condition.evaluate(record);
  if (typeof value === 'boolean') return value;
  const found = value === null ? 'null' : `a ${typeof value}`;
  throw new ExpressionError(
    value === null ? 'null_value' : 'wrong_type',
    `alert ${condition.source} gave ${found}, not true or false`,
  );
}

function finite(ms: number): EpochMs | undefined {
  return ms === Infinity ? undefined : (ms as EpochMs);
}

function byTimeAndKey(left: [number, string], right: [number, string]): number {
  return left[0] - right[0] || compareKeyTexts(left[1], right[1]);
}
