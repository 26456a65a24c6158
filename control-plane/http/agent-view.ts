/**
 * One agent as the API shows it. Desired and reported are kept apart: `desiredVersion` is what it
 * is to run, `version` what it says it runs, `attempted` what it last tried. Pure.
 */
import { type BehindFacts, deviceHealth } from '@runnel/shared/health/device-health.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type { Heartbeat, JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { BatchReport } from '@runnel/shared/protocol/runs.ts';
import type { BlockedJob } from '../rollouts/placement.ts';
import type { AgentRecord } from '../store/agents.ts';
import type {
  AgentDetail,
  AgentItem,
  AgentJobDetail,
  AgentJobItem,
  ConnectionState,
  FailedRunItem,
  HostPoint,
} from './live-messages.ts';

/** What is known of an agent from its heartbeats. */
export interface AgentReport {
  readonly connection: ConnectionState;
  readonly connectionSince: number | null;
  readonly lastSeenAt: number | null;
  readonly heartbeat: Heartbeat | undefined;
  /** Reported ones and those that the control plane found itself (`cloned`, …). */
  readonly conditions: readonly Condition[];
}

export interface AgentDesired {
  readonly revision: number;
  readonly issuedAt: number;
  readonly versions: ReadonlyMap<string, number>;
  /** Jobs that it was to have and cannot run. */
  readonly blocked: ReadonlyMap<string, BlockedJob>;
}

export function agentItem(
  record: AgentRecord,
  report: AgentReport,
  desired: AgentDesired,
): AgentItem {
  const jobs = jobNames(report.heartbeat, desired).map(([name, reported]) =>
    jobFields(name, reported, desired),
  );
  return { ...fields(record, report, desired, jobs), jobs };
}

export function agentDetail(
  record: AgentRecord,
  report: AgentReport,
  desired: AgentDesired,
  host: HostPoint | null,
): AgentDetail {
  const { heartbeat } = report;
  const jobs = jobNames(heartbeat, desired).map(([name, reported]) =>
    jobDetail(name, reported, desired),
  );
  return {
    ...fields(record, report, desired, jobs),
    jobs,
    sources: heartbeat?.sources.map((source) => ({ ...source, label: source.label ?? null })) ?? [],
    counters: heartbeat?.counters ?? {},
    capabilities: heartbeat?.capabilities ?? [],
    startedAt: heartbeat?.startedAt ?? null,
    fixedLabels: record.fixedLabels,
    credentialsExpireAt: record.credentialsExpireAt,
    revokedAt: record.revokedAt,
    host,
  };
}

/** `pending` until an agent speaks of a job that it is to run; `refused` where it cannot be. */
export function jobPhaseOf(
  reported: JobReport | undefined,
  blocked: BlockedJob | undefined,
): string {
  if (blocked !== undefined && blocked.verdict !== 'unknown') return 'refused';
  return reported?.phase ?? 'pending';
}

export function notPlacedText(blocked: BlockedJob | undefined): string | null {
  return blocked === undefined ? null : blocked.reasons.join('; ');
}

function fields(
  record: AgentRecord,
  report: AgentReport,
  desired: AgentDesired,
  jobs: readonly AgentJobItem[],
): Omit<AgentItem, 'jobs'> {
  const { heartbeat } = report;
  const { status, enrolledAt } = record;
  return {
    id: record.id,
    name: record.name,
    labels: record.labels,
    status,
    connection: report.connection,
    version: heartbeat?.agentVersion ?? record.agentVersion,
    platform: heartbeat?.platform ?? record.platform,
    enrolledAt,
    lastSeenAt: report.lastSeenAt ?? record.lastSeenAt,
    health: deviceHealth({
      ...{ ...report, status, enrolledAt, jobs },
      behind: behindOf(report, desired),
    }),
    conditions: report.conditions,
    outbox: heartbeat?.outbox ?? null,
    desiredRevision: desired.revision,
    observedRevision: heartbeat?.observedRevision ?? null,
  };
}

/**
 * It was heard for long enough after the newest desired state was issued, and after it came back,
 * and still reports an older one.
 */
export function behindOf(
  { heartbeat, connectionSince, lastSeenAt }: AgentReport,
  { revision, issuedAt }: Pick<AgentDesired, 'revision' | 'issuedAt'>,
): BehindFacts | null {
  if (heartbeat === undefined || lastSeenAt === null) return null;
  if (heartbeat.observedRevision >= revision) return null;
  const since = Math.max(issuedAt, connectionSince ?? 0);
  const patienceMs = Math.max(limits.desiredTakenMsMax, BEATS_PATIENCE * heartbeat.intervalMs);
  return lastSeenAt - since < patienceMs ? null : { revision, since };
}

const BEATS_PATIENCE = 3;

/** Jobs that are desired, were to be or are reported, by name. */
function jobNames(
  heartbeat: Heartbeat | undefined,
  desired: AgentDesired,
): [string, JobReport | undefined][] {
  const reported = new Map(heartbeat?.jobs.map((job) => [job.name, job]));
  const { versions, blocked } = desired;
  const names = new Set([...versions.keys(), ...blocked.keys(), ...reported.keys()]);
  return [...names].toSorted().map((name) => [name, reported.get(name)]);
}

function jobFields(
  name: string,
  reported: JobReport | undefined,
  desired: AgentDesired,
): AgentJobItem {
  const blocked = desired.blocked.get(name);
  return {
    name,
    version: reported?.version ?? null,
    phase: jobPhaseOf(reported, blocked),
    desiredVersion: desired.versions.get(name) ?? null,
    attempted: reported?.attempted ?? null,
    notPlaced: notPlacedText(blocked),
    failedRun: failedRunOf(reported?.batch?.lastRun),
  };
}

function failedRunOf(last: BatchReport['lastRun'] | undefined): FailedRunItem | null {
  if (last?.state !== 'failed') return null;
  const { run, partition, endedAt } = last;
  return { run, partition, endedAt };
}

function jobDetail(
  name: string,
  reported: JobReport | undefined,
  desired: AgentDesired,
): AgentJobDetail {
  return {
    ...jobFields(name, reported, desired),
    watermark: reported?.watermark ?? null,
    lagRecords: reported?.lagRecords ?? 0,
    recordsIn: reported?.recordsIn ?? 0,
    recordsOut: reported?.recordsOut ?? 0,
    late: reported?.late ?? 0,
    deadLetters: reported?.deadLetters ?? 0,
    deadLettersBy: reported?.deadLettersBy ?? {},
    dropped: reported?.dropped ?? {},
    stateKeys: reported?.stateKeys ?? 0,
    batch: reported?.batch ?? null,
  };
}
