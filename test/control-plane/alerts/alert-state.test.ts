/** The life of one alert: the whole table, and what holds over any sequence of events. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AlertEvent,
  type AlertLife,
  FLAP_MS,
  newAlert,
  transition,
} from '@runnel/control-plane/alerts/alert-state.ts';

const BASE = { severity: 'warning', startedAt: 0, lastAt: 0, count: 1 } as const;
const STATES: Readonly<Record<AlertLife['kind'], AlertLife>> = {
  firing: { ...BASE, silencedBy: null, kind: 'firing' },
  acknowledged: { ...BASE, silencedBy: null, kind: 'acknowledged', by: 'ann' },
  silenced: { ...BASE, silencedBy: 's1', kind: 'silenced' },
  resolved: { ...BASE, silencedBy: null, kind: 'resolved', endedAt: 100 },
};
const EVENTS = {
  fire: { kind: 'fire', severity: 'warning' },
  worse: { kind: 'fire', severity: 'error' },
  better: { kind: 'fire', severity: 'info' },
  resolve: { kind: 'resolve' },
  acknowledge: { kind: 'acknowledge', by: 'bob' },
  unacknowledge: { kind: 'unacknowledge' },
  silence: { kind: 'silence', by: 's2' },
  unsilence: { kind: 'unsilence' },
} as const satisfies Readonly<Record<string, AlertEvent>>;

/** State after, and what came of it; at 200 ms, within the flap window of what ended at 100. */
const TABLE: Readonly<Record<AlertLife['kind'], Readonly<Record<keyof typeof EVENTS, string>>>> = {
  firing: {
    fire: 'firing repeated',
    worse: 'firing raised',
    better: 'firing lowered',
    resolve: 'resolved resolved',
    acknowledge: 'acknowledged acknowledged',
    unacknowledge: 'firing none',
    silence: 'silenced silenced',
    unsilence: 'firing none',
  },
  acknowledged: {
    fire: 'acknowledged repeated',
    worse: 'firing raised',
    better: 'acknowledged lowered',
    resolve: 'resolved resolved',
    acknowledge: 'acknowledged acknowledged',
    unacknowledge: 'firing unacknowledged',
    silence: 'acknowledged none',
    unsilence: 'acknowledged none',
  },
  silenced: {
    fire: 'silenced repeated',
    worse: 'silenced raised',
    better: 'silenced lowered',
    resolve: 'resolved resolved',
    acknowledge: 'acknowledged acknowledged',
    unacknowledge: 'silenced none',
    silence: 'silenced none',
    unsilence: 'firing unsilenced',
  },
  resolved: {
    fire: 'firing reopened',
    worse: 'firing reopened',
    better: 'firing reopened',
    resolve: 'resolved none',
    acknowledge: 'resolved refused',
    unacknowledge: 'resolved refused',
    silence: 'resolved none',
    unsilence: 'resolved none',
  },
};

describe('an alert', () => {
  for (const [kind, row] of Object.entries(TABLE)) {
    for (const [event, expected] of Object.entries(row)) {
      it(`that is ${kind}, on ${event}, is ${expected}`, () => {
        const from = STATES[kind as AlertLife['kind']];
        const { state, change } = transition(from, EVENTS[event as keyof typeof EVENTS], 200);
        expect(`${state.kind} ${change}`).toBe(expected);
      });
    }
  }

  it('that ended longer ago than the flap window is another one', () => {
    const step = transition(STATES.resolved, EVENTS.fire, 100 + FLAP_MS);
    expect(step).toEqual({ state: STATES.resolved, change: 'anew' });
  });

  it('that got worse is silenced again when a silence matched it while it was acknowledged', () => {
    const silenced = transition(STATES.acknowledged, EVENTS.silence, 1).state;
    expect(transition(silenced, EVENTS.worse, 2).state.kind).toBe('silenced');
  });

  it('counts what was said, and only that, whatever else happens to it', () => {
    const event = fc.constantFrom(...Object.values(EVENTS));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        let state = newAlert('warning', 0, null);
        let said = 1;
        for (const [index, each] of events.entries()) {
          const step = transition(state, each, index + 1);
          if (each.kind === 'fire' && step.change !== 'anew') said += 1;
          state = step.state;
          expect(state.count).toBe(said);
          if (state.kind === 'firing') expect(state.silencedBy).toBeNull();
          expect(state.lastAt).toBeGreaterThanOrEqual(state.startedAt);
        }
      }),
    );
  });
});
