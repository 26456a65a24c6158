/** `runnel cancel|rerun|clear|mark-success RUN`, `runnel pause|resume JOB`. */
import type { JobItem } from '../../http/live-messages.ts';
import { usageError } from '../cli-error.ts';
import { type Context, print } from '../context.ts';
import { type Skipped, skippedText } from '../run-text.ts';

export type RunAction = 'cancel' | 'rerun' | 'clear' | 'mark-success';

interface ActionReply {
  readonly agent: string;
  readonly runs: readonly { run: string; partition: string; state: string }[];
}

/** Whose run, when several agents report one of this id. */
export interface OfAgent {
  readonly agent?: string;
}

/** The device's own reason comes as an error. */
export async function actOnRun(
  context: Context,
  run: string,
  action: RunAction,
  { agent }: OfAgent,
  body: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const path = `/runs/${encodeURIComponent(run)}/${action}`;
  const reply = await context.api.request<ActionReply>(path, {
    method: 'POST',
    query: { agent },
    body,
  });
  print(context, reply, () =>
    reply.runs.length === 0
      ? `${run}: done\n`
      : reply.runs
          .map((each) => `${each.run}: run of ${each.partition} is ${each.state}\n`)
          .join(''),
  );
}

interface BackfillReply extends ActionReply {
  readonly skipped: Skipped | null;
}

/** Its open runs are cancelled, and no more follow. */
export async function cancelBackfill(
  context: Context,
  backfill: string,
  { agent }: OfAgent,
): Promise<void> {
  if (agent === undefined) throw usageError('say whose backfill it is: --agent NAME');
  const path = `/backfills/${encodeURIComponent(backfill)}/cancel`;
  const query = { agent };
  const reply = await context.api.request<BackfillReply>(path, { method: 'POST', query });
  print(context, reply, () => {
    const runs = reply.runs.map(({ run, partition, state }) => {
      return `${run}: run of ${partition} is ${state}\n`;
    });
    const stopped = `${backfill}: stopped, no more runs follow\n`;
    return `${stopped}${skippedText(reply.skipped)}${runs.join('')}`;
  });
}

export async function pauseJob(
  context: Context,
  name: string,
  step: 'pause' | 'resume',
): Promise<void> {
  const path = `/jobs/${encodeURIComponent(name)}/${step}`;
  const job = await context.api.request<JobItem>(path, { method: 'POST' });
  const text = job.paused ? 'paused; runs under way go on to their end' : 'goes on';
  print(context, job, () => `${name}: ${text}\n`);
}
