/** `runnel rollout`: how a version reaches its devices, and a person's say in it. */
import type { RolloutAgentItem, RolloutItem } from '../../http/rollout-messages.ts';
import { type Context, print } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { oneLine, properties, table } from '../table.ts';
import { patienceOf, rolloutPath as path, watchRollout } from './rollout-watch.ts';

export interface StatusOptions {
  readonly agents: boolean;
  readonly watch: boolean;
  readonly timeout?: string;
}

export async function rolloutStatus(
  context: Context,
  job: string,
  options: StatusOptions,
): Promise<ExitCode> {
  const waits = { option: '--watch', given: options.watch };
  const patience = patienceOf(context, options.timeout, waits);
  const { item, code } = options.watch
    ? await watchRollout(context, job, patience)
    : { item: await context.api.request<RolloutItem>(path(job)), code: exitCodes.ok };
  if (!options.agents) {
    print(context, item, () => statusText(item));
    return code;
  }
  const { items } = await context.api.request<{ items: RolloutAgentItem[] }>(`${path(job)}/agents`);
  print(context, { ...item, agents: items }, () => `${statusText(item)}\n${agentsText(items)}`);
  return code;
}

export async function changeRollout(context: Context, job: string, action: string): Promise<void> {
  const item = await context.api.request<RolloutItem>(`${path(job)}/${action}`, { method: 'POST' });
  print(context, item, () => statusText(item));
}

export async function rolloutHistory(context: Context, job: string): Promise<void> {
  const { items } = await context.api.request<{ items: RolloutItem[] }>(`${path(job)}s`);
  print(context, { items }, () =>
    table(
      ['VERSION', 'PHASE', 'FROM', 'BY', 'REASON'],
      items.map((item) => [
        String(item.version),
        item.phase,
        item.from === null ? '' : String(item.from),
        item.by,
        oneLine(item.reason),
      ]),
    ),
  );
}

function statusText({ job, version, phase, batch, counts, reason, stuck }: RolloutItem): string {
  const { updated, pending, unknown, failed } = counts;
  return properties([
    ['job', job],
    ['version', String(version)],
    ['phase', stuck ? `${phase} (needs a person)` : phase],
    ['batch', `${batch.n} of ${batch.of}`],
    ['devices', `${updated} updated, ${pending} pending, ${unknown} unknown, ${failed} failed`],
    ['reason', oneLine(reason)],
  ]);
}

function agentsText(items: readonly RolloutAgentItem[]): string {
  return table(
    ['AGENT', 'BATCH', 'STATE', 'RUNS', 'REASON'],
    items.map((item) => [
      item.name,
      item.batch === null ? '' : String(item.batch),
      item.state,
      item.version === null ? '' : String(item.version),
      oneLine(item.reason),
    ]),
  );
}
