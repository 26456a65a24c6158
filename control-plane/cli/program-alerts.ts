/** The commands about alerts and their options. A contract, like program.ts. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ALERT_SOURCES, ALERT_STATES } from '../http/alert-messages.ts';
import {
  actOnAlert,
  type AlertsOptions,
  listAlerts,
  listNotifications,
  listSilences,
  silence,
  type SilenceOptions,
  unsilence,
} from './commands/alerts.ts';
import {
  deleteReceiver,
  listReceivers,
  type ReceiverOptions,
  setReceiver,
  testReceiver,
} from './commands/receivers.ts';
import type { Context } from './context.ts';

type MakeContext = (command: Command) => Context;

const SEVERITIES = ['info', 'warning', 'error'] as const;
const KINDS = ['webhook', 'email', 'slack', 'alertmanager'] as const;

const RECEIVER_HELP = `
Settings and secrets by kind (times: groupWait, groupInterval, repeat):
  webhook       url, headers, ca; secrets url, authorization, secret (HMAC)
  slack         url, channel, ca; secret url
  alertmanager  url, ca; secret authorization
  email         host, port, security (starttls, tls, none), username, from, to,
                ca; secret password

Examples:
  runnel receivers set hook --kind webhook --setting url=http://127.0.0.1:9000/
  runnel receivers set chat --kind slack --secret url=env:RUNNEL_SECRET_SLACK
  runnel receivers set mail --kind email --setting host=mail.example.org \\
    --setting from=runnel@example.org --setting 'to=["ops@example.org"]'`;

function output(): Option {
  return new Option('-o, --output <format>', 'for people or for programs')
    .choices(['table', 'json', 'yaml'])
    .default('table');
}

export function addAlerts(program: Command, context: MakeContext): void {
  const alerts = program
    .command('alerts')
    .description('what is wrong in the fleet: open alerts, those that began last first')
    .addOption(
      new Option('--state <state>', 'open is every state but resolved')
        .choices(['open', 'all', ...ALERT_STATES])
        .default('open'),
    )
    .addOption(new Option('--severity <severity>', 'of one severity only').choices(SEVERITIES))
    .addOption(new Option('--source <source>', 'of one source only').choices(ALERT_SOURCES))
    .option('--job <job>', 'of one job only')
    .option('--agent <agent>', 'of one agent only, by name or id')
    .option('--limit <n>', 'how many at most', positive, 200)
    .addOption(output())
    .action((options: AlertsOptions, command: Command) => listAlerts(context(command), options));
  for (const [name, action, text] of [
    ['ack', 'acknowledge', 'see to it: it is not told again until it ends or gets worse'],
    ['unack', 'unacknowledge', 'nobody sees to it any more'],
    ['resolve', 'resolve', 'take it for over; while it is still wrong, it comes again'],
  ] as const) {
    alerts
      .command(`${name} <id>`)
      .description(text)
      .addOption(output())
      .action((id: string, _options: unknown, command: Command) =>
        actOnAlert(context(command), id, action),
      );
  }
  addSilences(alerts, context);
  alerts
    .command('log')
    .description('what receivers were sent, newest first')
    .option('--receiver <name>', 'of one receiver only')
    .option('--limit <n>', 'how many at most', positive, 100)
    .addOption(output())
    .action((options: { receiver?: string; limit: number }, command: Command) =>
      listNotifications(context(command), { ...options, ...limitOf(command) }),
    );
  addReceivers(program, context);
}

/** `--limit` is an option of the list too, and commander gives it to whichever comes first. */
function limitOf(command: Command): { readonly limit: number } {
  return { limit: command.optsWithGlobals<{ limit: number }>().limit };
}

function addSilences(alerts: Command, context: MakeContext): void {
  alerts
    .command('silence <selector>')
    .description('hold alerts back whose labels match, for example "site=lyon,source=device"')
    .requiredOption('--for <duration>', 'how long: 30m, 2h, 1d')
    .option('--comment <text>', 'why', '')
    .addOption(output())
    .action((selector: string, options: SilenceOptions, command: Command) =>
      silence(context(command), selector, options),
    );
  alerts
    .command('silences')
    .description('silences that have not ended')
    .addOption(output())
    .action((_options: unknown, command: Command) => listSilences(context(command)));
  alerts
    .command('unsilence <id>')
    .description('end a silence now')
    .addOption(output())
    .action((id: string, _options: unknown, command: Command) => unsilence(context(command), id));
}

function addReceivers(program: Command, context: MakeContext): void {
  const receivers = program.command('receivers').description('who is told of alerts');
  receivers
    .command('list')
    .description('receivers, without their secrets')
    .addOption(output())
    .action((_options: unknown, command: Command) => listReceivers(context(command)));
  receivers
    .command('set <name>')
    .description('add a receiver or replace it; secrets that are not named stay')
    .addOption(new Option('--kind <kind>', 'what it is').choices(KINDS).makeOptionMandatory())
    .option('-l, --selector <selector>', 'only alerts whose labels match (default: all)', '')
    .addOption(
      new Option('--severity <severity>', 'the least that it gets')
        .choices(SEVERITIES)
        .default('warning'),
    )
    .option('--no-resolved', 'do not say when an alert ends')
    .option('--setting <name=value...>', 'settings of its kind')
    .option('--secret <name=value...>', 'env:RUNNEL_SECRET_…, file:NAME, or the secret itself')
    .addOption(output())
    .addHelpText('after', RECEIVER_HELP)
    .action((name: string, options: ReceiverOptions, command: Command) =>
      setReceiver(context(command), name, options),
    );
  receivers
    .command('delete <name>')
    .description('tell it nothing more; the log stays')
    .addOption(output())
    .action((name: string, _options: unknown, command: Command) =>
      deleteReceiver(context(command), name),
    );
  receivers
    .command('test <name>')
    .description('send it a test and say what came of it; exit code 1 when it was not taken')
    .addOption(output())
    .action((name: string, _options: unknown, command: Command) =>
      testReceiver(context(command), name),
    );
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('A whole number from 1.');
}
