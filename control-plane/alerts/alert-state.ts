/**
 * The life of one alert, as a pure transition: what is said of a thing that is wrong, and what
 * people make of it.
 *
 * Guarantees: no clock, randomness or I/O in here; every state answers every event (a missing cell
 * of `TABLE` does not compile). Saying it again counts and tells nobody. A severity that goes up
 * takes an acknowledgement back: it was for something less bad. What ends and begins again within
 * `FLAP_MS` is the same alert that goes on; later it is a new one, which the shell makes.
 *
 * ```
 *            silence                 acknowledge
 *  silenced ◀──────── firing ───────────────────▶ acknowledged
 *     │     ────────▶   │    ◀───────────────────      │
 *     │     unsilence   │     unacknowledge, worse     │
 *     └─────────────────┴──────▶ resolved ◀────────────┘      (fire within FLAP_MS: goes on)
 * ```
 */
import type { AlertState as AlertStateName } from '../http/alert-messages.ts';

export type AlertSeverity = 'info' | 'warning' | 'error';

/** What ends and begins again within this time is one alert. */
export const FLAP_MS = 5 * 60_000;

const BY_RANK: readonly AlertSeverity[] = ['info', 'warning', 'error'];

export function severityRank(severity: AlertSeverity): number {
  return BY_RANK.indexOf(severity);
}

export function severityOfRank(rank: number): AlertSeverity {
  return BY_RANK[rank] ?? 'error';
}

interface Common {
  readonly severity: AlertSeverity;
  readonly startedAt: number;
  /** When it was last said. */
  readonly lastAt: number;
  /** How often it was said. */
  readonly count: number;
  /** The silence that matches it, also while somebody has acknowledged it. */
  readonly silencedBy: string | null;
}

export type AlertLife = Common &
  (
    | { readonly kind: 'firing' }
    | { readonly kind: 'acknowledged'; readonly by: string }
    | { readonly kind: 'silenced'; readonly silencedBy: string }
    | { readonly kind: 'resolved'; readonly endedAt: number }
  );

export type AlertEvent =
  | { readonly kind: 'fire'; readonly severity: AlertSeverity }
  | { readonly kind: 'resolve' }
  | { readonly kind: 'acknowledge'; readonly by: string }
  | { readonly kind: 'unacknowledge' }
  | { readonly kind: 'silence'; readonly by: string }
  | { readonly kind: 'unsilence' };

/**
 * What came of it. `anew`: it is over for too long, so that this is another alert; the state did
 * not change. `refused`: it cannot be done to an alert in this state.
 */
export type AlertChange =
  | 'none'
  | 'repeated'
  | 'raised'
  | 'lowered'
  | 'reopened'
  | 'anew'
  | 'acknowledged'
  | 'unacknowledged'
  | 'silenced'
  | 'unsilenced'
  | 'resolved'
  | 'refused';

export interface AlertStep {
  readonly state: AlertLife;
  readonly change: AlertChange;
}

type StateOf<S extends AlertStateName> = Extract<AlertLife, { kind: S }>;
type EventOf<E extends AlertEvent['kind']> = Extract<AlertEvent, { kind: E }>;
type Cell<S extends AlertStateName, E extends AlertEvent['kind']> = (
  state: StateOf<S>,
  event: EventOf<E>,
  now: number,
) => AlertStep;
type Row<S extends AlertStateName> = { readonly [E in AlertEvent['kind']]: Cell<S, E> };

/** A new one, as it is first said; `silencedBy` is the silence that holds it back. */
export function newAlert(
  severity: AlertSeverity,
  at: number,
  silencedBy: string | null,
): AlertLife {
  const common = { severity, startedAt: at, lastAt: at, count: 1 };
  return unacknowledgedLife({ ...common, silencedBy });
}

export function transition(state: AlertLife, event: AlertEvent, now: number): AlertStep {
  // The one cast: TypeScript cannot see that row and cell belong to this state and event.
  const row = TABLE[state.kind] as unknown as Record<
    string,
    (state: AlertLife, event: AlertEvent, now: number) => AlertStep
  >;
  return row[event.kind]!(state, event, now);
}

function common({ severity, startedAt, lastAt, count, silencedBy }: Common): Common {
  return { severity, startedAt, lastAt, count, silencedBy };
}

function unacknowledgedLife(life: Common): AlertLife {
  const { silencedBy } = life;
  if (silencedBy === null) return { ...common(life), kind: 'firing' };
  return { ...common(life), kind: 'silenced', silencedBy };
}

const stay = (state: AlertLife): AlertStep => ({ state, change: 'none' });
const refuse = (state: AlertLife): AlertStep => ({ state, change: 'refused' });

/** Said again, now with this severity. */
function said<S extends AlertLife>(state: S, severity: AlertSeverity, now: number): S {
  return { ...state, severity, lastAt: Math.max(now, state.lastAt), count: state.count + 1 };
}

function sayAgain(state: AlertLife, { severity }: EventOf<'fire'>, now: number): AlertStep {
  const by = severityRank(severity) - severityRank(state.severity);
  const change = by > 0 ? 'raised' : by < 0 ? 'lowered' : 'repeated';
  return { state: said(state, severity, now), change };
}

function sayOfAcknowledged(
  state: StateOf<'acknowledged'>,
  event: EventOf<'fire'>,
  now: number,
): AlertStep {
  const step = sayAgain(state, event, now);
  return step.change === 'raised' ? { ...step, state: unacknowledgedLife(step.state) } : step;
}

function sayOfResolved(
  state: StateOf<'resolved'>,
  { severity }: EventOf<'fire'>,
  now: number,
): AlertStep {
  if (now - state.endedAt >= FLAP_MS) return { state, change: 'anew' };
  return { state: unacknowledgedLife(said(state, severity, now)), change: 'reopened' };
}

function resolve(state: AlertLife, _event: AlertEvent, now: number): AlertStep {
  const endedAt = Math.max(now, state.startedAt);
  return { state: { ...common(state), kind: 'resolved', endedAt }, change: 'resolved' };
}

function acknowledge(state: AlertLife, { by }: EventOf<'acknowledge'>): AlertStep {
  return { state: { ...common(state), kind: 'acknowledged', by }, change: 'acknowledged' };
}

function unacknowledge(state: StateOf<'acknowledged'>): AlertStep {
  return { state: unacknowledgedLife(state), change: 'unacknowledged' };
}

function silence(state: AlertLife, { by }: EventOf<'silence'>): AlertStep {
  const silenced = { ...common(state), kind: 'silenced', silencedBy: by } as const;
  return { state: silenced, change: 'silenced' };
}

/** It has another silence now, or none, and stays what it is. */
function silenceQuietly<S extends AlertLife>(state: S, silencedBy: string | null): AlertStep {
  return { state: { ...state, silencedBy } as AlertLife, change: 'none' };
}

/** The complete table: a cell that is missing does not compile. */
const TABLE: { readonly [S in AlertStateName]: Row<S> } = {
  firing: {
    fire: sayAgain,
    resolve,
    acknowledge,
    unacknowledge: stay,
    silence,
    unsilence: stay,
  },
  acknowledged: {
    fire: sayOfAcknowledged,
    resolve,
    // The newest name stands: whoever asks for it takes it over.
    acknowledge,
    unacknowledge,
    silence: (state, { by }) => silenceQuietly(state, by),
    unsilence: (state) => silenceQuietly(state, null),
  },
  silenced: {
    fire: sayAgain,
    resolve,
    acknowledge,
    unacknowledge: stay,
    silence: (state, { by }) => silenceQuietly(state, by),
    unsilence: (state) => ({
      state: unacknowledgedLife({ ...state, silencedBy: null }),
      change: 'unsilenced',
    }),
  },
  resolved: {
    fire: sayOfResolved,
    resolve: stay,
    acknowledge: refuse,
    unacknowledge: refuse,
    // What is over is not held back; should it go on, the shell matches silences anew.
    silence: (state, { by }) => silenceQuietly(state, by),
    unsilence: (state) => silenceQuietly(state, null),
  },
};
