/**
 * The long crash runs: 50,000 messages, each process killed at least 5 times, over many seeds
 * (RUNNEL_SOAK_SEEDS, default 4). A failure names its seed; run it alone with that number.
 */
import { expect, it } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { crashRun } from './crash/crash-run.ts';

const seeds = Array.from({ length: Number(process.env.RUNNEL_SOAK_SEEDS ?? 4) }, (_, n) => n + 1);

describeWith(['mosquitto'], 'long crash run', () => {
  for (const seed of seeds) {
    for (const broker of ['mosquitto', 'embedded'] as const) {
      it(`${broker}, seed ${seed}: every window equals the oracle`, async () => {
        const dir = tempDir('soak');
        const shape = { messages: 50_000, perSecond: 1500, kills: 6, settleMs: 120_000 };
        const killMosquitto = broker === 'mosquitto';
        const report = await crashRun(
          { dir, broker, seed, cuts: 6, killMosquitto, ...shape },
          Date.now(),
        );
        process.stdout.write(`${JSON.stringify({ seed, broker, ...report, wrong: undefined })}\n`);
        expect(report.wrong).toEqual([]);
        const { agent, nats, control } = report.kills;
        expect(Math.min(agent, nats, control)).toBeGreaterThanOrEqual(6);
        expect(report.redelivered, 'records that the ring recognised').toBeGreaterThan(0);
        expect(report.resent, 'rows that were sent again').toBeGreaterThan(0);
      });
    }
  }
});
