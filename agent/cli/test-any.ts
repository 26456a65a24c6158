/** `runnel-agent test`: the tests of a stream job or of a batch job, by what the document says. */
import { isBatchJob } from './batch/load-batch-job.ts';
import type { CommandStreams } from './dry-run.ts';
import type { ExitCode } from './exit-code.ts';
import type { Terminal } from './terminal.ts';
import type { TestCommandOptions } from './test.ts';

export async function testAnyCommand(
  options: TestCommandOptions,
  io: CommandStreams,
  terminal: Terminal,
): Promise<ExitCode> {
  if (await isBatchJob(options.job)) {
    const { testBatchCommand } = await import('./batch/test-batch.ts');
    return testBatchCommand(options, io, terminal);
  }
  const { testCommand } = await import('./test.ts');
  return testCommand(options, io);
}
