import { describe, expect, test } from 'vitest';
import {
  initialLink,
  isStale,
  type LinkEvent,
  type LinkState,
  SILENCE_MS,
  transition,
} from '@runnel/control-plane/dashboard/live/link-state.ts';

function run(state: LinkState, ...events: readonly (readonly [LinkEvent, number])[]): LinkState {
  return events.reduce((now, [event, at]) => transition(now, event, at).state, state);
}

const message: LinkEvent = { type: 'message' };
const closed: LinkEvent = { type: 'closed', random: 0 };
const tick: LinkEvent = { type: 'tick', random: 0 };

describe('the link to the server', () => {
  test('is stale until the first message, even when the socket is open', () => {
    expect(isStale(initialLink.state, 0)).toBe(true);
    expect(isStale(run(initialLink.state, [message, 10]), 10)).toBe(false);
  });

  test('is stale as soon as the socket closes', () => {
    expect(isStale(run(initialLink.state, [message, 10], [closed, 20]), 20)).toBe(true);
  });

  test('is stale after 15 s of silence although the socket says that it is open', () => {
    const open = run(initialLink.state, [message, 0]);
    expect(isStale(open, SILENCE_MS - 1)).toBe(false);
    expect(isStale(open, SILENCE_MS)).toBe(true);
  });

  test('drops a silent socket and connects again', () => {
    const open = run(initialLink.state, [message, 0]);
    const silent = transition(open, tick, SILENCE_MS);
    expect(silent.effects).toEqual(['close']);
    expect(transition(silent.state, tick, SILENCE_MS + 20_000).effects).toEqual(['connect']);
  });

  test('keeps the time of its last contact through every failed attempt', () => {
    const lost = run(
      initialLink.state,
      [message, 1000],
      [closed, 2000],
      [tick, 60_000],
      [closed, 60_001],
      [tick, 120_000],
    );
    expect(lost).toMatchObject({ phase: 'connecting', attempt: 2, contactAt: 1000 });
  });

  test('waits longer after each failure, up to 15 s, and never less than half of that', () => {
    let state: LinkState = run(initialLink.state, [message, 0]);
    const waits: number[] = [];
    for (let failure = 0, now = 0; failure < 9; failure += 1) {
      state = transition(state, closed, now).state;
      if (state.phase !== 'waiting') throw new Error(state.phase);
      waits.push(state.retryAt - now);
      now = state.retryAt;
      state = transition(state, tick, now).state;
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 7500, 7500, 7500, 7500]);
  });

  test('spreads attempts of many pages by their random numbers', () => {
    const late = transition(initialLink.state, { type: 'closed', random: 0.5 }, 0).state;
    const early = transition(initialLink.state, { type: 'closed', random: 0 }, 0).state;
    expect(late).not.toEqual(early);
  });

  test('connects at once when the page is seen again', () => {
    const waiting = run(initialLink.state, [message, 0], [closed, 1]);
    expect(transition(waiting, { type: 'wake' }, 2).effects).toEqual(['connect']);
  });

  test('stays signed out: no event connects a page without a session', () => {
    const out = transition(initialLink.state, { type: 'signedOut' }, 0);
    expect(out.effects).toEqual(['close']);
    for (const event of [message, closed, tick, { type: 'wake' } as const]) {
      expect(transition(out.state, event, 99_999)).toEqual({ state: out.state, effects: [] });
    }
  });
});
