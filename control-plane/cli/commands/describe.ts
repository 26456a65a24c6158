/** `runnel describe agent|job NAME`: everything about one, for a person who looks for a cause. */
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import { splitDeadLetterKey } from '@runnel/shared/protocol/dead-letter-key.ts';
import { HEALTH_AXES } from '@runnel/shared/health/device-health.ts';
import type { AgentDetail, JobDetail } from '../../http/live-messages.ts';
import { type Context, print } from '../context.ts';
import { isHeard } from '../heard.ts';
import { ago, instant, labelText, oneLine, properties, table } from '../table.ts';

export async function describeAgent(context: Context, name: string): Promise<void> {
  const agent = await context.api.request<AgentDetail>(`/agents/${encodeURIComponent(name)}`);
  print(context, agent, () => agentText(agent, context.terminal.clock.now()));
}

function agentText(agent: AgentDetail, nowMs: number): string {
  const { outbox, platform } = agent;
  const old = isHeard(agent) || agent.lastSeenAt === null ? '' : ' (as last reported)';
  const parts = [
    properties([
      ['Name', agent.name],
      ['Id', agent.id],
      ['Status', agent.status],
      ['Connection', `${agent.connection}, seen ${ago(agent.lastSeenAt, nowMs)}`],
      ['Version', agent.version],
      ['Platform', `${platform.os} ${platform.arch}, Node ${platform.node}`],
      ['Labels', labelText(agent.labels)],
      ['Enrolled', instant(agent.enrolledAt)],
      ['Credentials', `expire ${ago(agent.credentialsExpireAt, nowMs)}`],
      [
        'Desired state',
        `revision ${agent.desiredRevision}, applied ${agent.observedRevision ?? '-'}`,
      ],
      [
        'Outbox',
        outbox === null ? '-' : `${outbox.rows} rows, ${outbox.bytes} bytes, ${outbox.lost} lost`,
      ],
    ]),
    section('Health', ['AXIS', 'STATE', 'SINCE', 'CAUSE'], healthRows(agent, nowMs)),
    section(
      `Conditions${old}`,
      ['TYPE', 'SEVERITY', 'REASON', 'SINCE', 'MESSAGE'],
      agent.conditions.map((each) => [
        each.type,
        each.severity,
        each.reason,
        ago(each.since, nowMs),
        each.message,
      ]),
    ),
    section(
      `Jobs${old}`,
      ['NAME', 'VERSION', 'PHASE', 'IN', 'OUT', 'LATE', 'DEAD', 'LAG', 'LAST TRIED'],
      agent.jobs.map((job) => [
        job.name,
        versionText(job.version),
        job.phase,
        `${job.recordsIn}`,
        `${job.recordsOut}`,
        `${job.late}`,
        `${job.deadLetters}`,
        `${job.lagRecords}`,
        attemptText(job.attempted, job.version),
      ]),
    ),
    section(`Queued runs${old}`, ['JOB', 'WAITS'], waitingRows(agent.jobs)),
    section(`Dead letters${old}`, ['JOB', 'STEP', 'REASON', 'COUNT'], deadLetterRows(agent)),
    section(
      `Sources${old}`,
      ['KIND', 'READS', 'CONNECTED', 'RECORDS', 'DROPPED', 'ERROR', 'ID'],
      agent.sources.map((source) => [
        source.kind,
        source.label ?? '-',
        source.connected ? 'yes' : 'no',
        `${source.records}`,
        countersText(source.dropped),
        source.error ?? '-',
        source.id,
      ]),
    ),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function healthRows({ health }: AgentDetail, nowMs: number): string[][] {
  return HEALTH_AXES.map((axis) => {
    const { state, since, cause } = health.axes[axis];
    return [axis, state, since === null ? '-' : ago(since, nowMs), cause || '-'];
  });
}

function waitingRows(jobs: AgentDetail['jobs']): string[][] {
  return jobs.flatMap(({ name, batch }) =>
    batch?.waits === undefined ? [] : [[name, batch.waits]],
  );
}

function deadLetterRows({ jobs }: AgentDetail): string[][] {
  return jobs.flatMap((job) =>
    Object.entries(job.deadLettersBy).map(([key, count]) => {
      const { step, reason } = splitDeadLetterKey(key);
      return [job.name, step === '' ? '-' : step, reason, `${count}`];
    }),
  );
}

function versionText(version: number | null): string {
  return version === null ? '-' : `${version}`;
}

function attemptText(
  attempted: { readonly version: number; readonly phase: string; readonly reason: string } | null,
  running: number | null,
): string {
  if (attempted === null || attempted.version === running) return '-';
  return `version ${attempted.version} ${attempted.phase}: ${attempted.reason}`;
}

function countersText(counters: Readonly<Record<string, number>>): string {
  const text = Object.entries(counters)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ');
  return text === '' ? '-' : text;
}

function section(title: string, headings: readonly string[], rows: readonly string[][]): string {
  return rows.length === 0 ? '' : `${title}\n${indented(table(headings, rows))}`;
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}

export async function describeJob(context: Context, name: string): Promise<void> {
  const job = await context.api.request<JobDetail>(`/jobs/${encodeURIComponent(name)}`);
  print(context, job, () => jobText(job, context.terminal.clock.now()));
}

function jobText(job: JobDetail, nowMs: number): string {
  const { counts } = job;
  const age = durationText(Math.max(0, Math.floor((nowMs - job.updatedAt) / 1000) * 1000));
  const parts = [
    properties([
      ['Name', job.name],
      ['Kind', job.paused ? `${job.kind} (paused)` : job.kind],
      ['Version', `${job.version} (${job.hash.slice(0, 12)})`],
      ['Labels', labelText(job.labels)],
      ['Selector', job.selector ?? 'every agent'],
      ['Updated', `${instant(job.updatedAt)}, ${age} ago`],
      ['Agents', agentsText(counts)],
      ['Datasets', job.datasets.join(', ') || '-'],
    ]),
    section(
      'Agents',
      ['NAME', 'CONNECTION', 'VERSION', 'PHASE', 'LAST TRIED'],
      job.agents.map((agent) => [
        agent.name,
        agent.connection,
        versionText(agent.version),
        agent.phase,
        attemptText(agent.attempted, agent.version),
      ]),
    ),
    section('Runs', RUN_HEADINGS, runRows(job, nowMs)),
    section(
      'Not placed',
      ['NAME', 'REASON'],
      job.agents.flatMap(({ name, notPlaced }) => (notPlaced === null ? [] : [[name, notPlaced]])),
    ),
    `Document\n${indented(safeLines(job.source))}`,
  ];
  return parts.filter((part) => part !== '').join('\n');
}

const RUN_HEADINGS = ['NAME', 'NEXT', 'ACTIVE', 'QUEUED', 'LAST RUN', 'LAST SUCCESS', 'SKIPPED'];

/** Of a batch job, as its agents last said. */
function runRows(job: JobDetail, nowMs: number): string[][] {
  return job.agents.flatMap(({ name, batch }) => {
    if (batch === null) return [];
    const { lastRun } = batch;
    return [
      [
        name,
        batch.nextAt === null ? '-' : `${instant(batch.nextAt)} (${ago(batch.nextAt, nowMs)})`,
        `${batch.activeRuns}`,
        `${batch.queuedRuns}`,
        lastRun === null
          ? '-'
          : `${lastRun.partition} ${lastRun.state} ${ago(lastRun.endedAt, nowMs)}`,
        ago(batch.lastSuccessAt, nowMs),
        countersText(batch.skipped),
      ],
    ];
  });
}

function agentsText(counts: JobDetail['counts']): string {
  const { desired, running, failed, unknown } = counts;
  return `${desired} desired, ${running} running, ${failed} failed, ${unknown} unknown`;
}

function safeLines(source: string): string {
  return source
    .trimEnd()
    .split('\n')
    .map((line) => `${oneLine(line)}\n`)
    .join('');
}
