/**
 * Connections and promises as DESIGN.md says them in words, walked second by second: late after two
 * missed heartbeats, offline after five, counted only while the control plane itself was connected;
 * a promise of freshness is broken while the newest result is too old; better counts when it held;
 * unreachable exactly while the device is offline, never because of lateness.
 */
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import type { Verdict } from '@runnel/shared/sla/sla-state.ts';
import { PROMISE } from './product.ts';
import { BEAT_MS, type SimDevice } from './sim-device.ts';

const BEAT = BEAT_MS / 1000;
const WITHIN = PROMISE.withinMs / 1000;
const ORDER = ['met', 'atRisk', 'breached'];

/** Worse at once, better when it held for as long as the promise speaks of. */
class Walk {
  shown: Verdict | undefined;
  #raws: Verdict[] = [];
  #skipped = 0;

  /** `speaks`: something may be said of it in this second; `known`: of so many before it too. */
  second(age: number, speaks = true, known = 0): void {
    const raw = rawAt(age);
    for (let back = 1; back <= Math.min(this.#skipped, known); back++) {
      this.#raws.splice(-back, 1, rawAt(Math.max(0, age - back)));
    }
    this.#skipped = 0;
    this.#push(raw);
    if (!speaks) return;
    const { shown } = this;
    const isWorse = ORDER.indexOf(raw) >= ORDER.indexOf(shown ?? 'met');
    if (shown === undefined || shown === 'unreachable' || isWorse) this.shown = raw;
    else if (this.#raws.length > WITHIN && this.#raws.every((each) => isBetter(each, shown))) {
      this.shown = raw;
    }
  }

  /** Nobody could look: as it was. */
  skip(): void {
    const last = this.#raws.at(-1);
    if (last === undefined) return;
    this.#skipped += 1;
    this.#push(last);
  }

  unreachable(): void {
    this.shown = 'unreachable';
    this.#raws = [];
    this.#skipped = 0;
  }

  #push(raw: Verdict): void {
    this.#raws.push(raw);
    if (this.#raws.length > WITHIN + 1) this.#raws.shift();
  }
}

function rawAt(age: number): Verdict {
  return age >= WITHIN ? 'breached' : age >= WITHIN * PROMISE.atRisk ? 'atRisk' : 'met';
}

function isBetter(a: Verdict, b: Verdict): boolean {
  return ORDER.indexOf(a) < ORDER.indexOf(b);
}

export class Oracle {
  connection: ConnectionState = 'never';
  /** Of the device itself. */
  own = new Walk();
  /** By what the device says, and by what came from it. */
  device: Verdict | undefined;
  arrivals = new Walk();
  /** A process that had not yet stored that it knows the device cannot say how long it was well. */
  knowsFrom = 0;
  #silent = 0;
  #beganAt = -1;
  #says: Verdict | undefined;
  #cameAt = -Infinity;
  #heardAt = -Infinity;
  #madeAt: number | null = null;

  /** Before anything is heard; `wasHearing`: in the second that is over. */
  begin(wasHearing: boolean): void {
    if (wasHearing) this.#silent += 1;
  }

  beat({ slas }: Heartbeat, now: number): void {
    this.knowsFrom = Math.min(this.knowsFrom, now + 3 * PROMISE.withinMs);
    this.connection = 'online';
    this.#silent = 0;
    this.#heardAt = now;
    this.#says = slas?.[0]?.verdict;
  }

  result(now: number): void {
    this.#cameAt = now;
  }

  restarted(connection: ConnectionState): void {
    this.connection = connection;
    this.#silent = 0;
    this.#heardAt = -Infinity;
    if (connection === 'never') this.knowsFrom = Infinity;
  }

  /** `hearingSince`: null while it is deaf; `madeAt`: null while nothing is promised of it. */
  second(truth: SimDevice, hearingSince: number | null, madeAt: number | null, now: number): void {
    this.#walkOwn(truth, now);
    if (madeAt !== this.#madeAt) {
      this.arrivals = new Walk();
      this.device = undefined;
      this.#cameAt = -Infinity;
      this.#says = undefined;
    }
    this.#madeAt = madeAt;
    if (hearingSince === null) {
      this.arrivals.skip();
      return;
    }
    const isThere = this.connection === 'online' || this.connection === 'late';
    if (isThere && (now - hearingSince) / 1000 >= 5 * BEAT) {
      if (this.#silent >= 5.5 * BEAT) this.connection = 'offline';
      else if (this.#silent >= 2.5 * BEAT) this.connection = 'late';
    }
    if (this.connection === 'offline') {
      this.arrivals.unreachable();
      this.device = 'unreachable';
      return;
    }
    const hasSpoken = this.connection !== 'never';
    if (hasSpoken) this.device = this.#says ?? this.device;
    const newest = Math.max(this.#cameAt, madeAt ?? now, hearingSince);
    // What did not come since its last word may be on its way.
    const heard = Math.max(this.#heardAt, this.#cameAt);
    const isKnown = heard >= Math.max(madeAt ?? now, hearingSince);
    if (!isKnown) this.arrivals.skip();
    else this.arrivals.second((heard - newest) / 1000, hasSpoken, (now - newest) / 1000);
    // Silent for so long after a start, nobody can say when it became what it then is.
    const isSilentLong = !isKnown && (now - hearingSince) / 1000 >= WITHIN * PROMISE.atRisk;
    if (isSilentLong) this.knowsFrom = Math.max(this.knowsFrom, now + 3 * PROMISE.withinMs);
  }

  #walkOwn({ runs, startedAt, lastAt, skewMs }: SimDevice, now: number): void {
    if (runs === null || startedAt !== this.#beganAt) this.own = new Walk();
    this.#beganAt = runs === null ? -1 : startedAt;
    if (runs === null) return;
    this.own.second((now + skewMs - Math.max(lastAt ?? startedAt, startedAt)) / 1000);
  }
}
