/**
 * The agent's command line (DESIGN.md §2). Options and exit codes are a contract.
 *
 * Handlers are loaded when their command is used: `run` must not pay for the parts of the others.
 */
import { Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander';
import { plainDefault } from '@runnel/shared/help-text.ts';
import { agentVersion } from '../config/agent-version.ts';
import { LOG_LEVELS } from '../config/log-level.ts';
import { parseHostPort } from '../config/address.ts';
import type { DryRunFlags } from './dry-run-any.ts';
import { DRY_RUN_HELP } from './dry-run-help.ts';
import { errorText, exitCodeOf } from './error-text.ts';
import type { EnrollOptions } from './enroll.ts';
import { TEST_HELP } from './test-help.ts';
import { EXIT_CODES_HELP, type ExitCode, exitCodes } from './exit-code.ts';
import type { RunCommandOptions } from './run.ts';
import type { StatusOptions } from './status.ts';
import type { Terminal } from './terminal.ts';
import type { UninstallOptions } from './uninstall.ts';
import type { VerifyPackageOptions } from './verify-package.ts';

/** Runs one command line; never throws, and never exits by itself. */
export async function runProgram(terminal: Terminal, args: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const program = newProgram(terminal, (exitCode) => {
    code = exitCode;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    terminal.err(errorText(error));
    return exitCodeOf(error);
  }
}

function newProgram(terminal: Terminal, done: (code: ExitCode) => void): Command {
  const program = new Command('runnel-agent')
    .description('Runs micro-pipelines on this device, with or without a network.')
    .version(`runnel-agent ${agentVersion}`, '-V, --version')
    .addHelpText('after', EXIT_CODES_HELP)
    .configureHelp({
      optionDescription: (option) => plainDefault(new Help().optionDescription(option)),
    })
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .showSuggestionAfterError()
    .exitOverride();
  addEnroll(program, terminal, done);
  addRun(program, terminal, done);
  addStatus(program, terminal, done);
  addDescribe(program, terminal, done);
  addDryRun(program, terminal, done);
  addTest(program, terminal, done);
  addInstalled(program, terminal, done);
  return program;
}

type Done = (code: ExitCode) => void;

const data = (): Option =>
  new Option('--data <dir>', 'data directory of the agent')
    .env('RUNNEL_DATA')
    .makeOptionMandatory();

const output = (): Option =>
  new Option('-o, --output <format>', 'for people or for programs')
    .choices(['text', 'json'])
    .default('text');

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function addEnroll(program: Command, terminal: Terminal, done: Done): void {
  program
    .command('enroll')
    .description('make this device an agent of a control plane; running it again is harmless')
    .requiredOption('--url <url>', 'address of the control plane')
    .requiredOption('--token <token>', 'join token, from "Add device" or `runnel token create`')
    .addOption(data())
    .option('--name <name>', 'name shown to people (default: the host name)')
    .option('--label <key=value>', 'label for placement; may be given many times', collect, [])
    .option('--ca <file>', "private CA of the control plane's https address, PEM")
    .action(async (options: EnrollOptions) => {
      const { enrollCommand } = await import('./enroll.ts');
      done(await enrollCommand(terminal, options));
    });
}

function addRun(program: Command, terminal: Terminal, done: Done): void {
  program
    .command('run')
    .description('run the agent in the foreground until SIGTERM or Ctrl-C')
    .addOption(data())
    .option('--metrics <host:port>', 'serve Prometheus metrics there', (text) => {
      const parsed = parseHostPort(text);
      if (parsed === undefined) throw new InvalidArgumentError('Write HOST:PORT.');
      return parsed;
    })
    .addOption(new Option('--log-level <level>', 'what is logged').choices(LOG_LEVELS))
    .action(async (options: RunCommandOptions) => {
      const { runCommand } = await import('./run.ts');
      done(await runCommand(terminal, options));
    });
}

function addStatus(program: Command, terminal: Terminal, done: Done): void {
  program
    .command('status')
    .description('what the agent does; works with the agent down too')
    .addOption(data())
    .addOption(output())
    .action(async (options: StatusOptions) => {
      const { statusCommand } = await import('./status.ts');
      done(await statusCommand(terminal, options));
    });
}

function addDescribe(program: Command, terminal: Terminal, done: Done): void {
  program
    .command('describe')
    .description('sources, operators and sinks that jobs may use on this agent')
    .addOption(output())
    .action(async (options: { output: 'text' | 'json' }) => {
      const { describeCommand } = await import('./describe.ts');
      done(describeCommand(terminal, options.output));
    });
}

/** Results stream through with backpressure, so these commands write to the streams themselves. */
const streams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };

function addDryRun(program: Command, terminal: Terminal, done: Done): void {
  program
    .command('dry-run')
    .description('run a job over files, or show the plan of a batch job; with no servers')
    .argument('<job>', 'the job, YAML or JSON')
    .option('--input <source=file>', 'JSON lines of a source, - for stdin; repeatable', collect, [])
    .addOption(
      new Option(
        '-o, --output <format>',
        'stream jobs: jsonl; batch jobs: text (default), json, with --execute jsonl too',
      ).choices(['text', 'json', 'jsonl']),
    )
    .option('--no-flush', 'stream jobs: leave open what is open at the end of input')
    .option('--param <name=value>', 'value of a parameter; repeatable', collect, [])
    .option('--at <time>', 'batch jobs: as if it were then; ISO 8601 or epoch ms (default: now)')
    .option('--partition <id>', 'batch jobs: this one (default: the newest whole one at that time)')
    .option('--execute', 'batch jobs: run it here')
    .option('--data <dir>', 'with --execute: data directory (default: a new temporary one)')
    .option('--full-refresh', 'with --execute: ignore cursors')
    .option('--policy <file>', 'with --execute: a policy.yaml that decides what the job may do')
    .addHelpText('after', DRY_RUN_HELP)
    .action(async (job: string, options: DryRunFlags) => {
      const { dryRunAnyCommand } = await import('./dry-run-any.ts');
      done(await dryRunAnyCommand(job, options, streams, terminal));
    });
}

function addTest(program: Command, terminal: Terminal, done: Done): void {
  program
    .command('test')
    .description('run the tests beside a job: job.test.yaml for job.yaml')
    .argument('<job>', 'the job, YAML or JSON')
    .addHelpText('after', TEST_HELP)
    .action(async (job: string) => {
      const { testAnyCommand } = await import('./test-any.ts');
      done(await testAnyCommand({ job }, streams, terminal));
    });
}

function addInstalled(program: Command, terminal: Terminal, done: Done): void {
  program
    .command('verify-package')
    .description(
      'whether an archive of the agent is signed by its control plane; the installer asks',
    )
    .argument('<archive>', 'the file')
    .requiredOption('--manifest <file>', 'what the control plane serves at /packages/manifest.json')
    .option('--token <token>', 'join token, which names the control plane')
    .option('--data <dir>', 'data directory of an enrolled agent, which knows it')
    .action(async (archive: string, options: VerifyPackageOptions) => {
      const { verifyPackageCommand } = await import('./verify-package.ts');
      done(await verifyPackageCommand(terminal, archive, options));
    });
  program
    .command('uninstall')
    .description('remove what the installer installed; asks about the data')
    .option('--yes', 'do not ask; without --purge the data stays', false)
    .addOption(new Option('--keep-data', 'identity, results that wait and state stay'))
    .addOption(new Option('--purge', 'they go too, for ever').conflicts('keepData'))
    .action(async (options: UninstallOptions) => {
      const { uninstallCommand } = await import('./uninstall.ts');
      done(await uninstallCommand(terminal, options));
    });
}
