/** The agent's command line: composition root. */
import { fileURLToPath } from 'node:url';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { inert } from '@runnel/shared/terminal-text.ts';
import type { Terminal } from './terminal.ts';

const terminal: Terminal = {
  out: (text) => process.stdout.write(inert(text)),
  err: (text) => process.stderr.write(inert(text)),
  clock: systemClock,
  random: systemRandom,
  // The build puts both entries into one folder.
  verifyEntry: fileURLToPath(new URL('verify-store.js', import.meta.url)),
  env: process.env,
  onInterrupt(listener) {
    process.on('SIGINT', listener).on('SIGTERM', listener);
    return () => process.off('SIGINT', listener).off('SIGTERM', listener);
  },
};

// `runnel-agent dry-run … | head` closes the pipe: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const args = process.argv.slice(2);
// `run` starts on devices at every boot: it does not load the parser of command lines.
const quick = args[0] === 'run' ? (await import('./run.ts')).quickOptions(args.slice(1)) : null;
if (quick !== null) {
  const { runCommand } = await import('./run.ts');
  process.exitCode = await runCommand(terminal, quick);
} else {
  const { runProgram } = await import('./program.ts');
  process.exitCode = await runProgram(terminal, args);
}
