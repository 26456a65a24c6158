/** `runnel runs JOB` and `runnel describe run RUN`. */
import type { RunDetail, RunItem, TaskInstanceItem } from '../../http/run-messages.ts';
import { type Context, print } from '../context.ts';
import { runStateText, shortRun, tookText } from '../run-text.ts';
import { ago, instant, properties, table } from '../table.ts';
import type { OfAgent } from './run-actions.ts';

export interface RunsOptions {
  readonly agent?: string;
  readonly state?: string;
  readonly limit: number;
}

const PAGE_MAX = 1000;

interface Page {
  readonly items: readonly RunItem[];
  readonly next: string | null;
}

export async function listRuns(context: Context, job: string, options: RunsOptions): Promise<void> {
  const items: RunItem[] = [];
  let cursor: string | undefined;
  do {
    const limit = String(Math.min(options.limit - items.length, PAGE_MAX));
    const query = { job, agent: options.agent, state: options.state, limit, cursor };
    const page = await context.api.request<Page>('/runs', { query });
    items.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && items.length < options.limit);
  // A job that has no runs yet is no mistake; a wrong name is one.
  if (items.length === 0) {
    await context.api.request(`/jobs/${encodeURIComponent(job)}`);
    const { agent } = options;
    if (agent !== undefined) await context.api.request(`/agents/${encodeURIComponent(agent)}`);
  }
  print(context, { items }, () => runsText(context, items));
}

function runsText({ terminal }: Context, items: readonly RunItem[]): string {
  if (items.length === 0) return 'no runs\n';
  const now = terminal.clock.now();
  return table(
    // What is cut in a narrow terminal is what matters least there.
    ['RUN', 'STATE', 'PARTITION', 'AGENT', 'STARTED', 'TOOK', 'TRIES', 'TRIGGER', 'ERROR'],
    items.map((run) => [
      shortRun(run.run),
      runStateText(terminal, run),
      run.partition,
      run.agentName,
      run.startedAt === null ? '-' : ago(run.startedAt, now),
      tookText(run, now),
      `${run.tries}`,
      run.trigger,
      run.error?.message ?? '-',
    ]),
    terminal.columns,
  );
}

export async function describeRun(
  context: Context,
  run: string,
  { agent }: OfAgent,
): Promise<void> {
  const path = `/runs/${encodeURIComponent(run)}`;
  const detail = await context.api.request<RunDetail>(path, { query: { agent } });
  print(context, detail, () => runText(context, detail));
}

function runText({ terminal }: Context, run: RunDetail): string {
  const now = terminal.clock.now();
  const { error, affected } = run;
  const affects = [...affected.tasks.map((task) => `task ${task}`), ...affected.jobs];
  const parts = [
    properties([
      ['Run', run.run],
      ['Job', `${run.job}, version ${run.version}`],
      ['Agent', `${run.agentName} (${run.agent})`],
      ['Partition', partitionText(run)],
      ['State', runStateText(terminal, run)],
      ['Trigger', `${run.trigger}, for ${instant(run.at)}`],
      ['Queued', instant(run.queuedAt)],
      ['Started', instant(run.startedAt)],
      ['Ended', `${instant(run.endedAt)}, took ${tookText(run, now)}`],
      ['Tries', `${run.tries}`],
      ...(error === null
        ? []
        : ([['Error', `${error.message} (${error.code}, ${error.class})`]] as const)),
      ...(affects.length === 0 ? [] : ([['Affected', affects.join(', ')]] as const)),
    ]),
    section(['TASK', 'KIND', 'STATE', 'ATTEMPT', 'STARTED', 'TOOK', 'ERROR'], taskRows(run, now)),
    section(
      ['PARAMETER', 'VALUE', 'FROM'],
      Object.entries(run.parameters).map(([name, value]) => [
        name,
        JSON.stringify(value),
        run.origins[name] ?? '-',
      ]),
    ),
    run.truncated ? 'There are more instances of tasks than are shown.\n' : '',
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function partitionText({ partition, partitionStart, partitionEnd }: RunDetail): string {
  if (partitionStart === partitionEnd) return partition;
  return `${partition} (from ${instant(partitionStart)} until ${instant(partitionEnd)})`;
}

function taskRows(run: RunDetail, nowMs: number): string[][] {
  const rows: string[][] = [];
  for (const { id, kind, state } of run.tasks) {
    const own = run.instances.filter(({ task }) => task === id);
    if (own.length === 0) rows.push([id, kind, state ?? '-', '-', '-', '-', '-']);
    rows.push(...own.map((instance) => instanceRow(id, kind, instance, nowMs)));
  }
  return rows;
}

function instanceRow(
  id: string,
  kind: string,
  instance: TaskInstanceItem,
  nowMs: number,
): string[] {
  const { index, state, attempt, startedAt, nextAttemptAt, error } = instance;
  const again = nextAttemptAt === null ? '' : `again ${ago(nextAttemptAt, nowMs)}: `;
  return [
    index === null ? id : `${id}[${index}]`,
    kind,
    state,
    attempt === 0 ? '-' : `${attempt}`,
    instant(startedAt),
    tookText(instance, nowMs),
    error === null ? '-' : `${again}${error.message}`,
  ];
}

function section(headings: readonly string[], rows: readonly string[][]): string {
  return rows.length === 0 ? '' : table(headings, rows);
}
