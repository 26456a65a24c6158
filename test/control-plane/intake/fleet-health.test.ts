/** What is known of devices in memory, over gaps, standstills and restarts. */
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { EventWriter } from '@runnel/control-plane/intake/event-writer.ts';
import { FleetHealth } from '@runnel/control-plane/intake/fleet-health.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { ManualClock } from '../../agent/streams/manual-clock.ts';
import { heartbeatOf } from '../../support/device.ts';
import { silentLog } from '../../support/nats.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

const T0 = Date.parse('2026-11-30T12:00:00Z');
const BEAT_MS = 10_000;
const MINUTE_MS = 60_000;

let clock: ManualClock;
let health: FleetHealth;
let seq: number;

async function open(): Promise<FleetHealth> {
  const store = await openStore(join(tempDir('health'), 'store.db'));
  const events = new EventWriter(store.db, silentLog);
  const opened = await FleetHealth.open({ db: store.db, clock, log: silentLog, events });
  onTestFinished(async () => {
    let ended = false;
    const ending = opened.stop().finally(() => (ended = true));
    // It rests between its steps, by a clock that only goes on by hand.
    await waitFor('the last write', () => {
      clock.pass(1);
      return ended;
    });
    await ending;
    await events.settled();
    await store.close();
  });
  opened.setConnected(true);
  return opened;
}

beforeEach(async () => {
  clock = new ManualClock(T0);
  health = await open();
  seq = 0;
});

function beat(skewMs = 0, epoch = 'e1'): void {
  clock.pass(BEAT_MS);
  const sentAt = clock.now() + skewMs;
  health.heard(heartbeatOf('a1', ++seq, { sentAt, epoch, intervalMs: BEAT_MS }));
}

const conditions = (): string[] => health.report('a1').conditions.map(({ type }) => type);

describe('of conditions that only the control plane sees', () => {
  it('nothing is said before it has heard enough', () => {
    expect(health.unjudged('a1')).toEqual(['clock', 'cloned']);
    beat(300_000);
    beat(300_000);
    expect(health.unjudged('a1')).toEqual(['clock', 'cloned']);
    expect(conditions()).toEqual([]);
    beat(300_000);
    expect(health.unjudged('a1')).toEqual(['cloned']);
    expect(conditions()).toEqual(['clock']);
  });

  it('a device is known to be alone when it was listened to for ten minutes', () => {
    beat();
    clock.pass(10 * MINUTE_MS - 1);
    expect(health.unjudged('a1')).toContain('cloned');
    clock.pass(1);
    expect(health.unjudged('a1')).not.toContain('cloned');
  });

  it('time in which nobody could listen is none', () => {
    beat();
    health.setConnected(false);
    clock.pass(60 * MINUTE_MS);
    health.setConnected(true);
    expect(health.unjudged('a1')).toContain('cloned');
  });

  it('two processes of one identity are not forgotten while nobody listens', () => {
    for (let turn = 0; turn < 8; turn += 1) beat(0, turn % 2 === 0 ? 'e1' : 'e2');
    expect(conditions()).toContain('cloned');
    expect(health.unjudged('a1')).not.toContain('cloned');
    health.setConnected(false);
    clock.pass(60 * MINUTE_MS);
    health.tick();
    expect(conditions()).toContain('cloned');
    health.setConnected(true);
    clock.pass(11 * MINUTE_MS);
    health.tick();
    expect(conditions()).not.toContain('cloned');
  });
});

describe('a control plane that stood still', () => {
  it('does not take the time for silence of its devices', () => {
    for (let n = 0; n < 10; n += 1) beat();
    health.start();
    clock.stall(10 * MINUTE_MS);
    expect(health.report('a1').connection).toBe('online');
    clock.pass(30_000);
    expect(health.report('a1').connection).toBe('late');
    clock.pass(30_000);
    expect(health.report('a1').connection).toBe('offline');
  });
});
