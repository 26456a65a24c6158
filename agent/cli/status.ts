/**
 * `runnel-agent status`: the running agent's own answer; with the agent down, what its files say.
 * Exit code 0: it runs and nothing is wrong; 1: it runs and has an error; 3: it does not run.
 */
import { resolve } from 'node:path';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import { liveHolder } from '../checkpoints/data-dir-lock.ts';
import { readAgentConfig } from '../config/agent-yaml.ts';
import { dataFiles } from '../config/data-files.ts';
import { readCredentials, readTrust } from '../config/identity-files.ts';
import { askStatus } from '../resources/ask-status.ts';
import { DesiredStore } from '../sync/desired.ts';
import { TrustStore } from '../sync/trust-store.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import { table } from './table.ts';
import { plain, type Terminal } from './terminal.ts';

export interface StatusOptions {
  readonly data: string;
  readonly output: 'text' | 'json';
}

type Status = Partial<Pick<Heartbeat, 'conditions' | 'jobs' | 'sources' | 'outbox'>> & {
  readonly running: boolean;
  readonly agent: string;
  readonly name: string;
  readonly controlPlane: string;
  readonly pid?: number;
  readonly startedAt?: number;
  readonly observedRevision: number;
  readonly link?: { readonly state: string; readonly server: string | null };
};

export async function statusCommand(terminal: Terminal, options: StatusOptions): Promise<ExitCode> {
  const dataDir = resolve(options.data);
  const live = await askStatus(dataDir);
  const status = (live ?? (await statusFromFiles(dataDir))) as Status;
  if (options.output === 'json') terminal.out(`${JSON.stringify(status, null, 2)}\n`);
  else terminal.out(statusText(status, terminal.clock.now()));
  if (!status.running) return exitCodes.notRunning;
  const hasError = status.conditions?.some((condition) => condition.severity === 'error') === true;
  return hasError ? exitCodes.failed : exitCodes.ok;
}

/** What can be told of an agent that does not answer. Errors: `not_enrolled`. */
async function statusFromFiles(dataDir: string): Promise<Record<string, unknown>> {
  const files = dataFiles(dataDir);
  const { identity, servers } = await readAgentConfig(files);
  const [credentials, trust] = await Promise.all([readCredentials(files), readTrust(files)]);
  const { rootFingerprint } = identity;
  const desired = new DesiredStore({
    agent: identity.agent as AgentId,
    // The document brings the list of keys that it was accepted with.
    trust: new TrustStore({ files, rootFingerprint, stored: trust && { ...trust, sequence: 0 } }),
    path: files.desired,
  });
  const document = await desired.load();
  return {
    running: false,
    // The lock tells of one that starts, or hangs, and does not answer yet.
    pid: liveHolder(dataDir)?.pid,
    ...identity,
    controlPlane: servers.controlPlane,
    approved: credentials !== null,
    enrolled: trust !== null,
    link: { state: 'down', server: null, credentialsExpireAt: credentials?.expiresAt ?? null },
    observedRevision: document?.revision ?? 0,
    observedHash: desired.hash,
    desiredJobs: (document?.jobs ?? []).map(({ name, version, paused }) => {
      return { name, version, paused };
    }),
  };
}

function statusText(status: Status, now: number): string {
  const lines = [
    ['agent', `${plain(status.name)} (${status.agent})`],
    ['state', status.running ? `running, process ${status.pid}` : downText(status)],
    ['control plane', `${status.controlPlane}${linkText(status)}`],
    ['desired state', `revision ${status.observedRevision}`],
  ];
  if (status.startedAt !== undefined) {
    lines.splice(2, 0, ['up for', durationText(now - status.startedAt)]);
  }
  if (status.outbox !== undefined) {
    lines.push(['outbox', `${status.outbox.rows} rows, ${status.outbox.bytes} bytes wait`]);
  }
  const parts = [lines.map(([name, value]) => `${`${name}`.padEnd(14)} ${value}\n`).join('')];
  const desiredJobs = (status as { desiredJobs?: { name: string; version: number }[] }).desiredJobs;
  if (status.jobs !== undefined && status.jobs.length > 0) {
    const rows = status.jobs.map((job) => [
      job.name,
      job.version === null ? '-' : `v${job.version}`,
      job.phase,
      String(job.recordsIn),
      String(job.recordsOut),
      String(job.deadLetters),
      job.attempted === null ? '' : `v${job.attempted.version}: ${job.attempted.reason}`,
    ]);
    parts.push(`\n${table(['JOB', 'VERSION', 'PHASE', 'IN', 'OUT', 'DEAD', 'ATTEMPTED'], rows)}`);
    const waiting = status.jobs.flatMap(({ name, batch }) =>
      batch?.waits === undefined ? [] : [[name, batch.waits]],
    );
    if (waiting.length > 0) parts.push(`\n${table(['JOB', 'WAITS'], waiting)}`);
  } else if (desiredJobs !== undefined && desiredJobs.length > 0) {
    const rows = desiredJobs.map((job) => [job.name, `v${job.version}`]);
    parts.push(`\n${table(['JOB', 'VERSION'], rows)}`);
  }
  if (status.conditions !== undefined && status.conditions.length > 0) {
    parts.push(`\n${conditionTable(status.conditions)}`);
  }
  return parts.join('');
}

function conditionTable(conditions: readonly Condition[]): string {
  const rows = conditions.map((each) => [each.type, each.severity, each.reason, each.message]);
  return table(['CONDITION', 'SEVERITY', 'REASON', 'MESSAGE'], rows);
}

function downText(status: Status): string {
  return status.pid === undefined
    ? 'not running'
    : `not answering: process ${status.pid} holds the directory`;
}

function linkText({ link, running }: Status): string {
  if (!running || link === undefined) return '';
  return link.server === null ? ', not connected' : `, connected to ${link.server}`;
}

function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
