import { inert } from '@runnel/shared/terminal-text.ts';
import type { CommandStreams } from './dry-run.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';

/** Runs each test in turn and says what became of it; `run` gives what is wrong, a line each. */
export async function reportTests<T extends { readonly name: string }>(
  tests: readonly T[],
  run: (test: T) => Promise<readonly string[]>,
  { stdout }: Pick<CommandStreams, 'stdout'>,
): Promise<ExitCode> {
  let failed = 0;
  for (const test of tests) {
    const problems = await run(test);
    if (problems.length > 0) failed += 1;
    const lines = problems.map((problem) => `    ${problem}\n`).join('');
    const word = problems.length === 0 ? 'ok  ' : 'FAIL';
    stdout.write(inert(`${word} ${test.name}\n${lines}`));
  }
  stdout.write(`${tests.length - failed} of ${tests.length} tests pass\n`);
  return failed === 0 ? exitCodes.ok : exitCodes.failed;
}
