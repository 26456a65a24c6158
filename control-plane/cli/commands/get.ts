/** `runnel get agents|jobs|versions|datasets|alerts`. */
import type { AgentItem, JobItem, ResultItem } from '../../http/live-messages.ts';
import { AgentNames } from '../agent-names.ts';
import { allPages } from '../all-pages.ts';
import { type Context, print } from '../context.ts';
import { isHeard } from '../heard.ts';
import { ago, instant, keyText, labelText, table } from '../table.ts';
import { paint } from '../terminal.ts';

const NO_JOBS = 'no jobs yet; apply one with: runnel apply -f job.yaml\n';

export async function getAgents(
  context: Context,
  options: { readonly selector?: string },
): Promise<void> {
  const items = await allPages<AgentItem>(context, '/agents', { selector: options.selector });
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

/** The worst axis: `error:storage`. */
function healthText({ health, status }: AgentItem): string {
  if (status === 'revoked') return 'revoked';
  return health.axis === null ? health.state : `${health.state}:${health.axis}`;
}

export async function getJobs(context: Context): Promise<void> {
  const items = await allPages<JobItem>(context, '/jobs');
  const now = context.terminal.clock.now();
  print(context, { items }, () =>
    items.length === 0
      ? NO_JOBS
      : table(
          ['NAME', 'KIND', 'VERSION', 'DESIRED', 'RUNNING', 'FAILED', 'UPDATED', 'LABELS'],
          items.map((job) => [
            job.name,
            job.paused ? `${job.kind} (paused)` : job.kind,
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
  const jobs = job === undefined ? await allPages<JobItem>(context, '/jobs') : [{ name: job }];
  for (const { name } of jobs) {
    items.push(
      ...(await allPages<VersionItem>(context, `/jobs/${encodeURIComponent(name)}/versions`)),
    );
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
  const items = await allPages<DatasetItem>(context, '/datasets');
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

const ALERTS_MAX = 100;

/** The newest alerts, newest first. */
export async function getAlerts(context: Context): Promise<void> {
  const query = { newest: 'true', limit: String(ALERTS_MAX) };
  const page = await context.api.request<{ items: readonly ResultItem[] }>('/alert-rows', {
    query,
  });
  const items = page.items.toSorted((a, b) => b.time - a.time);
  const names = new AgentNames(context);
  if (context.output === 'table') await names.learn(items.map(({ agent }) => agent));
  print(context, { items }, () =>
    items.length === 0
      ? 'no alerts\n'
      : table(
          ['TIME', 'JOB', 'AGENT', 'KEY', 'STATUS', 'SEVERITY'],
          items.map(({ time, job, agent, key, value }) => [
            instant(time),
            job,
            names.of(agent),
            keyText(key),
            fieldText(value, 'status'),
            fieldText(value, 'severity'),
          ]),
          context.terminal.columns,
        ),
  );
}

function fieldText(value: unknown, name: string): string {
  if (typeof value !== 'object' || value === null) return '-';
  const field: unknown = Reflect.get(value, name);
  return typeof field === 'string' ? field : '-';
}
