/** Bugs to plant, each in one pure part: the auditor and the oracle must find every one of them. */
import type { Sight } from '@runnel/control-plane/rollouts/rollout-device.ts';
import type {
  RolloutEvent,
  RolloutState,
  Step,
} from '@runnel/control-plane/rollouts/rollout-state.ts';
import type { EpochMs } from '@runnel/shared/ids.ts';
import { PRODUCT, type Product } from './product.ts';

type Strategy = RolloutState['strategy'];
type Looked = Extract<RolloutEvent, { kind: 'looked' }>;

/** The transition under another strategy than the one that was asked for. */
function under(change: (state: RolloutState) => Partial<Strategy>): Product {
  const transition = (before: RolloutState, event: RolloutEvent, now: EpochMs): Step => {
    const strategy = { ...before.strategy, ...change(before) };
    const step = PRODUCT.transition({ ...before, strategy }, event, now);
    return { ...step, state: { ...step.state, strategy: before.strategy } };
  };
  return { ...PRODUCT, transition };
}

/** The transition with other eyes. */
function seeing(change: (event: Looked, state: RolloutState) => Looked): Product {
  const transition = (state: RolloutState, event: RolloutEvent, now: EpochMs): Step =>
    PRODUCT.transition(state, event.kind === 'looked' ? change(event, state) : event, now);
  return { ...PRODUCT, transition };
}

function silenceIsSuccess(event: Looked, { version, phase }: RolloutState): Looked {
  if (phase === 'rollingBack') return event;
  const sights = new Map<string, Sight>();
  for (const [agent, sight] of event.sights) {
    const job = { version, phase: 'running', attempted: null } as const;
    const isSilent = sight.link === 'silent';
    sights.set(agent, isSilent ? { ...sight, link: 'heard', current: true, job } : sight);
  }
  return { ...event, sights };
}

function withoutBreaches(event: Looked): Looked {
  const blind = [...event.sights].map(([id, sight]) => [id, { ...sight, breaches: [] }] as const);
  return { ...event, sights: new Map(blind) };
}

function staleIsNews(event: Looked): Looked {
  const sights = new Map<string, Sight>();
  for (const [agent, sight] of event.sights) {
    sights.set(agent, sight.link === 'unheard' ? { ...sight, link: 'heard' } : sight);
  }
  return { ...event, hold: null, sights };
}

function forgetsOneAtRollback(state: RolloutState, event: RolloutEvent, now: EpochMs): Step {
  const step = PRODUCT.transition(state, event, now);
  if (step.state.phase !== 'rollingBack' && step.state.phase !== 'rolledBack') return step;
  const effects = step.effects.map((effect) =>
    effect.do === 'tell' ? { ...effect, agents: effect.agents.slice(1) } : effect,
  );
  return { ...step, effects };
}

function approvesItself(state: RolloutState, event: RolloutEvent, now: EpochMs): Step {
  const step = PRODUCT.transition(state, event, now);
  if (step.state.phase !== 'awaitingApproval') return step;
  const next = PRODUCT.transition(step.state, { kind: 'approve', by: 'p' }, now);
  return { ...next, effects: [...step.effects, ...next.effects] };
}

export const PLANTED: Readonly<Record<string, Product>> = {
  'ignores the budget': under(() => ({ maxUnavailable: null })),
  'ignores the gate': under(() => ({ minHealthy: 0 })),
  'ignores the promises of the gate': seeing(withoutBreaches),
  'takes silence for success': seeing(silenceIsSuccess),
  'goes by what it heard before it was deaf': seeing(staleIsNews),
  'waits for ever in a rollback': seeing((event, { phase }) =>
    phase === 'rollingBack' ? { ...event, elapsedMs: 0 } : event,
  ),
  'forgets a device at a rollback': { ...PRODUCT, transition: forgetsOneAtRollback },
  'goes on without approval': { ...PRODUCT, transition: approvesItself },
  'does not pause': {
    ...PRODUCT,
    transition: (state, event, now) => {
      const step = PRODUCT.transition(state, event, now);
      if (event.kind !== 'pause' || step.refused !== undefined) return step;
      return { ...step, state: { ...step.state, phase: state.phase } };
    },
  },
  'forgets at a restart whom it moved': {
    ...PRODUCT,
    rolloutState: (text) => {
      const state = PRODUCT.rolloutState(text);
      const devices = [...state.devices].map(
        ([agent, device]) => [agent, { ...device, moved: false }] as const,
      );
      return { ...state, devices: new Map(devices) };
    },
  },
  'holds its own deafness against devices': {
    ...PRODUCT,
    connectionOf: (silence, witness, now) =>
      PRODUCT.connectionOf(silence, { ...witness, connectedSinceMs: 0 }, now),
  },
  'holds an absence for a breach': {
    ...PRODUCT,
    lookAtPromise: (entry, contact, since, now) => {
      const connection = contact.connection === 'offline' ? 'late' : contact.connection;
      return PRODUCT.lookAtPromise(entry, { ...contact, connection }, since, now);
    },
  },
  'counts silence of its own making as lateness': {
    ...PRODUCT,
    lookAtPromise: (entry, contact, _since, now) =>
      PRODUCT.lookAtPromise(entry, contact, entry.sinceAt, now),
  },
  'takes silence of a link for silence of a job': {
    ...PRODUCT,
    lookAtPromise: (entry, contact, since, now) =>
      PRODUCT.lookAtPromise(entry, { ...contact, heardUpTo: now }, since, now),
  },
  'trusts the clock of a device': {
    ...PRODUCT,
    lookAtPromise: (entry, contact, since, now) =>
      PRODUCT.lookAtPromise(entry, { ...contact, skewMs: 0 }, since, now),
  },
  'judges a result as new whenever it came': {
    ...PRODUCT,
    settleOnDevice: (facts, before, fromMs, now) =>
      PRODUCT.settleOnDevice({ ...facts, lastAt: now }, before, fromMs, now),
  },
};
