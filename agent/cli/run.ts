/** `runnel-agent run`: the agent in the foreground. */
import { resolve } from 'node:path';
import { parseHostPort, type HostPort } from '../config/address.ts';
import { LOG_LEVELS, type LogLevel } from '../config/log-level.ts';
import { runAgent } from '../main.ts';
import { errorText, exitCodeOf } from './error-text.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

export interface RunCommandOptions {
  readonly data: string;
  readonly metrics?: HostPort;
  readonly logLevel?: LogLevel;
}

/** The plain forms `--option value`; null sends everything else to the full parser. */
export function quickOptions(args: readonly string[]): RunCommandOptions | null {
  const given = new Map<string, string>();
  for (let at = 0; at < args.length; at += 2) {
    const [name, value] = [args[at], args[at + 1]];
    if (name === undefined || value === undefined || value.startsWith('-')) return null;
    given.set(name, value);
  }
  const data = given.get('--data');
  const metrics = given.get('--metrics');
  const level = given.get('--log-level');
  const known = ['--data', '--metrics', '--log-level'];
  if (data === undefined || [...given.keys()].some((name) => !known.includes(name))) return null;
  const listen = metrics === undefined ? undefined : parseHostPort(metrics);
  const logLevel = LOG_LEVELS.find((candidate) => candidate === level);
  if ((metrics !== undefined && !listen) || (level !== undefined && !logLevel)) return null;
  return { data, ...(listen && { metrics: listen }), ...(logLevel && { logLevel }) };
}

/** Resolves when a signal has ended the agent cleanly. */
export async function runCommand(
  terminal: Terminal,
  options: RunCommandOptions,
): Promise<ExitCode> {
  try {
    await runAgent({
      dataDir: resolve(options.data),
      clock: terminal.clock,
      random: terminal.random,
      verifyEntry: terminal.verifyEntry,
      ...(options.metrics === undefined ? {} : { metricsListen: options.metrics }),
      ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
    });
    return exitCodes.ok;
  } catch (error) {
    terminal.err(errorText(error));
    return exitCodeOf(error);
  }
}
