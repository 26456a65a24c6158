/**
 * `runnel dry-run` and `runnel test` hand over to `runnel-agent`, so that what runs is the device's
 * own code. Found in this order: RUNNEL_AGENT, beside us in the workspace, on the PATH.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CliError } from '../cli-error.ts';
import { exitCodes } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';

/** `home` is the folder of our own launcher. Gives the child's exit code. */
export async function handOver(
  terminal: Terminal,
  home: string,
  args: readonly string[],
): Promise<number> {
  const program = findAgent(terminal, home);
  if (program.endsWith('.js')) return terminal.handOver(process.execPath, [program, ...args]);
  return terminal.handOver(program, args);
}

function findAgent(terminal: Terminal, home: string): string {
  const named = terminal.env.RUNNEL_AGENT;
  if (named !== undefined && named !== '') return named;
  const beside = join(home, '../../agent/bin/runnel-agent.js');
  if (existsSync(beside)) return beside;
  const onPath = (terminal.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'runnel-agent'))
    .find((file) => existsSync(file));
  if (onPath !== undefined) return onPath;
  throw new CliError(exitCodes.failed, 'runnel-agent is not installed here', {
    code: 'agent_missing',
    hint: 'install it, or say where it is: RUNNEL_AGENT=/path/to/runnel-agent',
  });
}
