import { describe, expect, it } from 'vitest';
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';
import { isCloned, noClone, sawEpoch } from '@runnel/control-plane/intake/clone-watch.ts';
import {
  connectionAfter,
  connectionOf,
  type Heard,
  noWitness,
  witnessConnected,
  witnessLost,
  witnessStalled,
  witnessedMs,
} from '@runnel/control-plane/intake/connection.ts';

const INTERVAL_MS = 10_000;
/** We connected long ago, so that no pause is in force. */
const longConnected = witnessConnected(noWitness, 0);
const BEAT_MS = 1_000_000;

function verdictAfter(silentMs: number, previous: ConnectionState = 'online'): ConnectionState {
  const silence = { previous, heardAtWitnessedMs: BEAT_MS, intervalMs: INTERVAL_MS };
  return connectionOf(silence, longConnected, BEAT_MS + silentMs);
}

describe('a device that falls silent', () => {
  it.each<[number, ConnectionState]>([
    [0, 'online'],
    [15_000, 'online'],
    [24_999, 'online'],
    [25_000, 'late'],
    [54_999, 'late'],
    [55_000, 'offline'],
    [10_000_000, 'offline'],
  ])('for %i ms is %s', (silentMs, expected) => {
    expect(verdictAfter(silentMs)).toBe(expected);
  });

  it('was never there before its first heartbeat', () => {
    expect(verdictAfter(10_000_000, 'never')).toBe('never');
  });
});

describe('every state and all that can be heard of it', () => {
  const cells: Readonly<Record<Heard, readonly [string, string, string, string]>> = {
    // of:       online     late       offline    never
    beat: ['online', 'online', 'online', 'online'],
    untold: ['online', 'late', 'offline', 'never'],
    quiet: ['online', 'late', 'offline', 'never'],
    missedSome: ['late', 'late', 'offline', 'never'],
    missedMany: ['offline', 'offline', 'offline', 'never'],
  };

  it.each(Object.entries(cells))('%s', (heard, expected) => {
    const states = ['online', 'late', 'offline', 'never'] as const;
    expect(states.map((state) => connectionAfter(state, heard as Heard))).toEqual(expected);
  });
});

describe('a control plane that stood still', () => {
  // beat 0 ──── 10 s │▒▒▒▒ ten minutes ▒▒▒▒│ ─ late when 15 more were quiet ─
  const still = 600_000;
  const witness = witnessStalled(longConnected, still);
  const after = (ms: number): ConnectionState =>
    connectionOf(
      { previous: 'online', heardAtWitnessedMs: BEAT_MS, intervalMs: INTERVAL_MS },
      witness,
      BEAT_MS + 10_000 + still + ms,
    );

  it('counts the silence before and after it, and pauses nothing', () => {
    expect(after(0)).toBe('online');
    expect(after(14_999)).toBe('online');
    expect(after(15_000)).toBe('late');
    expect(after(45_000)).toBe('offline');
  });

  it('has nothing to cut out while it is not connected', () => {
    const lost = witnessLost(longConnected, BEAT_MS);
    expect(witnessStalled(lost, still)).toEqual(lost);
  });
});

describe('a control plane without NATS', () => {
  // beat 0        lost 5 s                       back at 605 s
  //   ├───────────┤▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒├──── pause of 50 s ────┤
  const connected = witnessConnected(noWitness, 0);
  const lost = witnessLost(connected, 1_005_000);
  const back = witnessConnected(lost, 1_605_000);
  const silence = {
    previous: 'online' as const,
    heardAtWitnessedMs: 1_000_000,
    intervalMs: INTERVAL_MS,
  };

  it('judges nobody while it is away', () => {
    expect(connectionOf(silence, lost, 1_600_000)).toBe('online');
  });

  it('counts only the time in which it could have heard', () => {
    expect(witnessedMs(back, 1_615_000)).toBe(1_015_000);
  });

  it('judges nobody for five intervals after it came back', () => {
    expect(connectionOf(silence, back, 1_605_000 + 49_999)).toBe('online');
  });

  it('then finds who stayed silent', () => {
    expect(connectionOf(silence, back, 1_605_000 + 50_000)).toBe('offline');
  });

  it('leaves who was offline offline during the pause', () => {
    const offline = { ...silence, previous: 'offline' as const };
    expect(connectionOf(offline, back, 1_606_000)).toBe('offline');
  });
});

describe('a control plane that started again', () => {
  // last beat unknown: before the start       start 0     50 pause over   55
  //                                             ├────────────┤─────────────┤
  const witness = witnessConnected(noWitness, 0);
  const after = (previous: ConnectionState, nowMs: number) =>
    connectionOf({ previous, heardAtWitnessedMs: 0, intervalMs: INTERVAL_MS }, witness, nowMs);

  it('makes no verdict better without a heartbeat', () => {
    for (let nowMs = 0; nowMs <= 60_000; nowMs += 1000) {
      expect(after('offline', nowMs), `${nowMs} ms`).toBe('offline');
      expect(['late', 'offline'], `${nowMs} ms`).toContain(after('late', nowMs));
    }
  });

  it('finds who fell silent while it was away', () => {
    expect(after('online', 49_999)).toBe('online');
    expect(after('online', 55_000)).toBe('offline');
  });
});

describe('two processes of one identity', () => {
  const watch = (epochs: string): boolean => {
    let state = noClone;
    for (const [index, epoch] of epochs.split('').entries()) {
      state = sawEpoch(state, epoch, index * INTERVAL_MS);
    }
    return isCloned(state, epochs.length * INTERVAL_MS);
  };

  it('betray themselves by epochs that come back', () => {
    expect(watch('ABABA')).toBe(true);
  });

  it('are not seen in restarts, however many', () => {
    expect(watch('AABBBCDEFGH')).toBe(false);
  });

  it('are not seen in one message of the old process that came late', () => {
    expect(watch('AABABBB')).toBe(false);
  });

  it('are forgotten ten minutes after the last time', () => {
    let state = noClone;
    for (const [index, epoch] of 'ABABA'.split('').entries()) state = sawEpoch(state, epoch, index);
    expect(isCloned(state, 4)).toBe(true);
    expect(isCloned(state, 600_100)).toBe(false);
  });
});
