/** `runnel apply`, `validate` and `delete`: jobs into and out of the control plane. */
import { DefinitionError } from '@runnel/shared/errors.ts';
import { type Context, print } from '../context.ts';
import { inFile, type JobText, readJobs } from '../job-files.ts';
import { oneLine } from '../table.ts';
import { paint } from '../terminal.ts';

interface ApplyReply {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly created: boolean;
  readonly changed?: boolean;
  readonly agents?: { readonly desired: number };
  /** Agents that are chosen and cannot run it. */
  readonly warnings?: readonly string[];
}

export interface ApplyOptions {
  readonly dryRun: boolean;
  readonly strict: boolean;
}

export async function apply(
  context: Context,
  paths: readonly string[],
  options: ApplyOptions,
): Promise<void> {
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
  if (context.output !== 'table') print(context, { items: replies }, () => '');
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
