/** What changed between two heartbeats, as events: transitions, never the heartbeats. Pure. */
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type { Heartbeat, JobPhase, JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { EventInput } from '../store/events.ts';

type Reported = Pick<Heartbeat, 'jobs' | 'conditions'>;

const SEVERITY: Readonly<Partial<Record<JobPhase, EventInput['severity']>>> = {
  failed: 'error',
  refused: 'error',
  backoff: 'warning',
  paused: 'info',
  running: 'ok',
};

/** `before` is undefined for the first heartbeat that was ever seen. */
export function heartbeatEvents(
  agent: string,
  at: number,
  before: Reported | undefined,
  after: Reported,
): EventInput[] {
  return [...jobEvents(agent, at, before, after), ...conditionEvents(agent, at, before, after)];
}

export function connectionEvent(
  agent: string,
  at: number,
  from: ConnectionState,
  to: ConnectionState,
): EventInput {
  const severity = to === 'online' ? 'ok' : to === 'late' ? 'warning' : 'error';
  const data = { from, to };
  return { at, agent, job: null, type: 'connection', severity, message: `is ${to}`, data };
}

function jobEvents(
  agent: string,
  at: number,
  before: Reported | undefined,
  after: Reported,
): EventInput[] {
  const old = new Map(before?.jobs.map((job) => [job.name, job]));
  const events: EventInput[] = [];
  for (const job of after.jobs) {
    const was = old.get(job.name);
    old.delete(job.name);
    if (was !== undefined && stateOf(was) === stateOf(job)) continue;
    const { phase, version, attempted } = job;
    const failing = attempted !== null && attempted.version !== version ? attempted : null;
    events.push({
      at,
      agent,
      job: job.name,
      type: 'job',
      severity: SEVERITY[failing?.phase ?? phase] ?? 'info',
      message: jobMessage(job, failing),
      data: { version, phase, attempted },
    });
  }
  for (const [name, was] of old) {
    const message = `${name} ${versionText(was.version)} is gone`;
    events.push({ at, agent, job: name, type: 'job', severity: 'info', message });
  }
  return events;
}

function stateOf({ version, phase, attempted }: JobReport): string {
  const tried = attempted === null ? [] : [attempted.version, attempted.phase, attempted.reason];
  return JSON.stringify([version, phase, ...tried]);
}

function jobMessage(job: JobReport, failing: JobReport['attempted']): string {
  const runs = `${job.name} ${versionText(job.version)} is ${job.phase}`;
  if (failing !== null) {
    return `${runs}; v${failing.version} is ${failing.phase}: ${failing.reason}`;
  }
  const reason = job.phase === job.attempted?.phase ? job.attempted.reason : '';
  return reason === '' ? runs : `${runs}: ${reason}`;
}

const versionText = (version: number | null): string => (version === null ? '' : `v${version}`);

function conditionEvents(
  agent: string,
  at: number,
  before: Reported | undefined,
  after: Reported,
): EventInput[] {
  const old = new Map(raised(before).map((condition) => [condition.type, condition]));
  const events: EventInput[] = [];
  for (const condition of raised(after)) {
    const { type, severity, reason, message, axis } = condition;
    const was = old.get(type);
    old.delete(type);
    if (was !== undefined && was.severity === severity && was.reason === reason) continue;
    const text = `${type} ${reason}: ${message}`;
    const data = { type, axis, reason };
    events.push({ at, agent, job: null, type: 'condition', severity, message: text, data });
  }
  for (const { type, axis, reason } of old.values()) {
    const data = { type, axis, reason };
    const message = `${type} is well again`;
    events.push({ at, agent, job: null, type: 'condition', severity: 'ok', message, data });
  }
  return events;
}

function raised(report: Reported | undefined): readonly Condition[] {
  return report?.conditions.filter(({ severity }) => severity !== 'ok') ?? [];
}
