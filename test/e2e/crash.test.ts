/**
 * The short form of the crash runs (I1, I2, I3); `npm run soak` has the long one. Real mosquitto,
 * nats-server, control plane and agent as processes, SIGKILLed at seeded instants.
 */
import { expect, it } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { crashRun } from './crash/crash-run.ts';

describeWith(['mosquitto'], 'after SIGKILL of agent, nats-server and control plane', () => {
  it('every window equals the oracle, through mosquitto with connections cut', async () => {
    const report = await crashRun(
      {
        dir: tempDir('crash'),
        broker: 'mosquitto',
        killMosquitto: true,
        seed: 20_261_122,
        messages: 12_000,
        perSecond: 1500,
        kills: 2,
        cuts: 3,
      },
      Date.now(),
    );
    expect(report.wrong).toEqual([]);
    expect(Math.min(report.kills.agent, report.kills.nats, report.kills.control)).toBe(2);
    expect(report.cuts, 'cuts between flush and PUBACK').toBeGreaterThan(0);
    expect(report.resent, 'rows that were sent again').toBeGreaterThan(0);
    expect(report.redelivered, 'records that the ring recognised').toBeGreaterThan(0);
  }, 180_000);

  it('every window equals the oracle, through the embedded broker', async () => {
    const report = await crashRun(
      {
        dir: tempDir('crash'),
        broker: 'embedded',
        seed: 7,
        messages: 12_000,
        perSecond: 1500,
        kills: 2,
        cuts: 3,
      },
      Date.now(),
    );
    expect(report.wrong).toEqual([]);
    expect(Math.min(report.kills.agent, report.kills.nats, report.kills.control)).toBe(2);
    expect(report.cuts, 'cuts between flush and PUBACK').toBeGreaterThan(0);
    expect(report.resent, 'rows that were sent again').toBeGreaterThan(0);
    expect(report.redelivered, 'messages that the ring recognised').toBeGreaterThan(0);
  }, 180_000);
});
