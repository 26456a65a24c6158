/** `runnel apply`, `validate` and `delete`: jobs into and out of the control plane. */
import { DefinitionError } from '@runnel/shared/errors.ts';
import type { RolloutItem } from '../../http/rollout-messages.ts';
import { type Context, print } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { inFile, type JobText, readJobs } from '../job-files.ts';
import { oneLine } from '../table.ts';
import { paint } from '../terminal.ts';
import { patienceOf, rolloutPath, watchRollout } from './rollout-watch.ts';

interface ApplyReply {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly created: boolean;
  readonly changed?: boolean;
  readonly retried?: boolean;
  readonly agents?: { readonly desired: number };
  /** Agents that are chosen and cannot run it. */
  readonly warnings?: readonly string[];
}

export interface ApplyOptions {
  readonly dryRun: boolean;
  readonly strict: boolean;
  readonly wait: boolean;
  readonly timeout?: string;
}

export async function apply(
  context: Context,
  paths: readonly string[],
  options: ApplyOptions,
): Promise<ExitCode> {
  // Before anything is sent: a wrong option stores nothing.
  const waits = { option: '--wait', given: options.wait };
  patienceOf(context, options.timeout, waits);
  const jobs = await readJobs(context.terminal, paths);
  const replies: (ApplyReply & { readonly file: string })[] = [];
  for (const job of jobs) {
    const reply = await send(context, job, options);
    replies.push({ file: job.file, ...reply });
    if (context.output === 'table') context.terminal.out(`${lineOf(context, reply, options)}\n`);
    for (const warning of reply.warnings ?? []) {
      const word = paint(context.terminal, 'yellow', 'warning');
      context.terminal.err(`${word}: ${reply.name}: ${oneLine(warning)}\n`);
    }
  }
  const stored = options.dryRun ? [] : replies;
  if (!options.wait) {
    for (const { name } of stored.filter(beginsRollout)) await tellRollout(context, name);
    if (context.output !== 'table') print(context, { items: replies }, () => '');
    return exitCodes.ok;
  }
  const patience = patienceOf(context, options.timeout, waits);
  const rollouts: RolloutItem[] = [];
  let worst: ExitCode = exitCodes.ok;
  // Also of a version that was there already, and may still be on its way.
  for (const { name } of stored) {
    const { item, code } = await watchRollout(context, name, patience);
    rollouts.push(item);
    if (code !== exitCodes.ok) worst = code;
  }
  if (context.output !== 'table') print(context, { items: replies, rollouts }, () => '');
  return worst;
}

function beginsRollout({ changed, retried }: ApplyReply): boolean {
  return changed === true || retried === true;
}

/** How it goes on, where it is not over yet. */
async function tellRollout({ api, terminal, output }: Context, name: string): Promise<void> {
  if (output !== 'table') return;
  const { phase, batch, counts } = await api.request<RolloutItem>(rolloutPath(name));
  const devices = counts.updated + counts.pending + counts.unknown + counts.failed;
  if (phase === 'succeeded' || devices === 0) return;
  const how = batch.of === 1 ? 'all at once' : `in ${batch.of} batches`;
  const to = devices === 1 ? '1 device' : `${devices} devices, ${how}`;
  terminal.err(`${name}: rolls out to ${to}; follow it: runnel rollout status ${name} --watch\n`);
}

async function send(
  context: Context,
  job: JobText,
  { dryRun, strict }: ApplyOptions,
): Promise<ApplyReply> {
  const type = job.text.trimStart().startsWith('{') ? 'application/json' : 'application/yaml';
  try {
    return await context.api.request<ApplyReply>('/jobs', {
      method: 'POST',
      query: { dryRun: dryRun ? 'true' : undefined, strict: strict ? 'true' : undefined },
      text: { type, content: job.text },
    });
  } catch (error) {
    if (error instanceof DefinitionError) throw new DefinitionError(inFile(job, error.issues));
    throw error;
  }
}

function lineOf(
  context: Context,
  reply: ApplyReply,
  options: { readonly dryRun: boolean },
): string {
  const { terminal } = context;
  const would = options.dryRun ? ' (dry run: nothing was stored)' : '';
  const count = reply.agents?.desired;
  const where = count === undefined ? '' : ` for ${count} agent${count === 1 ? '' : 's'}`;
  if (reply.created) {
    const what = paint(terminal, 'green', `version ${reply.version} created`);
    return `${reply.name}: ${what}${where}${would}`;
  }
  if (reply.retried === true) {
    const what = paint(terminal, 'yellow', `version ${reply.version} is tried again`);
    return `${reply.name}: ${what}${where}`;
  }
  if (reply.changed === true) {
    const what = paint(terminal, 'yellow', `back to version ${reply.version}`);
    return `${reply.name}: ${what}${where}${would}`;
  }
  return `${reply.name}: unchanged, version ${reply.version}${where}${would}`;
}

/** Needs no control plane: the same checks run here. */
export async function validate(context: Context, paths: readonly string[]): Promise<void> {
  const jobs = await readJobs(context.terminal, paths);
  const items = jobs.map(({ file, name, hash }) => ({ file, name, hash, valid: true }));
  print(context, { items }, () =>
    items.map(({ file, name }) => `${file}: ${name} is valid\n`).join(''),
  );
}

export async function deleteJob(context: Context, name: string): Promise<void> {
  await context.api.request(`/jobs/${encodeURIComponent(name)}`, { method: 'DELETE' });
  const text = `${name}: deleted; its versions and results are kept\n`;
  print(context, { name, deleted: true }, () => text);
}
