/**
 * The long crash runs of batch jobs: 200 rounds (RUNNEL_SOAK_SEEDS says another number), with more
 * kills in each. A failure names its seed.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { POSTGRES_PROGRAMS } from '../support/postgres.ts';
import { describeWith } from '../support/programs.ts';
import { CrashBench } from './batch/crash-run.ts';

const count = Number(process.env.RUNNEL_SOAK_SEEDS ?? 200);
const seeds = Array.from({ length: count }, (_, n) => 1000 + n);

describeWith(POSTGRES_PROGRAMS, 'long crash runs of a batch job', () => {
  let bench: CrashBench;

  beforeAll(async () => {
    bench = await CrashBench.start(Date.now());
  });
  afterAll(() => bench.stop());

  it.each(seeds)('seed %i leaves what the undisturbed one does', async (seed) => {
    const { wrong, ...report } = await bench.round({ seed, kills: 2 + (seed % 4) });
    process.stdout.write(`${JSON.stringify({ seed, ...report })}\n`);
    expect(wrong).toEqual([]);
  });
});
