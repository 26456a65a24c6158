/** The proof that the crash runs of batch jobs bite: each planted bug turns the audit red. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { POSTGRES_PROGRAMS } from '../support/postgres.ts';
import { describeWith } from '../support/programs.ts';
import { CrashBench } from './batch/crash-run.ts';

/** A kill falls into a gap of the bug, not always into the one that shows. */
const ROUNDS_MAX = 3;

describeWith(POSTGRES_PROGRAMS, 'the audit of a batch job catches an agent', () => {
  let bench: CrashBench;

  beforeAll(async () => {
    bench = await CrashBench.start(Date.now());
  });
  afterAll(() => bench.stop());

  it.each([
    [
      'that counts a task as done before its file has its name',
      'success-before-rename',
      /^file out/,
    ],
    ['whose effects have another key with each attempt', 'attempt-in-key', /^effect|^table/],
    ['that moves a cursor before the rows are there', 'cursor-before-output', /^table bought/],
    ['that commits what a task put out before its success', 'commit-split', /^results is/],
  ])(
    '%s',
    async (_what, plant, sign) => {
      const found: string[] = [];
      for (let seed = 101; seed < 101 + ROUNDS_MAX; seed++) {
        const { wrong } = await bench.round({ seed, kills: 1, plant, deadlineMs: 30_000 });
        found.push(...wrong);
        if (found.some((each) => sign.test(each))) break;
      }
      expect(found).toContainEqual(expect.stringMatching(sign));
    },
    180_000,
  );
});
