/** The commands about parameters of jobs. A contract, like program.ts. */
import { type Command, Option } from 'commander';
import {
  getParameters,
  type ScopeOptions,
  setParameters,
  unsetParameters,
} from './commands/parameters.ts';
import type { Context } from './context.ts';

type MakeContext = (command: Command) => Context;

const HELP = `
Stronger wins: --agent over --site over --label over --fleet over the job's
default; of two labels the one with more terms. A change is in effect at once.

Examples:
  runnel params set bearing-health limit=0.9 hold=45s --site lyon
  runnel params get bearing-health --agent press-7`;

function output(): Option {
  return new Option('-o, --output <format>', 'for people or for programs')
    .choices(['table', 'json'])
    .default('table');
}

function withScope(command: Command): Command {
  return command
    .option('--fleet', 'for every agent')
    .option('--label <selector>', 'for agents with these labels: "role=press, line=3"')
    .option('--site <site>', 'for agents whose label site is this')
    .option('--agent <agent>', 'for one agent, by name or id')
    .addOption(output())
    .addHelpText('after', HELP);
}

export function addParameters(program: Command, context: MakeContext): void {
  const params = program
    .command('params')
    .description('parameters of jobs: for the fleet, labels, a site, a device');
  params
    .command('get [job]')
    .description('what is declared and set; on one agent: each value and where it is from')
    .option('--agent <agent>', 'the values on this agent, by name or id')
    .addOption(output())
    .addHelpText('after', HELP)
    .action((job: string | undefined, options: { agent?: string }, command: Command) =>
      getParameters(context(command), job, options),
    );
  withScope(
    params.command('set <job> <name=value...>').description('set values of one layer'),
  ).action((job: string, given: string[], options: ScopeOptions, command: Command) =>
    setParameters(context(command), job, given, options),
  );
  withScope(
    params.command('unset <job> <name...>').description('take values out of one layer'),
  ).action((job: string, names: string[], options: ScopeOptions, command: Command) =>
    unsetParameters(context(command), job, names, options),
  );
}
