/**
 * Session windows: per key, records no further than `gap` apart belong together; the window is
 * `[first, last + gap)`.
 *
 * A session fires when the watermark reaches its end, because a record at its end still belongs to
 * it. A late record can extend a session that has fired or join several: each one whose borders
 * change is taken back (a retraction, value null, with its next revision), and the session that
 * they become fires when the watermark reaches its end, at once if it has. With `max` no session
 * grows longer than that: a record that would stretch it opens a new one. Which records come first
 * then matters, so with `max` results depend on the order of arrival.
 */
import { limits } from '../../limits.ts';
import type { Tally } from '../aggregates/aggregate.ts';
import type { OperatorRuntime } from '../operators/operator.ts';
import { type DueWindow, KeyedWindows, type KeyState, type WindowPlan } from './keyed-windows.ts';

export interface Session extends Tally {
  /** Event time of the first and last record. */
  s: number;
  l: number;
  /** The last revision that was sent out; 0 for none. */
  r: number;
}

export interface SessionState extends KeyState {
  /** By first record. */
  o: Session[];
}

export class SessionWindows extends KeyedWindows<SessionState> {
  private readonly gapMs: number;
  private readonly maxMs: number;

  constructor(gapMs: number, maxMs: number, plan: WindowPlan, runtime: OperatorRuntime) {
    super(plan, runtime);
    this.gapMs = gapMs;
    this.maxMs = maxMs;
    this.restore();
  }

  protected newState(): SessionState {
    return { o: [] };
  }

  /** What it would join is still open, else it would be gone; so only a lone record is late. */
  protected isLate(state: SessionState | undefined, timeMs: number, wmMs: number): boolean {
    if (timeMs + this.gapMs + this.latenessMs > wmMs) return false;
    return state === undefined || !state.o.some((session) => this.takes(session, timeMs));
  }

  protected add(
    key: string,
    state: SessionState,
    timeMs: number,
    wmMs: number,
  ): number | undefined {
    const joined = this.joinedBy(state.o, timeMs);
    const session = joined[0];
    if (session === undefined) return this.open(key, state, timeMs, wmMs);
    const wasOpen = joined.length === 1 && session.r === 0;
    const startMs = Math.min(session.s, timeMs);
    const lastMs = Math.max(joined.at(-1)!.l, timeMs);
    // A session that is alone and keeps its borders is the same window with its next revision.
    if (joined.length > 1 || startMs < session.s || lastMs > session.l) {
      for (const each of joined) this.retract(key, each);
      session.r = 0;
    }
    for (const each of joined.slice(1)) this.aggregation.merge(session, each);
    if (joined.length > 1)
      state.o = state.o.filter((each) => each === session || !joined.includes(each));
    session.s = startMs;
    session.l = lastMs;
    this.aggregation.add(session, timeMs);
    if (joined.length > 1 || session.s === timeMs) state.o.sort((left, right) => left.s - right.s);
    if (wmMs >= this.endMs(session)) this.send(key, session);
    // An open session only moves its end away: the timer that is set comes early and is renewed.
    return wasOpen ? NaN : this.sessionDueMs(session);
  }

  protected collect(
    key: string,
    state: SessionState,
    _fromMs: number,
    toMs: number,
    due: DueWindow<SessionState>[],
  ): void {
    for (const session of state.o) {
      const endMs = this.endMs(session);
      if (session.r === 0 && endMs <= toMs) due.push({ startMs: session.s, endMs, key, state });
    }
  }

  protected fire({ startMs, endMs, key, state }: DueWindow<SessionState>): void {
    for (const session of state.o) {
      if (session.s === startMs && this.endMs(session) === endMs) this.send(key, session);
    }
  }

  protected prune(state: SessionState, wmMs: number): boolean {
    const isOpen = (session: Session): boolean => this.endMs(session) + this.latenessMs > wmMs;
    if (!state.o.every(isOpen)) state.o = state.o.filter(isOpen);
    return state.o.length === 0;
  }

  protected dueMs(state: SessionState): number {
    let dueMs = Infinity;
    for (const session of state.o) dueMs = Math.min(dueMs, this.sessionDueMs(session));
    return dueMs;
  }

  protected lastFiringMs(state: SessionState): number {
    let lastMs = -Infinity;
    for (const session of state.o) lastMs = Math.max(lastMs, this.endMs(session));
    return lastMs;
  }

  private open(key: string, state: SessionState, timeMs: number, wmMs: number): number | undefined {
    if (state.o.length >= limits.windowsPerKeyMax) return undefined;
    const session: Session = { s: timeMs, l: timeMs, r: 0, n: [], c: [] };
    this.aggregation.open(session);
    this.aggregation.add(session, timeMs);
    state.o.push(session);
    if (state.o.length > 1) state.o.sort((left, right) => left.s - right.s);
    if (wmMs >= this.endMs(session)) this.send(key, session);
    return this.sessionDueMs(session);
  }

  /** The sessions that a record joins, by start; with `max` no more than fit. */
  private joinedBy(sessions: readonly Session[], timeMs: number): Session[] {
    const joined: Session[] = [];
    let startMs = timeMs;
    let lastMs = timeMs;
    for (const session of sessions) {
      if (!this.takes(session, timeMs)) continue;
      const fromMs = Math.min(startMs, session.s);
      const toMs = Math.max(lastMs, session.l);
      if (joined.length > 0 && toMs + this.gapMs - fromMs > this.maxMs) continue;
      startMs = fromMs;
      lastMs = toMs;
      joined.push(session);
    }
    return joined;
  }

  private takes(session: Session, timeMs: number): boolean {
    if (timeMs < session.s - this.gapMs || timeMs > session.l + this.gapMs) return false;
    if (this.maxMs === Infinity) return true;
    const lengthMs = Math.max(session.l, timeMs) + this.gapMs - Math.min(session.s, timeMs);
    return lengthMs <= this.maxMs;
  }

  private retract(key: string, session: Session): void {
    if (session.r > 0) this.emit(key, session.s, this.endMs(session), session.r + 1, null);
  }

  private send(key: string, session: Session): void {
    session.r += 1;
    this.emit(key, session.s, this.endMs(session), session.r, session);
  }

  /** When an open session fires, or a fired one is past its lateness. */
  private sessionDueMs(session: Session): number {
    return session.r === 0 ? this.endMs(session) : this.endMs(session) + this.latenessMs;
  }

  private endMs(session: Session): number {
    return session.l + this.gapMs;
  }
}
