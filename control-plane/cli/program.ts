/**
 * The commands and their options. A contract: added to, never renamed.
 */
import { Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander';
import { plainDefault } from '@runnel/shared/help-text.ts';
import { ApiClient } from './api-client.ts';
import { apply, type ApplyOptions, deleteJob, validate } from './commands/apply.ts';
import { handOver } from './commands/agent-program.ts';
import { describeAgent, describeJob } from './commands/describe.ts';
import { getAgents, getAlerts, getDatasets, getJobs, getVersions } from './commands/get.ts';
import { results } from './commands/results.ts';
import type { OfAgent } from './commands/run-actions.ts';
import { describeRun } from './commands/runs.ts';
import { SCHEDULE_NEXT_HELP, scheduleNext, type ScheduleNextOptions } from './commands/schedule.ts';
import {
  changeAgent,
  createToken,
  listTokens,
  revokeToken,
  ROLES,
  type TokenOptions,
} from './commands/tokens.ts';
import type { Context, OutputFormat } from './context.ts';
import { EXIT_CODES_HELP, exitCodes } from './exit-code.ts';
import { addParameters } from './program-parameters.ts';
import { addAlerts } from './program-alerts.ts';
import { addRuns, ofAgent } from './program-runs.ts';
import { addRollouts } from './program-rollout.ts';
import { addSlas } from './program-sla.ts';
import { report } from './report.ts';
import { guarded, type Terminal } from './terminal.ts';

export interface ProgramOptions {
  readonly version: string;
  /** Folder of the launcher, beside which the agent is looked for. */
  readonly home: string;
}

interface GlobalOptions {
  readonly url?: string;
  readonly token?: string;
  readonly output?: OutputFormat;
}

const DEFAULT_URL = 'http://127.0.0.1:8080';

/** Runs one command line (without the program's name) and gives the exit code. */
export async function run(
  given: Terminal,
  args: readonly string[],
  options: ProgramOptions,
): Promise<number> {
  const terminal = guarded(given);
  let exitCode: number = exitCodes.ok;
  const program = build(terminal, options, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    return report(terminal, error, wantsJson(args));
  }
}

function wantsJson(args: readonly string[]): boolean {
  return args.some(
    (arg, index) =>
      /^(-o|--output=?)(json|jsonl)$/.test(arg) ||
      (/^(-o|--output)$/.test(arg) && /^jsonl?$/.test(args[index + 1] ?? '')),
  );
}

function build(terminal: Terminal, options: ProgramOptions, exit: (code: number) => void): Command {
  const program = new Command('runnel')
    .description('Push jobs to a fleet of devices and see what they do.')
    .version(options.version)
    .option('--url <url>', `control plane (default: RUNNEL_URL, else ${DEFAULT_URL})`)
    .option('--token <token>', 'bearer token (default: RUNNEL_TOKEN)')
    .addHelpText('after', EXIT_CODES_HELP)
    .configureHelp({
      optionDescription: (option) => plainDefault(new Help().optionDescription(option)),
    })
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
    })
    .showHelpAfterError('(add --help for more)')
    .exitOverride();
  const context = (command: Command): Context => contextOf(terminal, command);
  addJobs(program, context, exit);
  addReads(program, context);
  addRuns(program, context, exit);
  addAlerts(program, context);
  addParameters(program, context);
  addTokens(program, context);
  addAgents(program, context);
  addRollouts(program, context, exit);
  addSlas(program, context);
  addSchedule(program, context);
  addHandOvers(program, async (args) => exit(await handOver(terminal, options.home, args)));
  return program;
}

function contextOf(terminal: Terminal, command: Command): Context {
  const { url, token, output } = command.optsWithGlobals<GlobalOptions>();
  const { RUNNEL_URL, RUNNEL_TOKEN } = terminal.env;
  return {
    terminal,
    output: output ?? 'table',
    api: new ApiClient({
      url: url ?? nonEmpty(RUNNEL_URL) ?? DEFAULT_URL,
      token: token ?? nonEmpty(RUNNEL_TOKEN)?.trim(),
    }),
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}

type MakeContext = (command: Command) => Context;

function output(...formats: readonly OutputFormat[]): Option {
  return new Option('-o, --output <format>', 'for people or for programs')
    .choices(formats)
    .default('table');
}

function addJobs(program: Command, context: MakeContext, exit: (code: number) => void): void {
  program
    .command('apply')
    .description('push job documents to the control plane')
    .requiredOption('-f, --file <path...>', 'documents, directories of them, or standard input')
    .option('--dry-run', 'check with the control plane and store nothing', false)
    .option('--strict', 'fail when an agent that the selector chooses cannot run it', false)
    .option('--wait', 'until the rollouts have ended; exit code 1 when one did not succeed', false)
    .option(
      '--timeout <duration>',
      'with --wait: for all of it no longer than 10m, say; then code 1',
    )
    .addOption(output('table', 'json'))
    .action(async (options: { file: string[] } & ApplyOptions, command: Command) =>
      exit(await apply(context(command), options.file, options)),
    );
  program
    .command('validate')
    .description('check job documents; needs no control plane')
    .requiredOption('-f, --file <path...>', 'documents, directories of them, or standard input')
    .addOption(output('table', 'json'))
    .action((options: { file: string[] }, command: Command) =>
      validate(context(command), options.file),
    );
  program
    .command('delete')
    .description('stop a job everywhere; versions and results are kept')
    .command('job <name>')
    .description('the job to stop')
    .addOption(output('table', 'json'))
    .action((name: string, _options: unknown, command: Command) =>
      deleteJob(context(command), name),
    );
}

function addReads(program: Command, context: MakeContext): void {
  const get = program.command('get').description('list agents, jobs, versions, datasets or alerts');
  get
    .command('agents')
    .description('the fleet')
    .option('-l, --selector <selector>', 'labels, for example "site=lyon, role in (press)"')
    .addOption(output('table', 'json'))
    .action((options: { selector?: string }, command: Command) =>
      getAgents(context(command), options),
    );
  get
    .command('jobs')
    .description('jobs that are to run')
    .addOption(output('table', 'json'))
    .action((_options: unknown, command: Command) => getJobs(context(command)));
  get
    .command('versions [job]')
    .description('versions of a job, or of every job that is to run')
    .addOption(output('table', 'json'))
    .action((job: string | undefined, _options: unknown, command: Command) =>
      getVersions(context(command), job),
    );
  get
    .command('datasets')
    .description('datasets that hold results')
    .addOption(output('table', 'json'))
    .action((_options: unknown, command: Command) => getDatasets(context(command)));
  get
    .command('alerts')
    .description('the newest alerts, newest first')
    .addOption(output('table', 'json'))
    .action((_options: unknown, command: Command) => getAlerts(context(command)));
  const describe = program
    .command('describe')
    .description('everything about one agent, job or run');
  describe
    .command('agent <name>')
    .description('by name or id')
    .addOption(output('table', 'json'))
    .action((name: string, _options: unknown, command: Command) =>
      describeAgent(context(command), name),
    );
  describe
    .command('job <name>')
    .description('its document, and where it runs')
    .addOption(output('table', 'json'))
    .action((name: string, _options: unknown, command: Command) =>
      describeJob(context(command), name),
    );
  describe
    .command('run <run>')
    .description('its tasks, their states and errors; by id, or a beginning that only one has')
    .addOption(ofAgent())
    .addOption(output('table', 'json', 'yaml'))
    .action((run: string, options: OfAgent, command: Command) =>
      describeRun(context(command), run, options),
    );
  addResults(program, context);
}

function addResults(program: Command, context: MakeContext): void {
  program
    .command('results <dataset>')
    .description('results in the order in which they were stored')
    .option('--agent <agent>', 'of one agent only, by name or id')
    .option('--since <time>', 'event time: 10m, 2026-01-31T08:00:00Z, or epoch milliseconds')
    .option('--follow', 'go on with what comes in, until Ctrl-C', false)
    .option('--latest', 'only the highest revision of each window, no retractions', false)
    .option('--limit <rows>', 'rows at most (without --follow)', positive, 1000)
    .addOption(output('table', 'json', 'jsonl'))
    .action(
      (
        dataset: string,
        options: {
          agent?: string;
          since?: string;
          follow: boolean;
          latest: boolean;
          limit: number;
        },
        command: Command,
      ) => results(followable(context(command), options.follow), dataset, options),
    );
}

/** A list that never ends cannot be one JSON value. */
function followable(context: Context, follow: boolean): Context {
  return follow && context.output === 'json' ? { ...context, output: 'jsonl' } : context;
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('A whole number of rows from 1.');
}

function addTokens(program: Command, context: MakeContext): void {
  const token = program.command('token').description('join tokens of devices, tokens of people');
  token
    .command('create')
    .description('make a token; it is shown once')
    .addOption(
      new Option('--role <role>', 'agent joins devices; the others use the API')
        .choices(ROLES)
        .makeOptionMandatory(),
    )
    .option('--name <name>', 'what it is for')
    .option('--labels <a=b...>', 'role agent: labels that devices get and cannot change')
    .option('--uses <n>', 'role agent: how many devices may join with it')
    .option('--expires <duration>', 'for example 1h or 7d')
    .option('--quiet', 'print the token alone', false)
    .option('--install', 'role agent: print the one line that installs a device', false)
    .addOption(output('table', 'json'))
    .action((options: TokenOptions, command: Command) => createToken(context(command), options));
  token
    .command('list')
    .description('tokens, without their secrets')
    .addOption(output('table', 'json'))
    .action((_options: unknown, command: Command) => listTokens(context(command)));
  token
    .command('revoke <id>')
    .description('revoke a token; devices that joined by it stay')
    .addOption(output('table', 'json'))
    .action((id: string, _options: unknown, command: Command) => revokeToken(context(command), id));
}

function addAgents(program: Command, context: MakeContext): void {
  const agents = program.command('agents').description('let devices in, or shut them out');
  for (const change of ['approve', 'revoke'] as const) {
    agents
      .command(`${change} <agent>`)
      .description(
        change === 'approve'
          ? 'let in a device that waits for a person'
          : 'cut a device off now and refuse it from now on',
      )
      .addOption(output('table', 'json'))
      .action((agent: string, _options: unknown, command: Command) =>
        changeAgent(context(command), agent, change),
      );
  }
}

function addSchedule(program: Command, context: MakeContext): void {
  program
    .command('schedule')
    .description('what schedules mean; needs no control plane')
    .command('next')
    .description('when a cron expression fires')
    .requiredOption('--cron <expression>', 'five fields, six with seconds first, or @daily')
    .option('--timezone <zone>', 'IANA time zone', 'UTC')
    .option('--from <instant>', 'ISO 8601; times after it are listed (default: now)')
    .option('--count <n>', 'how many, at most 10000', '5')
    .addOption(output('table', 'json'))
    .addHelpText('after', SCHEDULE_NEXT_HELP)
    .action((options: ScheduleNextOptions, command: Command) =>
      scheduleNext(context(command), options),
    );
}

/** Options are the agent's; they pass through as they are. */
function addHandOvers(program: Command, run: (args: readonly string[]) => Promise<void>): void {
  const texts = {
    'dry-run': 'run a job over files or plan a batch job, no servers (hands over to runnel-agent)',
    test: "run the tests beside a job's document (hands over to runnel-agent)",
  };
  for (const [name, text] of Object.entries(texts)) {
    program
      .command(name)
      .description(text)
      .helpOption(false)
      .allowUnknownOption()
      .argument('[args...]')
      .action((args: string[]) => run([name, ...args]));
  }
}
