/** The command line's one mapper of errors: what a person reads, and the exit code. */
import { DefinitionError, messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { inert } from '@runnel/shared/terminal-text.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';

const UNREACHABLE = new Set(['unreachable', 'tls', 'timeout']);
const USAGE = new Set([
  'definition_invalid',
  'usage',
  'url_invalid',
  'token_malformed',
  'redirected',
]);

export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof RunnelError)) return exitCodes.failed;
  if (USAGE.has(error.code)) return exitCodes.usage;
  if (UNREACHABLE.has(error.code)) return exitCodes.notRunning;
  const { status } = error.fields;
  const isRefusal = typeof status === 'number' && status >= 400 && status < 500 && status !== 429;
  return isRefusal || error.code === 'root_mismatch' ? exitCodes.refused : exitCodes.failed;
}

/** One line, or one for each issue of a document; a hint on a line of its own. */
export function errorText(error: unknown): string {
  return inert(linesOf(error));
}

function linesOf(error: unknown): string {
  if (error instanceof DefinitionError) {
    return error.issues
      .map(({ path, message, line, column, hint }) => {
        const place = line === undefined ? '' : ` (line ${line}, column ${column ?? 1})`;
        const mend = hint === undefined ? '' : ` — ${hint}`;
        return `runnel-agent: ${path}${place}: ${message}${mend}\n`;
      })
      .join('');
  }
  const hint = error instanceof RunnelError && error.hint !== undefined ? `  ${error.hint}\n` : '';
  return `runnel-agent: ${messageOf(error)}\n${hint}`;
}
