/**
 * What needs a person first. One rule for the fleet list, the device page and the counts: the worst
 * of connection, conditions and jobs wins, and its cause is said in words.
 */
import { isBrokenPhase } from '@runnel/shared/health/device-health.ts';
import type { AgentItem, AgentJobItem, Severity } from '../../http/live-messages.ts';

/** Worst first when sorted downwards. Revoked devices need nobody and go last. */
export const LEVELS = { error: 4, pending: 3, warning: 2, info: 1, ok: 0, revoked: -1 } as const;
export type Level = keyof typeof LEVELS;

export interface Cause {
  readonly severity: Severity;
  readonly text: string;
  /** Null where no moment is known. */
  readonly since: number | null;
  /** What of the device it is about: `connection`, `jobs`, `storage`, …. */
  readonly axis: string;
  /** It says no more than the state of the connection, which has a mark of its own. */
  readonly ofConnection?: boolean;
  /** The type of the condition that says it. */
  readonly condition?: string;
  /** A few words, without what differs from device to device. */
  readonly what?: string;
  readonly job?: string;
  /** The run that failed, to go to. */
  readonly run?: string;
}

export interface Attention {
  readonly level: Level;
  /** Worst first; empty when all is well. */
  readonly causes: readonly Cause[];
}

export const SEVERITY_RANK: Readonly<Record<Severity, number>> = {
  error: 3,
  warning: 2,
  info: 1,
  ok: 0,
};

export function attentionOf(agent: AgentItem): Attention {
  if (agent.status === 'revoked') return { level: 'revoked', causes: [] };
  if (agent.status === 'pending') {
    const text = 'Waits for approval: the same name with another key';
    const since = agent.enrolledAt;
    return {
      level: 'pending',
      causes: [{ severity: 'warning', text, since, axis: 'connection', ofConnection: true }],
    };
  }
  const causes = [
    ...connectionCauses(agent),
    ...conditionCauses(agent),
    ...jobCauses(agent),
    ...runCauses(agent),
  ].sort((a, b) => SEVERITY_RANK[b.severity] - SEVERITY_RANK[a.severity]);
  return { level: causes[0]?.severity ?? 'ok', causes };
}

function connectionCauses(agent: AgentItem): Cause[] {
  const said = agent.conditions.some(
    (condition) => condition.axis === 'connection' && condition.severity !== 'ok',
  );
  if (said) return [];
  const since = agent.lastSeenAt;
  const axis = 'connection';
  switch (agent.connection) {
    case 'online':
      return [];
    case 'late':
      return [
        { severity: 'warning', text: 'Heartbeats are late', since, axis, ofConnection: true },
      ];
    case 'offline':
      return [{ severity: 'error', text: 'No contact', since, axis, ofConnection: true }];
    case 'never':
      return [
        {
          severity: 'info',
          text: 'Enrolled, never connected',
          since: agent.enrolledAt,
          axis,
          ofConnection: true,
        },
      ];
  }
}

function conditionCauses(agent: AgentItem): Cause[] {
  return agent.conditions
    .filter((condition) => condition.severity !== 'ok')
    .map(({ type, severity, reason, message, since, axis }) => ({
      ...{ severity, since, axis, condition: type, what: type },
      text: message || reason,
      ofConnection: axis === 'connection',
    }));
}

function jobCauses(agent: AgentItem): Cause[] {
  const reported = new Set(
    agent.conditions
      .filter((condition) => condition.severity !== 'ok')
      .map((condition) => condition.type),
  );
  return agent.jobs
    .filter((job) => isBroken(job) && !reported.has(`jobs/${job.name}`))
    .map((job) => ({
      severity: job.phase === 'backoff' || job.notPlaced !== null ? 'warning' : 'error',
      axis: 'jobs',
      what: `${job.name} ${brokenWords(job)}`,
      job: job.name,
      text: `${job.name}: ${job.notPlaced ?? (job.attempted?.reason || job.phase)}`,
      since: job.attempted?.at ?? null,
    }));
}

function brokenWords({ phase, notPlaced, attempted }: AgentJobItem): string {
  if (notPlaced !== null) return 'is not placed there';
  if (!isBrokenPhase(phase)) return `cannot run version ${attempted?.version ?? ''}`;
  return phase === 'backoff' ? 'is retried' : 'does not run';
}

/** The newest run of a batch job failed: it stays so until one succeeds. */
function runCauses(agent: AgentItem): Cause[] {
  return agent.jobs.flatMap(({ name, failedRun }) =>
    failedRun === null
      ? []
      : [
          {
            severity: 'error' as const,
            text: `${name}/${failedRun.partition} failed`,
            axis: 'jobs',
            what: `a run of ${name} failed`,
            job: name,
            since: failedRun.endedAt,
            run: failedRun.run,
          },
        ],
  );
}

/** The job fails, or a newer version of it was tried and failed while an older one runs on. */
export function isBroken(job: Pick<AgentJobItem, 'phase' | 'attempted' | 'version'>): boolean {
  if (isBrokenPhase(job.phase)) return true;
  const tried = job.attempted;
  return tried !== null && tried.version !== job.version && isBrokenPhase(tried.phase);
}
