/**
 * The page's link to its server, as a pure state machine: `transition(state, event, now)`.
 *
 * Guarantee: `isStale` is true unless a message came within `SILENCE_MS`, so nothing on the page
 * can look current when its server is gone, whatever the socket believes (a sleeping laptop or a
 * dead tunnel keeps a socket "open" for minutes). Reconnects back off to 15 s with jitter, so
 * that a restarted control plane is not met by every page at once.
 */

/** The server pings well within this; without any message for so long the link counts as lost. */
export const SILENCE_MS = 15_000;
const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 15_000;

export type LinkState =
  | { readonly phase: 'connecting'; readonly attempt: number; readonly contactAt: number | null }
  | { readonly phase: 'open'; readonly contactAt: number }
  | {
      readonly phase: 'waiting';
      readonly attempt: number;
      readonly contactAt: number | null;
      readonly retryAt: number;
    }
  | { readonly phase: 'signedOut'; readonly contactAt: number | null };

export type LinkEvent =
  | { readonly type: 'message' }
  /** `random` in [0, 1) spreads the next attempt. */
  | { readonly type: 'closed'; readonly random: number }
  | { readonly type: 'tick'; readonly random: number }
  | { readonly type: 'signedOut' }
  | { readonly type: 'wake' };

export type LinkEffect = 'connect' | 'close';

export interface LinkStep {
  readonly state: LinkState;
  readonly effects: readonly LinkEffect[];
}

export const initialLink: LinkStep = {
  state: { phase: 'connecting', attempt: 1, contactAt: null },
  effects: ['connect'],
};

export function transition(state: LinkState, event: LinkEvent, now: number): LinkStep {
  if (state.phase === 'signedOut') return keep(state);
  switch (event.type) {
    case 'message':
      return keep({ phase: 'open', contactAt: now });
    case 'signedOut':
      return { state: { phase: 'signedOut', contactAt: state.contactAt }, effects: ['close'] };
    case 'closed':
      return state.phase === 'waiting' ? keep(state) : keep(backoff(state, now, event.random));
    case 'wake':
      return state.phase === 'waiting' ? connect(state) : keep(state);
    case 'tick':
      if (state.phase === 'waiting') return now >= state.retryAt ? connect(state) : keep(state);
      if (state.phase === 'open' && now - state.contactAt >= SILENCE_MS) {
        return { state: backoff(state, now, event.random), effects: ['close'] };
      }
      return keep(state);
  }
}

/** Whether what the page shows may no longer be true. */
export function isStale(state: LinkState, now: number): boolean {
  return state.phase !== 'open' || now - state.contactAt >= SILENCE_MS;
}

function connect(state: LinkState & { phase: 'waiting' }): LinkStep {
  return {
    state: { phase: 'connecting', attempt: state.attempt + 1, contactAt: state.contactAt },
    effects: ['connect'],
  };
}

function backoff(state: LinkState, now: number, random: number): LinkState {
  const attempt = state.phase === 'connecting' ? state.attempt : 0;
  const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempt, 10));
  return {
    phase: 'waiting',
    attempt,
    contactAt: state.contactAt,
    retryAt: now + ceiling * (0.5 + random / 2),
  };
}

function keep(state: LinkState): LinkStep {
  return { state, effects: [] };
}
