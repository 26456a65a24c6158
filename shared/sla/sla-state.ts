/**
 * The life of one promise, as a pure transition: the same on the device and on the control plane,
 * each over its own facts.
 *
 * Guarantees: every state answers every event (a missing cell of `TABLE` does not compile); worse
 * is entered at once, at the instant that the facts name, also when nobody looked until later;
 * better is entered when it has held for `holdMs`, so that a value at its bound does not flap;
 * instants never go back. `unreachable` is a state of its own: nobody here can say, which is not
 * the same as late. Refused: nothing; a promise that is no longer made is `ended` and has no
 * verdict.
 */
export const JUDGED = ['met', 'atRisk', 'breached'] as const;
/** What facts can show, best first. */
export type Judged = (typeof JUDGED)[number];
export type Verdict = Judged | 'unreachable';

interface Standing {
  /** When it was entered, epoch ms. */
  readonly since: number;
  readonly cause: string;
}

export type SlaState =
  | { readonly kind: 'unknown' }
  | (Standing & { readonly kind: 'met' })
  | (Standing & {
      readonly kind: 'atRisk' | 'breached';
      /** Since when the facts show better; it is entered when that has held. */
      readonly easingSince: number | null;
    })
  | (Standing & { readonly kind: 'unreachable' });

interface Shown {
  /** Since when the facts show it: at most `now`, and maybe before anybody looked. */
  readonly from: number;
  readonly cause: string;
  /** How long better must hold before it counts. */
  readonly holdMs: number;
}

export type SlaEvent =
  | (Shown & { readonly kind: Judged })
  | { readonly kind: 'silent'; readonly from: number; readonly cause: string }
  | { readonly kind: 'ended' };

export interface SlaChange {
  readonly do: 'change';
  /** Null: there was no verdict. */
  readonly was: { readonly verdict: Verdict; readonly since: number } | null;
  /** Null: there is none any more. */
  readonly verdict: Verdict | null;
  readonly at: number;
  readonly cause: string;
}

export interface SlaStep {
  readonly state: SlaState;
  readonly effects: readonly SlaChange[];
}

export type StateKind = SlaState['kind'];
export type EventKind = SlaEvent['kind'];
type StateOf<S extends StateKind> = Extract<SlaState, { readonly kind: S }>;
type EventOf<E extends EventKind> = Extract<SlaEvent, { readonly kind: E }>;
type Cell<S extends StateKind, E extends EventKind> = (
  state: SlaState & { readonly kind: S },
  event: SlaEvent & { readonly kind: E },
  now: number,
) => SlaStep;
type Row<S extends StateKind> = { readonly [E in EventKind]: Cell<S, E> };

export const UNKNOWN: SlaState = { kind: 'unknown' };

export function slaTransition(state: SlaState, event: SlaEvent, now: number): SlaStep {
  // The one cast: TypeScript cannot see that row and cell belong to this state and event.
  const row = TABLE[state.kind] as unknown as Record<string, Cell<StateKind, EventKind>>;
  return (row[event.kind] as Cell<StateKind, EventKind>)(state, event, now);
}

/** When time alone may change the state: better has held by then. */
export function easedAt(state: SlaState, holdMs: number): number {
  if (!('easingSince' in state) || state.easingSince === null) return Infinity;
  return state.easingSince + holdMs;
}

type Entering = Exclude<SlaEvent, { readonly kind: 'ended' }>;

const stay = (state: SlaState): SlaStep => ({ state, effects: [] });

/** The instant of a change: as the facts say, never before what stands and never ahead. */
function instantOf(state: SlaState, from: number, now: number): number {
  const since = state.kind === 'unknown' ? -Infinity : state.since;
  return Math.max(since, Math.min(from, now));
}

function standing(state: SlaState): SlaChange['was'] {
  return state.kind === 'unknown' ? null : { verdict: state.kind, since: state.since };
}

function enterAt(state: SlaState, event: Entering, at: number): SlaStep {
  const verdict: Verdict = event.kind === 'silent' ? 'unreachable' : event.kind;
  const { cause } = event;
  const next = { since: at, cause };
  return {
    state:
      verdict === 'met' || verdict === 'unreachable'
        ? { kind: verdict, ...next }
        : { kind: verdict, ...next, easingSince: null },
    effects: [{ do: 'change', was: standing(state), verdict, at, cause }],
  };
}

const enter = (state: SlaState, event: Entering, now: number): SlaStep =>
  enterAt(state, event, instantOf(state, event.from, now));

/** What it said meanwhile is not known from here: it counts from when it is heard. */
const heard = (state: SlaState, event: Entering, now: number): SlaStep =>
  enterAt(state, event, instantOf(state, now, now));

function end(state: SlaState, _event: SlaEvent, now: number): SlaStep {
  const at = instantOf(state, now, now);
  const cause = 'not promised any more';
  return {
    state: UNKNOWN,
    effects: [{ do: 'change', was: standing(state), verdict: null, at, cause }],
  };
}

/** The same verdict, with the numbers of now. */
function refresh(
  state: StateOf<'met' | 'atRisk' | 'breached' | 'unreachable'>,
  { cause }: Pick<Entering, 'cause'>,
): SlaStep {
  if (state.kind === 'met' || state.kind === 'unreachable') return stay({ ...state, cause });
  return stay({ ...state, cause, easingSince: null });
}

/** Better: it is entered when it has held. */
function ease(
  state: SlaState & { readonly kind: 'atRisk' | 'breached' },
  event: EventOf<Judged> & Shown,
  now: number,
): SlaStep {
  const { since, easingSince } = state as Extract<SlaState, { easingSince: number | null }>;
  const from = easingSince ?? Math.max(since, Math.min(event.from, now));
  const at = from + event.holdMs;
  if (at <= now) return enterAt(state, event, at);
  return stay({ ...state, easingSince: from, cause: easingCause(state.kind, event.cause) });
}

function easingCause(kind: 'atRisk' | 'breached', cause: string): string {
  return `${kind === 'breached' ? 'was breached' : 'was at risk'} just now: ${cause}`;
}

const TABLE: { readonly [S in StateKind]: Row<S> } = {
  unknown: { met: enter, atRisk: enter, breached: enter, silent: enter, ended: stay },
  met: { met: refresh, atRisk: enter, breached: enter, silent: enter, ended: end },
  atRisk: { met: ease, atRisk: refresh, breached: enter, silent: enter, ended: end },
  breached: { met: ease, atRisk: ease, breached: refresh, silent: enter, ended: end },
  unreachable: { met: heard, atRisk: heard, breached: heard, silent: refresh, ended: end },
};
