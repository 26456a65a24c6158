/** Follows a rollout to its end; each change is a line for people, on standard error. */
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import type { RolloutItem, RolloutPhase } from '../../http/rollout-messages.ts';
import { CliError, usageError } from '../cli-error.ts';
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

/** How long is waited at most; of several rollouts for all of them together. */
export interface Patience {
  /** As it was given: `10m`. */
  readonly text: string;
  /** By the monotonic clock. */
  readonly endsAtMs: number;
}

/** Null: for ever. Errors: `usage`, also where nothing is waited for (`waits` is the option). */
export function patienceOf(
  { terminal }: Context,
  text: string | undefined,
  waits: { readonly option: string; readonly given: boolean },
): Patience | null {
  if (text === undefined) return null;
  if (!waits.given) {
    throw usageError(`--timeout is for ${waits.option}`, `give ${waits.option} too`);
  }
  const ms = durationOf(text);
  if (ms === undefined || ms <= 0) {
    throw usageError(`--timeout ${text} is no duration`, 'for example 90s or 10m');
  }
  return { text, endsAtMs: terminal.clock.monotonicMs() + ms };
}

/**
 * The rollout that is the newest one now: another that takes its place is not what was asked for.
 * One that waits for a person is waited for, unless patience ends: then with `timeout`.
 */
export async function watchRollout(
  context: Context,
  job: string,
  patience: Patience | null,
): Promise<Watched> {
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
    const leftMs = patience === null ? POLL_MS : patience.endsAtMs - terminal.clock.monotonicMs();
    if (patience !== null && leftMs <= 0) throw timedOut(item, patience);
    const waitMs = Math.min(POLL_MS, leftMs);
    await terminal.clock.sleep(waitMs, terminal.interrupted).catch((error: unknown) => {
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

function timedOut({ job, version, phase, batch }: RolloutItem, { text }: Patience): CliError {
  const where = `version ${version} is ${phase}, batch ${batch.n} of ${batch.of}`;
  return new CliError(exitCodes.failed, `${job}: not over after ${text}: ${where}; it goes on`, {
    code: 'timeout',
    hint: `see it: runnel rollout status ${job} --agents`,
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
