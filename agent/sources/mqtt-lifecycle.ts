/**
 * The life of a connection to a broker, as a pure transition.
 *
 * ```
 *           due, nothing held            session new, something stored      cleared on disk
 *  waiting ───────────────────▶ connecting ───────────▶ clearing ───────────▶ subscribing
 *     ▲                             └───── session resumed, or nothing stored ────▲  │ granted
 *     └──────── closed ◀── from every phase ◀──────────────────────── live ◀─────────┘
 * ```
 *
 * Two waits are for correctness. A new connection waits until everything that the old one offered
 * is committed or discarded: the broker sends it again, and only what is committed is recognised.
 * A new session waits until what is stored of the old one is cleared on disk: packet ids begin
 * anew, and a stale entry could match a message that was never processed.
 */

export type MqttState =
  | { readonly phase: 'waiting'; readonly failures: number; readonly due: boolean }
  | { readonly phase: 'connecting'; readonly failures: number }
  | { readonly phase: 'clearing'; readonly failures: number }
  | { readonly phase: 'subscribing'; readonly failures: number }
  | { readonly phase: 'live' }
  | { readonly phase: 'stopped' };

export type MqttEvent =
  | { readonly type: 'due'; readonly held: number }
  | { readonly type: 'drained' }
  | { readonly type: 'connack'; readonly mustClear: boolean }
  | { readonly type: 'cleared' }
  | { readonly type: 'granted' }
  | { readonly type: 'closed'; readonly slow: boolean; readonly atOnce: boolean }
  | { readonly type: 'stop' };

export type MqttEffect =
  | { readonly do: 'open' }
  | { readonly do: 'clear' }
  | { readonly do: 'subscribe' }
  | { readonly do: 'announceLive' }
  | { readonly do: 'wait'; readonly ms: number };

export interface Backoff {
  readonly initialMs: number;
  readonly maxMs: number;
  /** After a refusal that only a person can mend: wrong password, not authorised. */
  readonly refusedMs: number;
  readonly refusedMsMax: number;
}

export const defaultBackoff: Backoff = {
  initialMs: 500,
  maxMs: 30_000,
  refusedMs: 15_000,
  refusedMsMax: 300_000,
};

export const initialState: MqttState = { phase: 'waiting', failures: 0, due: false };

interface Step {
  readonly state: MqttState;
  readonly effects: readonly MqttEffect[];
}

const stay = (state: MqttState): Step => ({ state, effects: [] });

export function transition(state: MqttState, event: MqttEvent, backoff: Backoff): Step {
  if (state.phase === 'stopped' || event.type === 'stop') return stay({ phase: 'stopped' });
  switch (event.type) {
    case 'due':
      if (state.phase !== 'waiting') return stay(state);
      if (event.held > 0) return stay({ ...state, due: true });
      return open(state.failures);
    case 'drained':
      return state.phase === 'waiting' && state.due ? open(state.failures) : stay(state);
    case 'connack':
      if (state.phase !== 'connecting') return stay(state);
      return event.mustClear ? clear(state.failures) : subscribe(state.failures);
    case 'cleared':
      return state.phase === 'clearing' ? subscribe(state.failures) : stay(state);
    case 'granted':
      return state.phase === 'subscribing' ? live : stay(state);
    case 'closed':
      return state.phase === 'waiting' ? stay(state) : closed(state, event, backoff);
  }
}

const live: Step = { state: { phase: 'live' }, effects: [{ do: 'announceLive' }] };

function open(failures: number): Step {
  return { state: { phase: 'connecting', failures }, effects: [{ do: 'open' }] };
}

function subscribe(failures: number): Step {
  return { state: { phase: 'subscribing', failures }, effects: [{ do: 'subscribe' }] };
}

function clear(failures: number): Step {
  return { state: { phase: 'clearing', failures }, effects: [{ do: 'clear' }] };
}

function closed(
  state: MqttState,
  event: Extract<MqttEvent, { type: 'closed' }>,
  backoff: Backoff,
): Step {
  const failures = 'failures' in state ? state.failures + 1 : 1;
  const [first, last] = event.slow
    ? [backoff.refusedMs, backoff.refusedMsMax]
    : [backoff.initialMs, backoff.maxMs];
  const ms = event.atOnce ? 0 : Math.min(last, first * 2 ** Math.min(failures - 1, 20));
  return { state: { phase: 'waiting', failures, due: false }, effects: [{ do: 'wait', ms }] };
}
