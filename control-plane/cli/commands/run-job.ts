/** `runnel run JOB` and `runnel backfill JOB`: runs now, on one or more agents. */
import { type AnyJob, parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { firstInstantOf } from '@runnel/shared/engine/windows/time-zone.ts';
import { hasEnded } from '@runnel/shared/protocol/runs.ts';
import type { JobDetail } from '../../http/live-messages.ts';
import type { RunDetail } from '../../http/run-messages.ts';
import { CliError, usageError } from '../cli-error.ts';
import { type Context, print } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { namedValues } from '../named-values.ts';
import { shortRun, type Skipped, skippedText, stateText } from '../run-text.ts';
import { oneLine } from '../table.ts';

interface TargetOptions {
  readonly agent?: readonly string[];
  readonly selector?: string;
  readonly param?: readonly string[];
}

export interface RunOptions extends TargetOptions {
  readonly partition?: string;
  readonly fullRefresh: boolean;
  readonly wait: boolean;
}

export interface BackfillOptions extends TargetOptions {
  readonly from: string;
  readonly to: string;
  readonly which: string;
  readonly order: string;
  readonly maxActive: number;
  readonly dryRun: boolean;
}

interface AgentAnswer {
  readonly agent: string;
  readonly name: string;
  readonly status: 'accepted' | 'refused' | 'timeout' | 'unreachable';
  readonly reason: string | null;
  readonly runs: readonly { run: string; partition: string; state: string }[];
  readonly partitions: readonly string[];
  readonly backfill: string | null;
  readonly skipped: Skipped | null;
}

interface Answers {
  readonly items: readonly AgentAnswer[];
  readonly at: number;
}

const POLL_MS = 500;

/** Gives the exit code: 1 when an agent did not accept, or with `--wait` a run did not succeed. */
export async function runJob(context: Context, job: string, options: RunOptions): Promise<number> {
  const declared = options.param === undefined ? undefined : await jobOf(context, job);
  const answers = await context.api.request<Answers>('/runs', {
    method: 'POST',
    body: {
      job,
      ...targetsOf(options),
      partition: options.partition ?? null,
      parameters: namedValues(options.param ?? [], declared?.parameters ?? {}, asParam),
      fullRefresh: options.fullRefresh,
    },
  });
  const accepted = answers.items.every(({ status }) => status === 'accepted');
  if (!options.wait) {
    print(context, answers, () => answers.items.map((each) => answerText(each)).join(''));
    return accepted ? exitCodes.ok : exitCodes.failed;
  }
  if (context.output === 'table') {
    for (const each of answers.items) context.terminal.err(answerText(each));
  }
  const ended: RunDetail[] = [];
  for (const { agent, runs } of answers.items) {
    for (const { run } of runs) ended.push(await waitForEnd(context, run, agent, answers.at));
  }
  print(context, { ...answers, runs: ended }, () =>
    ended.map((run) => `${endText(context, run)}\n`).join(''),
  );
  const succeeded = ended.every(({ state }) => state === 'success');
  return accepted && succeeded ? exitCodes.ok : exitCodes.failed;
}

/** Gives the exit code: 1 when an agent did not accept. */
export async function backfill(
  context: Context,
  job: string,
  options: BackfillOptions,
): Promise<number> {
  const declared = await jobOf(context, job);
  const timezone = declared.kind === 'BatchJob' ? (declared.partition?.timezone ?? 'UTC') : 'UTC';
  const answers = await context.api.request<Answers>('/backfills', {
    method: 'POST',
    body: {
      job,
      ...targetsOf(options),
      from: boundOf('--from', options.from, timezone),
      to: boundOf('--to', options.to, timezone),
      which: options.which,
      order: options.order,
      maxActive: options.maxActive,
      dryRun: options.dryRun,
      parameters: namedValues(options.param ?? [], declared.parameters, asParam),
    },
  });
  print(context, answers, () =>
    answers.items.map((each) => backfillText(each, options.dryRun)).join(''),
  );
  const accepted = answers.items.every(({ status }) => status === 'accepted');
  return accepted ? exitCodes.ok : exitCodes.failed;
}

async function jobOf(context: Context, name: string): Promise<AnyJob> {
  const { document } = await context.api.request<JobDetail>(`/jobs/${encodeURIComponent(name)}`);
  return parseJob(JSON.stringify(document)).job;
}

function targetsOf({ agent, selector }: TargetOptions) {
  if (agent !== undefined && selector !== undefined) {
    throw usageError('--agent and --selector exclude each other');
  }
  if (agent !== undefined) return { agents: agent };
  if (selector !== undefined) return { selector };
  throw usageError('say where: --agent NAME, or --selector "site=lyon"');
}

const LOCAL = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?))?$/;

/** A date or a time without a zone is of the zone of the job's partitions. */
function boundOf(option: string, text: string, timezone: string): number {
  const [, date, time = '00:00'] = LOCAL.exec(text) ?? [];
  const at =
    date === undefined
      ? Date.parse(text)
      : firstInstantOf(timezone, Date.parse(`${date}T${time}Z`));
  if (Number.isSafeInteger(at)) return at;
  throw usageError(`${option} "${text}" is no time`, '2026-11-22, or 2026-11-22T06:00:00Z');
}

function answerText({ name, status, reason, runs }: AgentAnswer): string {
  const agent = oneLine(name);
  if (status !== 'accepted') return `${agent}: ${status}: ${oneLine(reason ?? '')}\n`;
  if (runs.length === 0) return `${agent}: accepted, nothing to run\n`;
  return runs
    .map(({ run, partition, state }) => `${agent}: run ${run} of ${partition} is ${state}\n`)
    .join('');
}

function backfillText(answer: AgentAnswer, dryRun: boolean): string {
  const { name, status, partitions, runs } = answer;
  if (status !== 'accepted') return answerText(answer);
  const agent = oneLine(name);
  const count = `${partitions.length} partition${partitions.length === 1 ? '' : 's'}`;
  if (dryRun) {
    const lines = partitions.map((partition) => `  ${oneLine(partition)}\n`);
    return `${agent}: ${count} would run (dry run: nothing was started)\n${lines.join('')}`;
  }
  const [first] = partitions;
  const passed = skippedText(answer.skipped);
  if (first === undefined) return `${agent}: accepted, nothing to run\n${passed}`;
  // The others have no runs yet: the device makes one when there is room for it.
  const last = partitions.length === 1 ? '' : ` to ${partitions.at(-1)}`;
  const rest = runs.length < partitions.length ? '; the others follow by themselves' : '';
  const started = runs.length === 0 ? '' : answerText(answer);
  const { backfill: id } = answer;
  const stop = id === null ? '' : `  to stop it: runnel cancel ${id} --backfill --agent ${agent}\n`;
  return `${agent}: ${count}, ${oneLine(`${first}${last}`)}${rest}\n${passed}${started}${stop}`;
}

function endText({ terminal }: Context, { run, agentName, partition, state, error }: RunDetail) {
  const cause = error === null ? '' : `: ${oneLine(error.message)}`;
  const what = `${oneLine(agentName)}: run ${shortRun(run)} of ${oneLine(partition)}`;
  return `${what}: ${stateText(terminal, state)}${cause}`;
}

/**
 * A run is told by its device a moment after it was accepted, and one that ran before shows its old
 * end until then: only reports since `atMs`, by the control plane's clock, count.
 */
async function waitForEnd(
  context: Context,
  run: string,
  agent: string,
  atMs: number,
): Promise<RunDetail> {
  const { terminal, api } = context;
  const request = { query: { agent }, signal: terminal.interrupted };
  for (;;) {
    const detail = await api
      .request<RunDetail>(`/runs/${encodeURIComponent(run)}`, request)
      .catch((error: unknown) => {
        if (error instanceof CliError && error.code === 'not_found') return undefined;
        throw stopped(context, error);
      });
    const fresh = detail !== undefined && detail.receivedAt >= atMs;
    if (fresh && hasEnded(detail.state)) return detail;
    await terminal.clock.sleep(POLL_MS, terminal.interrupted).catch((error: unknown) => {
      throw stopped(context, error);
    });
  }
}

function stopped({ terminal }: Context, error: unknown): unknown {
  if (!terminal.interrupted.aborted) return error;
  return new CliError(exitCodes.failed, 'not waited to the end; the runs go on', {
    code: 'interrupted',
  });
}

const asParam = (text: string): string => `--param "${text}"`;
