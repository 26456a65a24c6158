import { RunnelError } from '@runnel/shared/errors.ts';
import { exitCodeOf } from '../error-text.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';

const INPUT_CODES = new Set(['input_invalid', 'input_unreadable', 'partition_unknown']);

/** What is wrong with the input of a run is a wrong use of the command, unlike with a stream. */
export function batchExitCode(error: unknown): ExitCode {
  const isUsage = error instanceof RunnelError && INPUT_CODES.has(error.code);
  return isUsage ? exitCodes.usage : exitCodeOf(error);
}
