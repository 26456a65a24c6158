/** Errors of the command line: the one line a person sees, and the exit code. */
import { RunnelError } from '@runnel/shared/errors.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';

export class CliError extends RunnelError {
  readonly exitCode: ExitCode;
  /** The control plane's own answer, for `-o json`. */
  readonly problem: unknown;

  constructor(
    exitCode: ExitCode,
    message: string,
    options: { readonly hint?: string; readonly problem?: unknown; readonly code?: string } = {},
  ) {
    super(options.code ?? 'cli', message, options.hint === undefined ? {} : { hint: options.hint });
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.problem = options.problem;
  }
}

export function usageError(message: string, hint?: string): CliError {
  const options = { code: 'usage', ...(hint === undefined ? {} : { hint }) };
  return new CliError(exitCodes.usage, message, options);
}
