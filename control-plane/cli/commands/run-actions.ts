/** `runnel cancel|rerun|clear|mark-success RUN`, `runnel pause|resume JOB`. */
import type { JobItem } from '../../http/live-messages.ts';
import { type Context, print } from '../context.ts';

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
