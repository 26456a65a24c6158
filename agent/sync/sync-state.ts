/**
 * The life of an agent's link to its control plane, as a pure transition (SPEC.md has the table,
 * the invariants and the test of each).
 *
 * Guarantees: no clock, randomness or I/O in here; every state answers every event (a missing cell
 * of `TABLE` does not compile); being disconnected is an ordinary state that always has a timer
 * out of it; the revision never goes down. Delays come out as ranges, the shell draws from them.
 */
import type { EpochMs } from '@runnel/shared/ids.ts';
import { backoff, DELAYS, type Range, renewalDelay, renewalRetry } from './sync-delays.ts';

/** Validity of the credentials held, by the control plane's clock. */
export interface Life {
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/**
 * `network`: not reached or lost. `refused`: the NATS server turned our credentials down.
 * `expired`: it ended a connection whose credentials ran out. `revoked`: it ended one whose
 * credentials were taken back, or the control plane's renewal says so, as it says `pending`.
 * `server`: an answer that is an error. `document`: a desired state that was refused here
 * (signature, agent, revision).
 */
export const TROUBLES = [
  'network',
  'refused',
  'expired',
  'revoked',
  'pending',
  'server',
  'document',
] as const;
export interface Trouble {
  readonly kind: (typeof TROUBLES)[number];
  /** One sentence for people. */
  readonly message: string;
}

interface Common {
  /** Null while a person has not approved this device. */
  readonly life: Life | null;
  /** Highest revision accepted. Requests carry it; never goes down. */
  readonly revision: number;
  /** Highest revision that a command told of; a hint that no signature protects. */
  readonly told: number;
  /** Failures since desired state was last settled; sets the backoff. */
  readonly failures: number;
}

export type SyncState = Common &
  (
    | { readonly kind: 'idle' }
    | { readonly kind: 'renewing' }
    /** `fresh`: the credentials were renewed for this very attempt. */
    | { readonly kind: 'connecting'; readonly fresh: boolean }
    | { readonly kind: 'waiting'; readonly next: 'connect' | 'renew'; readonly trouble: Trouble }
    /** Connected; the desired state will be asked for when the timer fires. */
    | { readonly kind: 'settling'; readonly tries: number; readonly trouble: Trouble | null }
    /** Connected; a request for the desired state is out. `asked`: what `told` was then. */
    | { readonly kind: 'asking'; readonly tries: number; readonly asked: number }
    /** Connected, and what the control plane wants is known. */
    | { readonly kind: 'synced'; readonly trouble: Trouble | null }
    | { readonly kind: 'stopped' }
  );

export type SyncEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'retryDue' }
  | { readonly kind: 'renewDue' }
  | { readonly kind: 'desiredDue' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'connectFailed'; readonly trouble: Trouble }
  | { readonly kind: 'disconnected'; readonly trouble: Trouble }
  | { readonly kind: 'renewed'; readonly life: Life }
  | { readonly kind: 'renewFailed'; readonly trouble: Trouble }
  | { readonly kind: 'told'; readonly revision: number }
  | { readonly kind: 'desiredSame' }
  | { readonly kind: 'desiredBehind' }
  | { readonly kind: 'desiredAccepted'; readonly revision: number }
  | { readonly kind: 'desiredRefused'; readonly trouble: Trouble }
  | { readonly kind: 'desiredFailed'; readonly trouble: Trouble };

export type Timer = 'retry' | 'renew' | 'desired';

export type Effect =
  | { readonly do: 'connect' }
  | { readonly do: 'disconnect' }
  | { readonly do: 'renewOverHttp' }
  | { readonly do: 'renewOverNats' }
  | { readonly do: 'askDesired'; readonly revision: number; readonly told: number }
  /** Fires the timer's event once, after a delay drawn from the range; replaces an earlier one. */
  | { readonly do: 'timer'; readonly timer: Timer; readonly range: Range }
  | { readonly do: 'cancelTimers' };

export interface Step {
  readonly state: SyncState;
  readonly effects: readonly Effect[];
}

export type StateKind = SyncState['kind'];
export type EventKind = SyncEvent['kind'];
export type StateOf<S extends StateKind> = Extract<SyncState, { kind: S }>;
type EventOf<E extends EventKind> = Extract<SyncEvent, { kind: E }>;
type Cell<S extends StateKind, E extends EventKind> = (
  state: StateOf<S>,
  event: EventOf<E>,
  now: EpochMs,
) => Step;
type Row<S extends StateKind> = { readonly [E in EventKind]: Cell<S, E> };

/** Forgotten after this many `retry` answers: a forged or lost revision must not hold us up. */
const BEHIND_TRIES_MAX = 8;

export function initialState(life: Life | null, revision: number): SyncState {
  return { kind: 'idle', life, revision, told: revision, failures: 0 };
}

/** Connected: heartbeats, results and state reports flow. */
export function isOnline(state: SyncState): boolean {
  return state.kind === 'settling' || state.kind === 'asking' || state.kind === 'synced';
}

export function transition(state: SyncState, event: SyncEvent, now: EpochMs): Step {
  // The one cast: TypeScript cannot see that row and cell belong to this state and event.
  const row = TABLE[state.kind] as unknown as Record<string, Cell<StateKind, EventKind>>;
  return (row[event.kind] as Cell<StateKind, EventKind>)(state, event, now);
}

function common(state: SyncState): Common {
  const { life, revision, told, failures } = state;
  return { life, revision, told, failures };
}

const stay = (state: SyncState): Step => ({ state, effects: [] });

function heard(state: SyncState, event: EventOf<'told'>): SyncState {
  return { ...state, told: Math.max(state.told, event.revision) };
}

const remember = (state: SyncState, event: EventOf<'told'>): Step => stay(heard(state, event));

/** A connection nobody waits for any more. */
const discardLink = (state: SyncState): Step => ({ state, effects: [{ do: 'disconnect' }] });

function stop(state: SyncState): Step {
  return {
    state: { ...common(state), kind: 'stopped' },
    effects: [{ do: 'cancelTimers' }, { do: 'disconnect' }],
  };
}

function renew(state: SyncState): Step {
  return { state: { ...common(state), kind: 'renewing' }, effects: [{ do: 'renewOverHttp' }] };
}

function connect(state: SyncState, fresh = false): Step {
  return { state: { ...common(state), kind: 'connecting', fresh }, effects: [{ do: 'connect' }] };
}

/** Whether our clock says the credentials are over. A wrong clock costs one try, never the link. */
function isOver(life: Life | null, now: EpochMs): boolean {
  return life === null || now >= life.expiresAt;
}

/** Power-on, and the way back after `stop`. */
function begin(state: SyncState, _event: SyncEvent, now: EpochMs): Step {
  return isOver(state.life, now) ? renew(state) : connect(state);
}

function wait(
  state: SyncState,
  next: 'connect' | 'renew',
  trouble: Trouble,
  range: Range = backoff(state.failures),
): Step {
  const failures = state.failures + 1;
  return {
    state: { ...common(state), failures, kind: 'waiting', next, trouble },
    effects: [{ do: 'cancelTimers' }, { do: 'timer', timer: 'retry', range }],
  };
}

function connectFailed(
  state: StateOf<'connecting'>,
  { trouble }: EventOf<'connectFailed'>,
  now: EpochMs,
): Step {
  if (trouble.kind === 'refused' || trouble.kind === 'expired') {
    // Renewing at once is right for old credentials; for new ones it would be a hot loop.
    return state.fresh ? wait(state, 'renew', trouble) : renew(state);
  }
  return wait(state, isOver(state.life, now) ? 'renew' : 'connect', trouble);
}

function renewFailed(state: SyncState, { trouble }: EventOf<'renewFailed'>): Step {
  if (trouble.kind === 'revoked') return wait(state, 'renew', trouble, DELAYS.revoked);
  if (trouble.kind === 'pending') return wait(state, 'renew', trouble, DELAYS.pending);
  // Our clock may be wrong and HTTP blocked: the credentials are tried again as they are.
  return wait(state, state.life === null ? 'renew' : 'connect', trouble);
}

function renewTimer(life: Life | null, now: EpochMs, fresh: boolean): Effect[] {
  if (life === null) return [];
  return [{ do: 'timer', timer: 'renew', range: renewalDelay(life, now, fresh) }];
}

function connected(state: StateOf<'connecting'>, _event: SyncEvent, now: EpochMs): Step {
  const asking = ask(state, 0);
  const effects = [...renewTimer(state.life, now, state.fresh), ...asking.effects];
  return { state: asking.state, effects };
}

function ask(state: SyncState, tries: number): Step {
  return {
    state: { ...common(state), kind: 'asking', tries, asked: state.told },
    effects: [{ do: 'askDesired', revision: state.revision, told: state.told }],
  };
}

function settle(state: SyncState, tries: number, trouble: Trouble | null, range: Range): Step {
  return {
    state: { ...common(state), kind: 'settling', tries, trouble },
    effects: [{ do: 'timer', timer: 'desired', range }],
  };
}

/** What the control plane wants is known; unless it told of more while we asked. */
function synced(state: StateOf<'asking'>, revision: number, trouble: Trouble | null): Step {
  const next = { ...state, revision, failures: 0 };
  if (state.told > Math.max(state.asked, revision)) {
    return settle(next, 0, trouble, DELAYS.changed);
  }
  return {
    state: { ...common(next), kind: 'synced', trouble },
    effects: [{ do: 'timer', timer: 'desired', range: DELAYS.regular }],
  };
}

function behind(state: StateOf<'asking'>): Step {
  const tries = state.tries + 1;
  if (tries < BEHIND_TRIES_MAX) return settle(state, tries, null, backoff(tries));
  return synced({ ...state, told: state.revision }, state.revision, null);
}

function accepted(state: StateOf<'asking'>, event: EventOf<'desiredAccepted'>): Step {
  return synced(state, Math.max(state.revision, event.revision), null);
}

function unanswered(state: StateOf<'asking'>, { trouble }: EventOf<'desiredFailed'>): Step {
  return settle(state, state.tries + 1, trouble, backoff(state.tries + 1));
}

function toldWhenSynced(state: StateOf<'synced'>, event: EventOf<'told'>): Step {
  if (event.revision <= state.revision) return stay(state);
  return settle(heard(state, event), 0, state.trouble, DELAYS.changed);
}

function lost(state: SyncState, { trouble }: EventOf<'disconnected'>, now: EpochMs): Step {
  // Asking for new credentials is how a device hears whether it is revoked for good.
  const taken = trouble.kind === 'refused' || trouble.kind === 'revoked';
  const over = taken || isOver(state.life, now);
  if (trouble.kind === 'expired' && !over) return wait(state, 'connect', trouble, DELAYS.expired);
  return wait(state, over ? 'renew' : 'connect', trouble);
}

/** New credentials while connected: the server takes them at the next connection. */
function renewedOnline(state: SyncState, event: EventOf<'renewed'>, now: EpochMs): Step {
  return { state: { ...state, life: event.life }, effects: renewTimer(event.life, now, true) };
}

function renewedOffline(state: SyncState, event: EventOf<'renewed'>): Step {
  return connect({ ...state, life: event.life }, true);
}

/** The server cuts a revoked device by itself; a renewal that fails is tried again. */
function renewFailedOnline(state: SyncState): Step {
  if (state.life === null) return stay(state);
  const range = renewalRetry(state.life);
  return { state, effects: [{ do: 'timer', timer: 'renew', range }] };
}

const askToRenew = (state: SyncState): Step => ({ state, effects: [{ do: 'renewOverNats' }] });

/** Answers to requests that a state has no use for: they belong to an earlier connection. */
const noAnswers = {
  desiredSame: stay,
  desiredBehind: stay,
  desiredAccepted: stay,
  desiredRefused: stay,
  desiredFailed: stay,
} as const;

/** What is the same in every state without a connection. */
const offline = {
  ...noAnswers,
  start: stay,
  stop,
  retryDue: stay,
  renewDue: stay,
  desiredDue: stay,
  connected: discardLink,
  connectFailed: stay,
  disconnected: stay,
  renewed: stay,
  renewFailed: stay,
  told: remember,
} as const satisfies Row<StateKind>;

/** What is the same in every state with a connection. */
const connectedRow = {
  ...noAnswers,
  start: stay,
  stop,
  retryDue: stay,
  renewDue: askToRenew,
  desiredDue: stay,
  connected: stay,
  connectFailed: stay,
  disconnected: lost,
  renewed: renewedOnline,
  renewFailed: renewFailedOnline,
  told: remember,
} as const satisfies Row<StateKind>;

/** States × events; SPEC.md shows the same table and a test compares them. */
export const TABLE: { readonly [S in StateKind]: Row<S> } = {
  idle: { ...offline, start: begin },
  renewing: { ...offline, renewed: renewedOffline, renewFailed },
  connecting: { ...offline, connected, connectFailed },
  waiting: {
    ...offline,
    retryDue: (state) => (state.next === 'renew' ? renew(state) : connect(state)),
  },
  settling: { ...connectedRow, desiredDue: (state) => ask(state, state.tries) },
  asking: {
    ...connectedRow,
    desiredSame: (state) => synced(state, state.revision, null),
    desiredBehind: behind,
    desiredAccepted: accepted,
    desiredRefused: (state, event) => synced(state, state.revision, event.trouble),
    desiredFailed: unanswered,
  },
  synced: { ...connectedRow, desiredDue: (state) => ask(state, 0), told: toldWhenSynced },
  stopped: { ...offline, stop: stay, start: begin },
};
