/** The commands about rollouts, and their options. A contract, like program.ts. */
import { type Command, Option } from 'commander';
import {
  changeRollout,
  rolloutHistory,
  rolloutStatus,
  type StatusOptions,
} from './commands/rollout.ts';
import type { Context } from './context.ts';

const ACTIONS = [
  ['pause', 'suspend it: no device is changed until it is resumed'],
  ['resume', 'go on; failures that its gate stopped at are accepted'],
  ['approve', 'let the next batch begin'],
  ['abort', 'end it where it is: every device keeps what it has'],
  ['undo', 'go back to the last good version at once'],
] as const;

function output(): Option {
  return new Option('-o, --output <format>', 'for people or for programs')
    .choices(['table', 'json'])
    .default('table');
}

export function addRollouts(
  program: Command,
  context: (command: Command) => Context,
  exit: (code: number) => void,
): void {
  const rollout = program
    .command('rollout')
    .description('how a new version reaches devices: see it, stop it, undo it');
  rollout
    .command('status <job>')
    .description('the newest rollout of a job, and what it waits for')
    .option('--agents', 'with every device: what it runs, and why it does not', false)
    .option('--watch', 'until it has ended; exit code 1 when it did not succeed', false)
    .option('--timeout <duration>', 'with --watch: no longer than 10m, say; then exit code 1')
    .addOption(output())
    .action(async (job: string, options: StatusOptions, command: Command) =>
      exit(await rolloutStatus(context(command), job, options)),
    );
  rollout
    .command('history <job>')
    .description('rollouts of a job, newest first')
    .addOption(output())
    .action((job: string, _options: unknown, command: Command) =>
      rolloutHistory(context(command), job),
    );
  for (const [action, description] of ACTIONS) {
    rollout
      .command(`${action} <job>`)
      .description(description)
      .addOption(output())
      .action((job: string, _options: unknown, command: Command) =>
        changeRollout(context(command), job, action),
      );
  }
}
