import { readFileSync } from 'node:fs';
import { array, assert, constantFrom, nat, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochMs } from '@runnel/shared/ids.ts';
import {
  type Effect,
  initialState,
  isOnline,
  type SyncEvent,
  type SyncState,
  transition,
} from '@runnel/agent/sync/sync-state.ts';
import { EVENTS, eventVariants, NOW, STATES, stateVariants, tableText } from './sync-table.ts';

const life = { issuedAt: 900_000, expiresAt: 1_200_000 };
const network = { kind: 'network', message: 'gone' } as const;

function follow(state: SyncState, ...events: SyncEvent[]): { state: SyncState; effects: Effect[] } {
  const effects: Effect[] = [];
  let at = state;
  for (const event of events) {
    const step = transition(at, event, NOW);
    at = step.state;
    effects.push(...step.effects);
  }
  return { state: at, effects };
}

describe('the table', () => {
  it('is the one that SPEC.md shows', () => {
    const spec = readFileSync('agent/sync/SPEC.md', 'utf8');
    expect(spec).toContain(tableText());
  });

  it('answers every event in every state with a state of the table', () => {
    for (const kind of STATES) {
      for (const state of stateVariants(kind)) {
        for (const event of EVENTS.flatMap(eventVariants)) {
          expect(STATES).toContain(transition(state, event, NOW).state.kind);
        }
      }
    }
  });
});

describe('what each state waits for', () => {
  /** What must be on its way in a state, or the link would be stuck. */
  const needs: Record<string, string> = {
    renewing: 'renewOverHttp',
    connecting: 'connect',
    waiting: 'timer retry',
    settling: 'timer desired',
    asking: 'askDesired',
    synced: 'timer desired',
  };
  const keyOf = (effect: Effect): string =>
    effect.do === 'timer' ? `timer ${effect.timer}` : effect.do;

  /** What can come next in a world where only what was asked for answers. */
  function possible(pending: ReadonlySet<string>, state: SyncState): SyncEvent[] {
    const troubles = ['network', 'refused', 'expired', 'revoked', 'pending', 'server'] as const;
    const failing = troubles.map((kind) => ({ kind, message: kind }));
    const events: SyncEvent[] = [{ kind: 'told', revision: 7 }, { kind: 'stop' }];
    if (state.kind === 'idle' || state.kind === 'stopped') events.push({ kind: 'start' });
    if (isOnline(state)) {
      events.push(...failing.map((trouble) => ({ kind: 'disconnected', trouble }) as const));
    }
    if (pending.has('connect')) {
      events.push({ kind: 'connected' });
      events.push(...failing.map((trouble) => ({ kind: 'connectFailed', trouble }) as const));
    }
    if (pending.has('renewOverHttp') || pending.has('renewOverNats')) {
      events.push({ kind: 'renewed', life });
      events.push(...failing.map((trouble) => ({ kind: 'renewFailed', trouble }) as const));
    }
    if (pending.has('askDesired')) {
      events.push({ kind: 'desiredSame' }, { kind: 'desiredBehind' });
      events.push({ kind: 'desiredAccepted', revision: state.revision + 1 });
      events.push({ kind: 'desiredFailed', trouble: network });
      const trouble = { kind: 'document', message: 'signature' } as const;
      events.push({ kind: 'desiredRefused', trouble });
    }
    if (pending.has('timer retry')) events.push({ kind: 'retryDue' });
    if (pending.has('timer renew')) events.push({ kind: 'renewDue' });
    if (pending.has('timer desired')) events.push({ kind: 'desiredDue' });
    return events;
  }

  const answers: Record<string, readonly string[]> = {
    connected: ['connect'],
    connectFailed: ['connect'],
    renewed: ['renewOverHttp', 'renewOverNats'],
    renewFailed: ['renewOverHttp', 'renewOverNats'],
    retryDue: ['timer retry'],
    renewDue: ['timer renew'],
    desiredDue: ['timer desired'],
  };

  function applied(pending: Set<string>, event: SyncEvent, effects: readonly Effect[]): void {
    for (const key of answers[event.kind] ?? []) pending.delete(key);
    if (event.kind.startsWith('desired')) pending.delete('askDesired');
    // The shell drops answers of a connection that is gone.
    if (event.kind === 'disconnected') {
      pending.delete('askDesired');
      pending.delete('renewOverNats');
    }
    for (const effect of effects) {
      if (effect.do === 'cancelTimers') {
        for (const key of pending) if (key.startsWith('timer')) pending.delete(key);
      } else if (effect.do === 'disconnect') {
        pending.delete('askDesired');
        pending.delete('renewOverNats');
      } else {
        pending.add(keyOf(effect));
      }
    }
  }

  function healed(pending: ReadonlySet<string>, state: SyncState): SyncEvent | undefined {
    if (state.kind === 'stopped' || state.kind === 'idle') return { kind: 'start' };
    if (pending.has('renewOverHttp')) return { kind: 'renewed', life };
    if (pending.has('connect')) return { kind: 'connected' };
    if (pending.has('askDesired')) return { kind: 'desiredSame' };
    if (pending.has('timer retry')) return { kind: 'retryDue' };
    if (pending.has('timer desired')) return { kind: 'desiredDue' };
    return undefined;
  }

  it('is always on its way, the revision never goes down, and a healed network syncs', () => {
    const lives = constantFrom(life, null, { issuedAt: 1, expiresAt: 2 });
    assert(
      property(lives, array(nat(), { maxLength: 80 }), (first, choices) => {
        let state = initialState(first, 3);
        const pending = new Set<string>();
        const take = (event: SyncEvent): void => {
          const step = transition(state, event, NOW);
          expect(step.state.revision).toBeGreaterThanOrEqual(state.revision);
          state = step.state;
          applied(pending, event, step.effects);
          const need = needs[state.kind];
          if (need !== undefined) expect([...pending], `in ${state.kind}`).toContain(need);
        };
        take({ kind: 'start' });
        for (const choice of choices) {
          const events = possible(pending, state);
          take(events[choice % events.length] as SyncEvent);
        }
        for (let steps = 0; state.kind !== 'synced'; steps++) {
          expect(steps, `stuck in ${state.kind}`).toBeLessThan(20);
          const event = healed(pending, state);
          expect(event, `nothing on its way in ${state.kind}`).toBeDefined();
          take(event as SyncEvent);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('single steps', () => {
  it('a device without a network waits with a timer and keeps its revision', () => {
    const { state, effects } = follow(
      initialState(life, 7),
      { kind: 'start' },
      { kind: 'connectFailed', trouble: network },
    );
    expect(state).toMatchObject({ kind: 'waiting', next: 'connect', revision: 7 });
    expect(effects.at(-1)).toMatchObject({ do: 'timer', timer: 'retry' });
  });

  it('the pause between tries grows to a minute and no further', () => {
    let state = initialState(life, 0);
    const pauses: number[] = [];
    state = follow(state, { kind: 'start' }).state;
    for (let tries = 0; tries < 12; tries++) {
      const step = follow(state, { kind: 'connectFailed', trouble: network });
      const timer = step.effects.find((effect) => effect.do === 'timer');
      if (timer?.do === 'timer') pauses.push(timer.range.maxMs);
      state = follow(step.state, { kind: 'retryDue' }).state;
    }
    expect(pauses.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
    expect(pauses.at(-1)).toBe(60_000);
  });

  it('credentials that the server refuses are renewed at once, fresh ones after a pause', () => {
    const refused = { kind: 'refused', message: 'no' } as const;
    const first = follow(
      initialState(life, 0),
      { kind: 'start' },
      { kind: 'connectFailed', trouble: refused },
    );
    expect(first.state.kind).toBe('renewing');
    const second = follow(
      first.state,
      { kind: 'renewed', life },
      { kind: 'connectFailed', trouble: refused },
    );
    expect(second.state).toMatchObject({ kind: 'waiting', next: 'renew' });
  });

  it('a clock years ahead costs one renewal, after which the credentials are used', () => {
    const future = epochMs(9e12);
    const start = transition(initialState(life, 0), { kind: 'start' }, future);
    expect(start.state.kind).toBe('renewing');
    const renewed = transition(start.state, { kind: 'renewed', life }, future);
    expect(renewed.state.kind).toBe('connecting');
    const online = transition(renewed.state, { kind: 'connected' }, future);
    const timer = online.effects.find((effect) => effect.do === 'timer');
    expect(timer).toMatchObject({ timer: 'renew', range: { minMs: 200_000 } });
  });

  it('a revoked device goes on asking, slowly', () => {
    const revoked = { kind: 'revoked', message: 'revoked' } as const;
    const { state, effects } = follow(
      initialState(null, 0),
      { kind: 'start' },
      { kind: 'renewFailed', trouble: revoked },
    );
    expect(state).toMatchObject({ kind: 'waiting', next: 'renew' });
    const timer = effects.at(-1);
    expect(timer?.do === 'timer' && timer.range.minMs).toBeGreaterThanOrEqual(600_000);
  });

  it('a device that the server cuts off as revoked says so, and asks whether it is', () => {
    const trouble = { kind: 'revoked', message: 'User Authentication Revoked' } as const;
    const { state } = follow(
      initialState(life, 4),
      { kind: 'start' },
      { kind: 'connected' },
      { kind: 'disconnected', trouble },
    );
    expect(state).toMatchObject({ kind: 'waiting', next: 'renew', trouble });
  });

  it('a change told while asking is asked for again', () => {
    const { state } = follow(
      initialState(life, 4),
      { kind: 'start' },
      { kind: 'connected' },
      { kind: 'told', revision: 6 },
      { kind: 'desiredAccepted', revision: 5 },
    );
    expect(state).toMatchObject({ kind: 'settling', revision: 5, told: 6 });
  });

  it('a forged revision is forgotten after some tries and does not hold the link up', () => {
    let { state } = follow(
      initialState(life, 4),
      { kind: 'start' },
      { kind: 'connected' },
      { kind: 'told', revision: 1e15 },
      { kind: 'desiredBehind' },
    );
    for (let tries = 0; state.kind !== 'synced' && tries < 20; tries++) {
      state = follow(state, { kind: 'desiredDue' }, { kind: 'desiredBehind' }).state;
    }
    expect(state).toMatchObject({ kind: 'synced', told: 4 });
  });

  it('a connection that arrives after stop is closed', () => {
    const { state, effects } = follow(
      initialState(life, 0),
      { kind: 'start' },
      { kind: 'stop' },
      { kind: 'connected' },
    );
    expect(state.kind).toBe('stopped');
    expect(effects.filter((effect) => effect.do === 'disconnect')).toHaveLength(2);
  });

  it("a cut at the credentials' end with newer ones in hand comes back in a second", () => {
    const { state, effects } = follow(
      initialState(life, 0),
      { kind: 'start' },
      { kind: 'connected' },
      { kind: 'renewed', life: { issuedAt: 950_000, expiresAt: 1_500_000 } },
      { kind: 'disconnected', trouble: { kind: 'expired', message: 'expired' } },
    );
    expect(state).toMatchObject({ kind: 'waiting', next: 'connect' });
    expect(effects.at(-1)).toMatchObject({ range: { maxMs: 1000 } });
  });
});
