/** Follows a rollout to its end; each change is a line for people, on standard error. */
import type { RolloutItem, RolloutPhase } from '../../http/rollout-messages.ts';
import { CliError } from '../cli-error.ts';
import type { Context } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { oneLine } from '../table.ts';

/** Only one that succeeded is code 0: scripts go on by it. */
const ENDS: Readonly<Partial<Record<RolloutPhase, ExitCode>>> = {
  succeeded: exitCodes.ok,
  rolledBack: exitCodes.failed,
  aborted: exitCodes.failed,
  superseded: exitCodes.failed,
};

const POLL_MS = 500;

export function rolloutPath(job: string): string {
  return `/jobs/${encodeURIComponent(job)}/rollout`;
}

export interface Watched {
  readonly item: RolloutItem;
  readonly code: ExitCode;
}

/**
 * The rollout that is the newest one now: another that takes its place is not what was asked for.
 * One that waits for a person is waited for.
 */
export async function watchRollout(context: Context, job: string): Promise<Watched> {
  const { terminal } = context;
  let first: RolloutItem | undefined;
  let told = '';
  for (;;) {
    const item: RolloutItem = await seen(context, job, first?.id);
    first ??= item;
    const line = watchLine(item);
    if (line !== told) terminal.err(`${line}\n`);
    told = line;
    const code = ENDS[item.phase];
    if (code !== undefined) return { item, code };
    await terminal.clock.sleep(POLL_MS, terminal.interrupted).catch((error: unknown) => {
      throw stopped(context, job, error);
    });
  }
}

async function seen(context: Context, job: string, id: string | undefined): Promise<RolloutItem> {
  const { api, terminal } = context;
  const request = { signal: terminal.interrupted };
  const path = rolloutPath(job);
  try {
    if (id === undefined) return await api.request<RolloutItem>(path, request);
    // Also when a newer one came, or the job was deleted: how this one ended is in its history.
    const { items } = await api.request<{ items: RolloutItem[] }>(`${path}s`, request);
    const same = items.find((item) => item.id === id);
    if (same !== undefined) return same;
  } catch (error) {
    throw stopped(context, job, error);
  }
  throw new CliError(exitCodes.failed, `the rollout of ${job} is gone`, { code: 'not_found' });
}

function stopped({ terminal }: Context, job: string, error: unknown): unknown {
  if (!terminal.interrupted.aborted) return error;
  return new CliError(exitCodes.failed, `not watched to the end; the rollout of ${job} goes on`, {
    code: 'interrupted',
  });
}

/** Without what changes by itself, as the seconds of a pause that are left. */
function watchLine({ job, version, phase, batch, counts, reason, nextAt }: RolloutItem): string {
  const { updated, pending, unknown, failed } = counts;
  const devices = `${updated} updated, ${pending} pending, ${unknown} unknown, ${failed} failed`;
  const where = `batch ${batch.n} of ${batch.of}: ${devices}`;
  const why = nextAt === null && reason !== '' ? `; ${oneLine(reason)}` : '';
  return `${job} version ${version} ${phase}, ${where}${why}`;
}
