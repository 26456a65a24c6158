/** The commands about runs of batch jobs, and their options. A contract, like program.ts. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BACKFILL_ORDERS, BACKFILL_WHICH, RUN_STATES } from '@runnel/shared/protocol/runs.ts';
import { actOnRun, cancelBackfill, type OfAgent, pauseJob } from './commands/run-actions.ts';
import { backfill, type BackfillOptions, runJob, type RunOptions } from './commands/run-job.ts';
import { logs, type LogsOptions } from './commands/run-logs.ts';
import { listRuns, type RunsOptions } from './commands/runs.ts';
import type { Context, OutputFormat } from './context.ts';

type MakeContext = (command: Command) => Context;

const RUN_HELP = 'id of a run, or a beginning that only one has';

/** For every command on one run. */
export function ofAgent(): Option {
  return new Option('--agent <agent>', 'its agent, when several report a run of this id');
}

function output(...formats: readonly OutputFormat[]): Option {
  return new Option('-o, --output <format>', 'for people or for programs')
    .choices(formats)
    .default('table');
}

function examples(...lines: readonly string[]): string {
  const title = lines.length === 1 ? 'Example' : 'Examples';
  return `\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

export function addRuns(
  program: Command,
  context: MakeContext,
  exit: (code: number) => void,
): void {
  addList(program, context);
  addStarts(program, context, exit);
  addActions(program, context);
  addLogs(program, context);
  addPauses(program, context);
}

function addList(program: Command, context: MakeContext): void {
  program
    .command('runs <job>')
    .description('runs of a batch job, newest first')
    .option('--agent <agent>', 'of one agent only, by name or id')
    .addOption(new Option('--state <state>', 'in one state only').choices(RUN_STATES))
    .option('--limit <n>', 'how many at most', positive, 20)
    .addOption(output('table', 'json', 'yaml'))
    .addHelpText('after', examples('runnel runs nightly-rollup --state failed'))
    .action((job: string, options: RunsOptions, command: Command) =>
      listRuns(context(command), job, options),
    );
}

/** Where a job is to run, and with what. */
function withTargets(command: Command): Command {
  return command
    .option('--agent <agent...>', 'on these agents, by name or id')
    .option('-l, --selector <selector>', 'on the agents with the job that these labels choose')
    .option('--param <name=value...>', "over the job's parameters, for these runs alone");
}

function addStarts(program: Command, context: MakeContext, exit: (code: number) => void): void {
  withTargets(program.command('run <job>'))
    .description('run a batch job now')
    .option('--partition <id>', 'what the run covers (default: the newest whole one)')
    .option('--full-refresh', 'read everything again, whatever was read before', false)
    .option('--wait', 'until the runs have ended; exit code 1 when one did not succeed', false)
    .addOption(output('table', 'json'))
    .addHelpText(
      'after',
      examples(
        'runnel run nightly-rollup --agent press-1',
        'runnel run nightly-rollup -l site=lyon --partition 2026-11-22 --param minRms=0.2 --wait',
      ),
    )
    .action(async (job: string, options: RunOptions, command: Command) =>
      exit(await runJob(context(command), job, options)),
    );
  withTargets(program.command('backfill <job>'))
    .description('run a batch job for the partitions of a range')
    .requiredOption('--from <time>', 'first: 2026-11-01 (of the zone of its partitions), or ISO')
    .requiredOption('--to <time>', 'where it ends: partitions that begin before it')
    .addOption(
      new Option('--which <which>', 'those without a run, also those that failed, or all')
        .choices(BACKFILL_WHICH)
        .default('none'),
    )
    .addOption(
      new Option('--order <order>', 'which go first').choices(BACKFILL_ORDERS).default('oldest'),
    )
    .option('--max-active <n>', 'runs at the same time', positive, 1)
    .option('--dry-run', 'list the partitions that would run, and start nothing', false)
    .addOption(output('table', 'json'))
    .addHelpText(
      'after',
      examples('runnel backfill nightly-rollup --agent press-1 --from 2026-11-01 --to 2026-11-08'),
    )
    .action(async (job: string, options: BackfillOptions, command: Command) =>
      exit(await backfill(context(command), job, options)),
    );
}

interface RerunOptions extends OfAgent {
  readonly from?: string;
  readonly all: boolean;
  readonly fullRefresh: boolean;
}

function addActions(program: Command, context: MakeContext): void {
  program
    .command('rerun')
    .argument('<run>', RUN_HELP)
    .addOption(ofAgent())
    .description('run again what did not succeed')
    .option('--from <task>', 'this task and everything that depends on it, whatever became of it')
    .addOption(
      new Option('--all', 'every task, also what succeeded').default(false).conflicts('from'),
    )
    .option('--full-refresh', 'read everything again, whatever was read before', false)
    .addOption(output('table', 'json'))
    .addHelpText('after', examples('runnel rerun 7hq2k0 --from daily'))
    .action((run: string, options: RerunOptions, command: Command) => {
      const { from = null, all, fullRefresh } = options;
      return actOnRun(context(command), run, 'rerun', options, { from, all, fullRefresh });
    });
  program
    .command('cancel')
    .argument('<run>', RUN_HELP)
    .addOption(ofAgent())
    .description('stop a run, or a backfill; teardown tasks still run')
    .option('--backfill', 'the id is that of a backfill; say --agent too', false)
    .addOption(output('table', 'json'))
    .addHelpText(
      'after',
      examples('runnel cancel 7hq2k0', 'runnel cancel x81c2f --backfill --agent press-1'),
    )
    .action((id: string, options: OfAgent & { backfill: boolean }, command: Command) => {
      const act = options.backfill ? cancelBackfill(context(command), id, options) : undefined;
      return act ?? actOnRun(context(command), id, 'cancel', options);
    });
  program
    .command('clear')
    .argument('<run>', RUN_HELP)
    .argument('<task>', 'id of a task')
    .addOption(ofAgent())
    .description('forget what became of a task and of what depends on it; they run again')
    .addOption(output('table', 'json'))
    .addHelpText('after', examples('runnel clear 7hq2k0 daily'))
    .action((run: string, task: string, options: OfAgent, command: Command) =>
      actOnRun(context(command), run, 'clear', options, { task }),
    );
  program
    .command('mark-success')
    .argument('<run>', RUN_HELP)
    .argument('[task]', 'one task of it (default: the run with all its tasks)')
    .addOption(ofAgent())
    .description('take a run, or one task of it, for succeeded')
    .addOption(output('table', 'json'))
    .addHelpText('after', examples('runnel mark-success 7hq2k0 check'))
    .action((run: string, task: string | undefined, options: OfAgent, command: Command) =>
      actOnRun(context(command), run, 'mark-success', options, { task: task ?? null }),
    );
}

function addLogs(program: Command, context: MakeContext): void {
  program
    .command('logs')
    .argument('<run>', RUN_HELP)
    .addOption(ofAgent())
    .description('lines of a run, asked of its device, which must be connected')
    .option('--task <task>', 'of one task only')
    .option('--follow', 'go on with what comes, until the run has ended or Ctrl-C', false)
    .addOption(output('table', 'json', 'jsonl'))
    .addHelpText('after', examples('runnel logs 7hq2k0 --task daily --follow'))
    .action((run: string, options: LogsOptions, command: Command) => {
      const made = context(command);
      // A list that never ends cannot be one JSON value.
      const endless = options.follow && made.output === 'json';
      return logs(endless ? { ...made, output: 'jsonl' } : made, run, options);
    });
}

function addPauses(program: Command, context: MakeContext): void {
  for (const [step, text] of [
    ['pause', 'stop a job everywhere, to go on later; a batch job starts no new runs'],
    ['resume', 'let a paused job go on'],
  ] as const) {
    program
      .command(`${step} <job>`)
      .description(text)
      .addOption(output('table', 'json'))
      .addHelpText('after', examples(`runnel ${step} nightly-rollup`))
      .action((job: string, _options: unknown, command: Command) =>
        pauseJob(context(command), job, step),
      );
  }
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('A whole number from 1.');
}
