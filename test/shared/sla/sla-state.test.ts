import { describe, expect, it } from 'vitest';
import {
  type EventKind,
  type SlaEvent,
  type SlaState,
  slaTransition,
  type StateKind,
  UNKNOWN,
} from '@runnel/shared/sla/sla-state.ts';

const STATES: Readonly<Record<StateKind, SlaState>> = {
  unknown: UNKNOWN,
  met: { kind: 'met', since: 100, cause: 'c' },
  atRisk: { kind: 'atRisk', since: 100, cause: 'c', easingSince: null },
  breached: { kind: 'breached', since: 100, cause: 'c', easingSince: null },
  unreachable: { kind: 'unreachable', since: 100, cause: 'c' },
};
const EVENTS: Readonly<Record<EventKind, SlaEvent>> = {
  met: { kind: 'met', from: 150, cause: 'good', holdMs: 60 },
  atRisk: { kind: 'atRisk', from: 150, cause: 'close', holdMs: 60 },
  breached: { kind: 'breached', from: 150, cause: 'bad', holdMs: 60 },
  silent: { kind: 'silent', from: 150, cause: 'silent' },
  ended: { kind: 'ended' },
};
const NOW = 200;

/** Verdict after the event, and when it was entered; `-`: nothing changed. */
const EXPECTED: Readonly<Record<StateKind, Readonly<Record<EventKind, string>>>> = {
  unknown: {
    met: 'met 150',
    atRisk: 'atRisk 150',
    breached: 'breached 150',
    silent: 'unreachable 150',
    ended: '-',
  },
  met: {
    met: '-',
    atRisk: 'atRisk 150',
    breached: 'breached 150',
    silent: 'unreachable 150',
    ended: 'unknown 200',
  },
  atRisk: {
    met: '-',
    atRisk: '-',
    breached: 'breached 150',
    silent: 'unreachable 150',
    ended: 'unknown 200',
  },
  breached: {
    met: '-',
    atRisk: '-',
    breached: '-',
    silent: 'unreachable 150',
    ended: 'unknown 200',
  },
  unreachable: {
    met: 'met 200',
    atRisk: 'atRisk 200',
    breached: 'breached 200',
    silent: '-',
    ended: 'unknown 200',
  },
};

describe('a promise', () => {
  for (const [state, row] of Object.entries(EXPECTED)) {
    for (const [event, expected] of Object.entries(row)) {
      it(`that is ${state} and hears ${event}: ${expected}`, () => {
        const before = STATES[state as StateKind];
        const step = slaTransition(before, EVENTS[event as EventKind], NOW);
        const [change] = step.effects;
        const told = change === undefined ? '-' : `${change.verdict ?? 'unknown'} ${change.at}`;
        expect(told).toBe(expected);
        expect(step.state.kind).toBe(change === undefined ? state : (change.verdict ?? 'unknown'));
        if (change !== undefined && before.kind !== 'unknown') {
          expect(change.was).toEqual({ verdict: before.kind, since: 100 });
        }
      });
    }
  }

  //  breached 100 ── met seen at 150 ──── still 209 ── 210: it has held for 60
  it('is met again when it has held, at the instant at which it had', () => {
    let state = slaTransition(STATES.breached, EVENTS.met, 160).state;
    expect(state.kind).toBe('breached');
    state = slaTransition(state, { ...EVENTS.met, from: 190 } as SlaEvent, 209).state;
    expect(state.kind).toBe('breached');
    const step = slaTransition(state, { ...EVENTS.met, from: 190 } as SlaEvent, 300);
    expect(step.effects).toMatchObject([{ verdict: 'met', at: 210 }]);
  });

  it('that flaps at its bound is breached once', () => {
    let state: SlaState = STATES.breached;
    for (let now = 200; now < 2000; now += 20) {
      const event = now % 40 === 0 ? EVENTS.met : EVENTS.breached;
      const step = slaTransition(state, { ...event, from: now } as SlaEvent, now);
      expect(step.effects).toEqual([]);
      state = step.state;
    }
    expect(state).toMatchObject({ kind: 'breached', since: 100 });
  });

  it('never goes back in time, whatever a clock says', () => {
    const early = { kind: 'breached', from: 20, cause: 'bad', holdMs: 0 } as const;
    expect(slaTransition(STATES.met, early, NOW).effects).toMatchObject([{ at: 100 }]);
    const ahead = { ...early, from: 900 };
    expect(slaTransition(STATES.met, ahead, NOW).effects).toMatchObject([{ at: NOW }]);
  });
});
