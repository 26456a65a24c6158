/** `runnel get agents|jobs|versions|datasets`. */
import type { AgentItem, JobItem } from '../../http/live-messages.ts';
import { type Context, print } from '../context.ts';
import { isHeard } from '../heard.ts';
import { ago, labelText, table } from '../table.ts';
import { paint } from '../terminal.ts';

const NO_JOBS = 'no jobs yet; apply one with: runnel apply -f job.yaml\n';

interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string | null;
}

/** Every page, for lists that are told in full. */
async function all<T>(
  context: Context,
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<T[]> {
  const items: T[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await context.api.request<Page<T>>(path, { query: { ...query, after } });
    items.push(...page.items);
    if (typeof page.next !== 'string' || page.items.length === 0) return items;
    after = page.next;
  }
}

export async function getAgents(
  context: Context,
  options: { readonly selector?: string },
): Promise<void> {
  const items = await all<AgentItem>(context, '/agents', { selector: options.selector });
  const now = context.terminal.clock.now();
  print(context, { items }, () =>
    items.length === 0
      ? 'no agents yet; make a join token with: runnel token create --role agent\n'
      : table(
          ['NAME', 'CONNECTION', 'SEEN', 'VERSION', 'JOBS', 'HEALTH', 'LABELS'],
          items.map((agent) => [
            agent.name,
            agent.status === 'approved' ? agent.connection : agent.status,
            ago(agent.lastSeenAt, now),
            agent.version,
            jobsText(agent),
            healthText(agent),
            labelText(agent.labels),
          ]),
          context.terminal.columns,
        ),
  );
}

/** What a device said before it fell silent or was shut out is told as past. */
function jobsText(agent: AgentItem): string {
  const running = agent.jobs.filter((job) => job.phase === 'running').length;
  const text = `${running}/${agent.jobs.length} running`;
  return isHeard(agent) || agent.lastSeenAt === null ? text : `was ${text}`;
}

function healthText(agent: AgentItem): string {
  if (agent.status === 'revoked') return 'revoked';
  const worst = agent.conditions.filter(({ severity }) => severity !== 'ok' && severity !== 'info');
  if (worst.length > 0) return worst.map(({ type, reason }) => `${type}:${reason}`).join(',');
  return isHeard(agent) ? 'ok' : 'unknown';
}

export async function getJobs(context: Context): Promise<void> {
  const items = await all<JobItem>(context, '/jobs');
  const now = context.terminal.clock.now();
  print(context, { items }, () =>
    items.length === 0
      ? NO_JOBS
      : table(
          ['NAME', 'KIND', 'VERSION', 'DESIRED', 'RUNNING', 'FAILED', 'UPDATED', 'LABELS'],
          items.map((job) => [
            job.name,
            job.kind,
            `${job.version}`,
            `${job.agents.desired}`,
            `${job.agents.running}`,
            `${job.agents.failed}`,
            ago(job.updatedAt, now),
            labelText(job.labels),
          ]),
          context.terminal.columns,
        ),
  );
}

interface VersionItem {
  readonly job: string;
  readonly version: number;
  readonly hash: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly current?: boolean;
}

/** Of one job, a deleted one too, or of every job that is to run. */
export async function getVersions(context: Context, job?: string): Promise<void> {
  const items: VersionItem[] = [];
  const jobs = job === undefined ? await all<JobItem>(context, '/jobs') : [{ name: job }];
  for (const { name } of jobs) {
    items.push(...(await all<VersionItem>(context, `/jobs/${encodeURIComponent(name)}/versions`)));
  }
  const now = context.terminal.clock.now();
  print(context, { items }, () =>
    items.length === 0
      ? NO_JOBS
      : table(
          ['JOB', 'VERSION', 'CURRENT', 'HASH', 'CREATED', 'BY'],
          items.map((version) => [
            version.job,
            `${version.version}`,
            version.current === true ? paint(context.terminal, 'green', 'yes') : '',
            version.hash.slice(0, 12),
            ago(version.createdAt, now),
            version.createdBy,
          ]),
          undefined,
        ),
  );
}

interface DatasetItem {
  readonly dataset: string;
  readonly job: string;
  readonly rows: number;
  readonly lastAt: number;
}

export async function getDatasets(context: Context): Promise<void> {
  const items = await all<DatasetItem>(context, '/datasets');
  const now = context.terminal.clock.now();
  print(context, { items }, () =>
    items.length === 0
      ? 'no results yet\n'
      : table(
          ['DATASET', 'JOB', 'ROWS', 'LAST'],
          items.map(({ dataset, job, rows, lastAt }) => [
            dataset,
            job,
            `${rows}`,
            ago(lastAt, now),
          ]),
          context.terminal.columns,
        ),
  );
}
