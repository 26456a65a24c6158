/** `runnel-agent dry-run`: a stream job or a batch job, by what the document says it is. */
import { RunnelError } from '@runnel/shared/errors.ts';
import { isBatchJob } from './batch/load-batch-job.ts';
import type { CommandStreams } from './dry-run.ts';
import type { ExitCode } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** As the command line has them. */
export interface DryRunFlags {
  readonly input: readonly string[];
  readonly param: readonly string[];
  readonly flush: boolean;
  readonly output?: 'text' | 'json' | 'jsonl';
  readonly at?: string;
  readonly partition?: string;
  readonly execute?: boolean;
  readonly data?: string;
  readonly fullRefresh?: boolean;
  readonly policy?: string;
}

/** Throws `usage` for options that the kind of job does not have. */
export async function dryRunAnyCommand(
  job: string,
  flags: DryRunFlags,
  io: CommandStreams,
  terminal: Terminal,
): Promise<ExitCode> {
  if (!(await isBatchJob(job))) {
    refuseBatchFlags(job, flags);
    const { dryRunCommand } = await import('./dry-run.ts');
    return dryRunCommand({ ...flags, job }, io);
  }
  refuseStreamFlags(job, flags);
  const { execute = false, fullRefresh = false, output = 'text' } = flags;
  const { dryRunBatchCommand } = await import('./batch/dry-run-batch.ts');
  return dryRunBatchCommand({ ...flags, job, execute, fullRefresh, output }, io, terminal);
}

function refuseBatchFlags(job: string, flags: DryRunFlags): void {
  const wrong = (['execute', 'at', 'partition', 'data', 'fullRefresh', 'policy'] as const).find(
    (name) => flags[name] !== undefined,
  );
  const hint = `Run it over files: runnel dry-run ${job} --input SOURCE=FILE.jsonl`;
  if (wrong !== undefined) {
    const option = wrong === 'fullRefresh' ? 'full-refresh' : wrong;
    throw new RunnelError('usage', `${job}: --${option} is for batch jobs, and this is none`, {
      hint,
    });
  }
  if (flags.output === undefined || flags.output === 'jsonl') return;
  throw new RunnelError('usage', `${job}: results of a stream job are jsonl`, { hint });
}

function refuseStreamFlags(job: string, flags: DryRunFlags): void {
  if (!flags.flush) {
    throw new RunnelError(
      'usage',
      `${job}: --no-flush is for stream jobs, and this is a batch job`,
    );
  }
  if (flags.execute === true) return;
  const hint = `Add --execute to run it: runnel dry-run ${job} --execute`;
  const wrong = (['data', 'fullRefresh', 'policy'] as const).find(
    (name) => flags[name] !== undefined,
  );
  if (wrong !== undefined || flags.input.length > 0) {
    const option = wrong === 'fullRefresh' ? 'full-refresh' : (wrong ?? 'input');
    throw new RunnelError('usage', `--${option} goes with --execute: the plan needs none`, {
      hint,
    });
  }
  if (flags.output === 'jsonl') {
    throw new RunnelError('usage', '--output jsonl goes with --execute; a plan is text or json', {
      hint,
    });
  }
}
