/** The one mapper of errors to text and exit code. */
import { DefinitionError, messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { CliError } from './cli-error.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import { issueLine } from './job-files.ts';
import { oneLine } from './table.ts';
import { paint, type Terminal } from './terminal.ts';

/** With `json` programs get the error as one object on standard output too. */
export function report(terminal: Terminal, error: unknown, json: boolean): ExitCode {
  const exitCode = exitCodeOf(error);
  if (json) terminal.out(`${JSON.stringify({ error: errorValue(error) }, undefined, 2)}\n`);
  if (error instanceof DefinitionError) {
    for (const issue of error.issues) terminal.err(`${oneLine(issueLine(issue))}\n`);
    return exitCode;
  }
  terminal.err(`${paint(terminal, 'red', 'error')}: ${oneLine(messageOf(error))}\n`);
  if (error instanceof RunnelError && error.hint !== undefined) {
    terminal.err(`hint: ${oneLine(error.hint)}\n`);
  }
  return exitCode;
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof DefinitionError) return exitCodes.usage;
  return exitCodes.failed;
}

function errorValue(error: unknown): unknown {
  if (error instanceof DefinitionError) return { code: error.code, issues: error.issues };
  if (!(error instanceof RunnelError)) return { code: 'internal', message: messageOf(error) };
  const problem = error instanceof CliError ? error.problem : undefined;
  return problem ?? { code: error.code, message: error.message, hint: error.hint };
}
