/**
 * `runnel-agent test job.yaml`: runs the tests beside a job (`job.test.yaml`) on the device's own
 * engine, with no device and no servers.
 *
 * Prints one line per test and, where it fails, what was expected (`-`) and what came (`+`). Exit
 * codes: 0 all pass, 1 one fails, 2 the job, its tests or the command line are wrong.
 */
import { basename, extname } from 'node:path';
import { dryRun, type DryRunEntry, type DryRunInput } from '@runnel/shared/engine/dry-run.ts';
import { MemoryState } from '@runnel/shared/engine/memory-state.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { CommandStreams } from './dry-run.ts';
import { errorText, exitCodeOf } from './error-text.ts';
import type { ExitCode } from './exit-code.ts';
import { reportTests } from './report-tests.ts';
import { type JobTest, parseJobTests } from './job-test-file.ts';
import { lineDiff } from './line-diff.ts';
import { type LoadedJob, loadStreamJob, readText } from './load-stream-job.ts';

export interface TestCommandOptions {
  /** The job's file. */
  readonly job: string;
}

export async function testCommand(
  options: TestCommandOptions,
  io: Pick<CommandStreams, 'stdout' | 'stderr'>,
): Promise<ExitCode> {
  try {
    refuseTestFile(options.job);
    const job = await loadStreamJob(options.job);
    const file = testFileOf(options.job);
    const sources = Object.keys(job.parsed.job.sources);
    const tests = parseJobTests(await readText(file), sources);
    return await reportTests(tests, async (test) => runTest(job, test), io);
  } catch (error) {
    io.stderr.write(errorText(error));
    return exitCodeOf(error);
  }
}

export function refuseTestFile(file: string): void {
  if (!/\.test\.(ya?ml|json)$/.test(file)) return;
  const job = basename(file).replace(/\.test(?=\.\w+$)/, '');
  throw new RunnelError('usage', `${file}: this is the test file; give ${job}`);
}

/** `job.yaml` → `job.test.yaml`. */
export function testFileOf(job: string): string {
  const extension = extname(job);
  return `${job.slice(0, job.length - extension.length)}.test${extension || '.yaml'}`;
}

async function runTest(job: LoadedJob, test: JobTest): Promise<string[]> {
  const found: unknown[] = [];
  const letters: { step: string; reason: string; message: string; time: number }[] = [];
  const inputs = Object.entries(test.input).map(([source, lines]): DryRunInput => ({
    source,
    chunks: oneChunk(lines),
  }));
  const chunks = dryRun(job.program(test.params), inputs, {
    state: new MemoryState(),
    flush: test.flush,
    deadLetter: ({ step, reason, message, record }) =>
      letters.push({ step, reason, message, time: record.time }),
  });
  for await (const outputs of chunks) {
    for (const output of outputs) found.push(JSON.parse(outputLine(output)));
  }
  const letterDiff = lineDiff(test.deadLetters, letters);
  return [
    ...lineDiff(test.expect, found),
    ...(letterDiff.length === 0 ? [] : ['dead letters:', ...letterDiff]),
  ];
}

async function* oneChunk(entries: readonly DryRunEntry[]): AsyncGenerator<readonly DryRunEntry[]> {
  if (entries.length > 0) yield entries;
}
