/** Promises as alerts: what is said of them follows what is promised, and of whom. */
import { describe, expect, it } from 'vitest';
import { slaSource } from '@runnel/control-plane/alerts/sla-source.ts';
import type { SlaItem } from '@runnel/control-plane/http/sla-messages.ts';
import type { AgentRecord } from '@runnel/control-plane/store/agents.ts';
import { ManualClock } from '../../agent/streams/manual-clock.ts';

const BREACHED: SlaItem = {
  ...{ job: 'press', agent: 'a', agentName: 'press-1', sla: 'fresh', kind: 'freshness' },
  ...{ verdict: 'breached', since: 1, cause: 'no record for 61m', target: '1h' },
  deviceVerdict: null,
};
const PRESS_1: AgentRecord = {
  ...{ id: 'a', name: 'press-1', labels: {}, status: 'approved', fixedLabels: [] },
  ...{ platform: { os: 'linux', arch: 'x64', node: '20' }, agentVersion: '1.0.0', enrolledAt: 1 },
  ...{ credentialsExpireAt: null, lastSeenAt: 1, revokedAt: null },
};

/** One promise of one device, whose listeners are told when a test says so. */
function world() {
  const clock = new ManualClock(1_000_000);
  const listeners: (() => void)[] = [];
  const now: { items: readonly SlaItem[]; agent: AgentRecord | undefined } = {
    items: [BREACHED],
    agent: PRESS_1,
  };
  const slas = { list: () => now.items, onChange: (each: () => void) => listeners.push(each) };
  const source = slaSource(slas, () => now.agent, clock);
  const tell = (): void => listeners.forEach((listener) => listener());
  return { clock, now, source, tell };
}

describe('a promise that is breached', () => {
  it('is judged once while nothing changed', () => {
    const { source, clock } = world();
    const judged = source.judge();
    expect(judged.findings).toHaveLength(1);
    clock.pass(59_000);
    expect(source.judge()).toBe(judged);
  });

  it('is wrong no more once it is not promised', () => {
    const { source, now, tell } = world();
    source.judge();
    now.items = [];
    tell();
    expect(source.judge().findings).toEqual([]);
  });

  it('is said with the cause of now, though its verdict stays', () => {
    const { source, now, clock } = world();
    source.judge();
    now.items = [{ ...BREACHED, cause: 'no record for 62m' }];
    clock.pass(60_000);
    expect(source.judge().findings[0]?.message).toBe('no record for 62m');
  });

  it('of a device that was revoked is no alert, also before it is taken back', () => {
    const { source, now, clock } = world();
    source.judge();
    now.agent = { ...PRESS_1, status: 'revoked' };
    clock.pass(60_000);
    expect(source.judge().findings).toEqual([]);
  });
});
