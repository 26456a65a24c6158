/** The options of `npm run simulate`. Wrong ones are refused before anything starts. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { Command, Help, InvalidArgumentError } from 'commander';
import { RunnelError } from '@runnel/shared/errors.ts';
import { plainDefault } from '@runnel/shared/help-text.ts';

export interface SimulateOptions {
  readonly agents: number;
  readonly workers: number;
  readonly heartbeat: number;
  readonly results: number;
  readonly seconds: number;
  readonly dropOuts: number;
  readonly skew: number;
  readonly duplicates: number;
  readonly late: number;
  readonly json: boolean;
  readonly keep: boolean;
  readonly profile?: string;
}

/** Connections from one loopback address to one port: what the kernel's ephemeral ports allow. */
const AGENTS_MAX = 20_000;
const AGENTS_PER_WORKER = 2500;
const WORKERS_MAX = 64;
/** Files that a process opens beside the connections of agents. */
const OTHER_FILES = 200;

export function simulateCommand(run: (options: SimulateOptions) => Promise<void>): Command {
  return new Command('simulate')
    .description(
      'Simulates a fleet: light agents with real connections against a real control plane.\n' +
        'Ends by itself. Exit code 1: something did not converge, or results were lost or doubled.',
    )
    .configureHelp({
      optionDescription: (option) => plainDefault(new Help().optionDescription(option)),
    })
    .option('--agents <n>', 'agents of the fleet', whole(1, AGENTS_MAX), 1000)
    .option(
      '--workers <n>',
      `processes they run in (default: 1 per ${AGENTS_PER_WORKER} agents)`,
      whole(1, WORKERS_MAX),
    )
    .option('--heartbeat <seconds>', 'between two heartbeats of an agent', number(0.5, 3600), 10)
    .option('--results <seconds>', 'between two results of an agent', number(0.1, 3600), 10)
    .option('--seconds <n>', 'length of the steady part', number(1, 3600), 30)
    .option('--drop-outs <share>', 'agents that drop out and return', share, 0.02)
    .option(
      '--skew <seconds>',
      'by how much clocks of devices are off, at most',
      number(0, 86_400),
      30,
    )
    .option('--duplicates <share>', 'result blocks that the control plane gets twice', share, 0.02)
    .option('--late <share>', 'agents that hold results back for a while', share, 0.05)
    .option('--json', 'print one line of JSON', false)
    .option('--keep', 'keep the data directory and say where it is', false)
    .option('--profile <dir>', 'write a CPU profile of the control plane there', (dir) =>
      resolve(dir),
    )
    .action(async (given: Omit<SimulateOptions, 'workers'> & { readonly workers?: number }) => {
      const workers = given.workers ?? Math.ceil(given.agents / AGENTS_PER_WORKER);
      await run({ ...given, workers: Math.min(workers, given.agents) });
    });
}

/** Error `files_max`: this many agents would run out of file descriptors on the way. */
export function checkFileLimit(options: Pick<SimulateOptions, 'agents' | 'workers'>): void {
  // Both Node and nats-server raise the soft limit to the hard one by themselves.
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(
    readFileSync('/proc/self/limits', 'utf8'),
  )?.[1];
  const files =
    hard === undefined || hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  // nats-server holds a connection of each agent.
  const needed = options.agents + OTHER_FILES;
  if (needed <= files) return;
  const text = `${options.agents} agents need ${needed} open files in one process`;
  throw new RunnelError('files_max', `${text}; the limit is ${files}`, {
    hint:
      `raise it as root (ulimit -Hn ${needed}; ulimit -Sn ${needed}), ` +
      `or simulate at most ${files - OTHER_FILES} agents`,
  });
}

export const cores = (): number => cpus().length;

function number(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`write a number from ${min} to ${max}`);
  };
}

function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`write a whole number from ${min} to ${max}`);
  };
}

function share(text: string): number {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  const value = percent === undefined ? Number(text) : Number(percent) / 100;
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('write a share from 0 to 1, or a percentage such as 5%');
}
