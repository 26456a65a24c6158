/** The commands about promises, and their options. A contract, like program.ts. */
import { type Command, Option } from 'commander';
import { SLA_VERDICTS } from '../http/sla-messages.ts';
import {
  listSlas,
  slaCompliance,
  type SlaComplianceOptions,
  slaHistory,
  type SlaHistoryOptions,
  type SlaOptions,
} from './commands/sla.ts';
import type { Context } from './context.ts';

/** Without a default: that of `sla` itself would stand over what a command below it was given. */
function output(): Option {
  return new Option('-o, --output <format>', 'for people or for programs').choices([
    'table',
    'json',
  ]);
}

export function addSlas(program: Command, context: (command: Command) => Context): void {
  const sla = program
    .command('sla')
    .description('verdicts on what jobs promise; of a time in silence: unreachable, not late')
    .argument('[job]', 'of one job only')
    .enablePositionalOptions()
    .option('--agent <agent>', 'of one agent only, by name or id')
    .addOption(new Option('--verdict <verdict>', 'in one verdict only').choices(SLA_VERDICTS))
    .addOption(output())
    .addHelpText('after', '\nExample:\n  runnel sla --verdict breached')
    .action((job: string | undefined, options: SlaOptions, command: Command) =>
      listSlas(context(command), job, options),
    );
  sla
    .command('history <job> <sla>')
    .description('how long a promise had which verdict')
    .option('--agent <agent>', 'of one agent only, by name or id')
    .option('--since <time>', '2026-01-31T08:00:00Z, or epoch milliseconds (default: 24 h ago)')
    .addOption(output())
    .action((job: string, name: string, options: SlaHistoryOptions, command: Command) =>
      slaHistory(context(command), job, name, options),
    );
  sla
    .command('compliance <job>')
    .description('how well promises were kept, and what is left of their error budgets')
    .option('--over <duration>', 'for example 7d (default: the window of each promise)')
    .addOption(output())
    .action((job: string, options: SlaComplianceOptions, command: Command) =>
      slaCompliance(context(command), job, options),
    );
}
