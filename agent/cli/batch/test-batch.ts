/** `runnel-agent test batch.yaml`. */
import { RunnelError } from '@runnel/shared/errors.ts';
import { errorText, exitCodeOf } from '../error-text.ts';
import type { CommandStreams } from '../dry-run.ts';
import type { ExitCode } from '../exit-code.ts';
import type { BatchWorld } from './dry-run-batch.ts';

export async function testBatchCommand(
  options: { readonly job: string },
  io: Pick<CommandStreams, 'stdout' | 'stderr'>,
  _world: BatchWorld,
): Promise<ExitCode> {
  const error = new RunnelError('usage', `${options.job}: tests of batch jobs are not made yet`);
  io.stderr.write(errorText(error));
  return exitCodeOf(error);
}
