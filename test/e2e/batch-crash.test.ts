/**
 * SIGKILL of the agent and of its children in the middle of a job of more than thirty tasks with
 * SQL, file, HTTP and PostgreSQL outputs: what is there at the end is what an undisturbed run
 * leaves, and each effect counts once. `npm run soak` has more rounds. A failure says how to run it
 * alone.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { POSTGRES_PROGRAMS } from '../support/postgres.ts';
import { describeWith } from '../support/programs.ts';
import { CrashBench } from './batch/crash-run.ts';

const given = process.env.RUNNEL_CRASH_SEED;
const seeds = given === undefined ? Array.from({ length: 10 }, (_, n) => n + 1) : [Number(given)];

describeWith(POSTGRES_PROGRAMS, 'a batch job whose agent and children are killed', () => {
  let bench: CrashBench;
  let attemptsAgain = 0;
  let children = 0;

  beforeAll(async () => {
    bench = await CrashBench.start(Date.now());
  });
  afterAll(() => bench.stop());

  it('undisturbed leaves what plain loops over its input give', async () => {
    expect(await bench.undisturbed()).toEqual([]);
  }, 120_000);

  it.each(seeds)(
    'with seed %i leaves what the undisturbed one does',
    async (seed) => {
      const { wrong, kills, again: cut } = await bench.round({ seed, kills: 2 });
      const again = `RUNNEL_CRASH_SEED=${seed} npx vitest run test/e2e/batch-crash.test.ts`;
      expect(wrong, again).toEqual([]);
      expect(kills.agent, again).toBe(2);
      attemptsAgain += cut;
      children += kills.child;
    },
    120_000,
  );

  // Each round has a task that is refused once at first; the kills must add to that.
  it('had attempts cut off by the kills', () => {
    expect(attemptsAgain).toBeGreaterThan(2 * seeds.length);
    expect(children).toBeGreaterThan(0);
  });
});
