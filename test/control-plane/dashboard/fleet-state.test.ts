import { describe, expect, test } from 'vitest';
import type { LiveMessage } from '@runnel/control-plane/http/live-messages.ts';
import {
  applyMessage,
  emptyFleet,
  type FleetState,
} from '@runnel/control-plane/dashboard/fleet/fleet-state.ts';
import { sampleAgent } from './sample-agent.ts';

const a = sampleAgent({ id: 'a' });
const b = sampleAgent({ id: 'b' });

function delta(change: Partial<LiveMessage & { type: 'delta' }>): LiveMessage {
  const nothing = { agents: [], removed: [], seen: [], jobs: [], removedJobs: [] };
  return { type: 'delta', at: 0, ...nothing, ...change };
}

function loaded(): FleetState {
  return applyMessage(emptyFleet, { type: 'snapshot', at: 0, agents: [a, b], jobs: [] }, 0);
}

describe('the fleet on the page', () => {
  test('is loading, not empty, before the first snapshot', () => {
    expect(applyMessage(emptyFleet, { type: 'ping', at: 0 }, 0).loaded).toBe(false);
    expect(loaded().loaded).toBe(true);
  });

  test('a snapshot after a reconnect replaces what was known: who is gone is gone', () => {
    const again = applyMessage(loaded(), { type: 'snapshot', at: 0, agents: [b], jobs: [] }, 0);
    expect([...again.agents.keys()]).toEqual(['b']);
  });

  test('a delta changes what it names and leaves every other item identical', () => {
    const late = { ...a, connection: 'late' as const };
    const next = applyMessage(loaded(), delta({ agents: [late] }), 0);
    expect(next.agents.get('a')).toBe(late);
    expect(next.agents.get('b')).toBe(b);
  });

  test('a heartbeat alone moves when a device was last seen', () => {
    const seen = [{ id: 'a', lastSeenAt: 5000, outbox: null }];
    expect(applyMessage(loaded(), delta({ seen }), 0).agents.get('a')?.lastSeenAt).toBe(5000);
  });

  test('a heartbeat of a device that is not known yet invents nothing', () => {
    const seen = [{ id: 'x', lastSeenAt: 5000, outbox: null }];
    expect(applyMessage(loaded(), delta({ seen }), 0).agents.size).toBe(2);
  });

  test('a removed device goes even when the same delta saw it', () => {
    const seen = [{ id: 'a', lastSeenAt: 5000, outbox: null }];
    const next = applyMessage(loaded(), delta({ seen, removed: ['a'] }), 0);
    expect([...next.agents.keys()]).toEqual(['b']);
  });

  test('ages follow the server: a browser whose clock is wrong by an hour shows them right', () => {
    const hour = 3_600_000;
    expect(applyMessage(loaded(), { type: 'ping', at: hour }, 0).clockOffsetMs).toBe(hour);
  });

  test('the delay of the network does not make ages jitter', () => {
    expect(applyMessage(loaded(), { type: 'ping', at: 1000 }, 1900).clockOffsetMs).toBe(0);
  });
});
