/** Commands to devices over time: sent again once, given up, and answered only by who was asked. */
import { describe, expect, it } from 'vitest';
import { DeviceCommands } from '@runnel/control-plane/runs/device-commands.ts';
import { type Clock, systemClock } from '@runnel/shared/clock.ts';
import type { CommandAnswer } from '@runnel/shared/protocol/runs.ts';
import { seededRandom } from '@runnel/shared/random.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** A clock whose timers fire when a test says so. */
function handClock() {
  const timers = new Set<Timer>();
  let nowMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    after(ms, run) {
      const timer = { at: nowMs + ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const goTo = (ms: number): void => {
    nowMs = ms;
    for (const timer of timers) {
      if (timer.at > ms) continue;
      timers.delete(timer);
      timer.run();
    }
  };
  return { clock, goTo, timers };
}

function setUp({ connected = true } = {}) {
  const hand = handClock();
  const sent: { readonly subject: string; readonly id: string }[] = [];
  const commands = new DeviceCommands({
    clock: hand.clock,
    random: seededRandom(1),
    publish: (subject, text) => {
      if (connected) sent.push({ subject, id: (JSON.parse(text) as { id: string }).id });
      return connected;
    },
    connection: (agent) => ({
      connection: agent === 'gone' ? 'offline' : agent === 'new' ? 'never' : 'online',
      lastSeenAt: agent === 'gone' ? Date.UTC(2026, 0, 1) : null,
    }),
  });
  return { ...hand, commands, sent };
}

const cancel = { action: 'cancel', run: 'r1' } as const;
const outcome = { runs: [], partitions: ['p'], lines: [], open: false };
const answer = (id: string, more: Partial<CommandAnswer> = {}): CommandAnswer => ({
  v: 1,
  agent: 'a1',
  id,
  outcome,
  error: null,
  ...more,
});

describe('a command to a device', () => {
  it('gives what the device answers', async () => {
    const { commands, sent, timers } = setUp();
    const asked = commands.ask('a1', cancel);
    expect(sent).toMatchObject([{ subject: 'fleet.a1.cmd.batch' }]);
    commands.answered(answer(sent[0]!.id));
    expect(await asked).toEqual(outcome);
    expect(timers.size).toBe(0);
  });

  // 0 s sent, 5 s sent again with the same id, 10 s given up.
  it('is sent once more under its id, and given up after ten seconds', async () => {
    const { commands, sent, goTo } = setUp();
    const asked = commands.ask('a1', cancel);
    goTo(4999);
    expect(sent).toHaveLength(1);
    goTo(5000);
    expect(sent).toHaveLength(2);
    expect(sent[1]).toEqual(sent[0]);
    goTo(9999);
    expect(commands.counters).toMatchObject({ sent: 1, resent: 1, timeouts: 0 });
    goTo(10_000);
    await expect(asked).rejects.toMatchObject({
      code: 'device_unreachable',
      message: expect.stringContaining('no answer in 10 s') as string,
    });
    commands.answered(answer(sent[0]!.id));
    expect(commands.counters).toMatchObject({ timeouts: 1, late: 1, answered: 0 });
  });

  it('answered by another device waits on for its own', async () => {
    const { commands, sent } = setUp();
    const asked = commands.ask('a1', cancel);
    const { id } = sent[0]!;
    commands.answered(answer(id, { agent: 'a2', outcome: { ...outcome, partitions: ['lie'] } }));
    expect(commands.counters.foreign).toBe(1);
    commands.answered(answer(id));
    expect((await asked).partitions).toEqual(['p']);
    commands.answered(answer(id));
    expect(commands.counters).toMatchObject({ answered: 1, late: 1 });
  });

  it("that the device refuses fails with the device's reason", async () => {
    const { commands, sent } = setUp();
    const asked = commands.ask('a1', cancel);
    const error = { code: 'run_ended', message: 'the run has ended' };
    commands.answered(answer(sent[0]!.id, { outcome: null, error }));
    await expect(asked).rejects.toMatchObject({
      code: 'device_refused',
      message: 'the run has ended',
      fields: { code: 'run_ended' },
    });
  });

  it('is not sent to a device that is not connected, and says since when', async () => {
    const { commands, sent } = setUp();
    await expect(commands.ask('gone', cancel)).rejects.toMatchObject({
      code: 'device_unreachable',
      message: expect.stringContaining('not connected since 2026-01-01T00:00:00.000Z') as string,
    });
    await expect(commands.ask('new', cancel)).rejects.toThrow('it never connected');
    expect(sent).toEqual([]);
  });

  it('fails at once without NATS, and when the control plane ends', async () => {
    const lost = setUp({ connected: false });
    await expect(lost.commands.ask('a1', cancel)).rejects.toThrow('lost its NATS connection');
    expect(lost.timers.size).toBe(0);
    const { commands, timers } = setUp();
    const asked = commands.ask('a1', cancel);
    commands.close();
    await expect(asked).rejects.toThrow('the control plane ends');
    expect(timers.size).toBe(0);
  });
});
