/**
 * The health of a device axis by axis, each with since when and why, and the worst of them as a
 * whole: one word for all of it would hide that a device with a full disk is connected and works.
 * Pure; the API, the command line and the page all show what this says.
 *
 * Guarantees: every axis has a state, whatever is known; of a device that is not heard no axis but
 * its connection is judged, they are `unknown` since it went away, with the last that was said; a
 * rollout that has not arrived is not a failure of the jobs that run.
 */
import type { Condition } from '../protocol/condition.ts';
import type { JobPhase } from '../protocol/heartbeat.ts';

export const HEALTH_AXES = ['connection', 'resources', 'jobs', 'storage', 'rollout'] as const;
export type HealthAxis = (typeof HEALTH_AXES)[number];

/** Best first. `unknown` is worse than a note: nobody can say that it is well. */
export const HEALTH_STATES = ['ok', 'info', 'unknown', 'warning', 'error'] as const;
export type HealthState = (typeof HEALTH_STATES)[number];

export interface AxisHealth {
  readonly state: HealthState;
  /** Epoch ms; null where no moment is known. */
  readonly since: number | null;
  /** One sentence; empty where all is well. */
  readonly cause: string;
}

export interface DeviceHealth extends AxisHealth {
  /** The axis that says it; null when every one is well. */
  readonly axis: HealthAxis | null;
  readonly axes: Readonly<Record<HealthAxis, AxisHealth>>;
}

export type ConnectionState = 'online' | 'late' | 'offline' | 'never';

export interface JobFacts {
  readonly name: string;
  readonly version: number | null;
  readonly phase: string;
  readonly attempted: {
    readonly version: number;
    readonly phase: string;
    readonly reason: string;
    readonly at: number;
  } | null;
  /** Why it is not placed there although it was to be. */
  readonly notPlaced: string | null;
  /** The newest run that ended, when it failed. */
  readonly failedRun: { readonly partition: string; readonly endedAt: number } | null;
}

/** A desired state that the device, which was heard, has not taken for too long. */
export interface BehindFacts {
  readonly revision: number;
  /** Since when it could have. */
  readonly since: number;
}

export interface HealthFacts {
  readonly status: 'approved' | 'pending' | 'revoked';
  readonly connection: ConnectionState;
  /** When that verdict began; null when nothing was ever known. */
  readonly connectionSince: number | null;
  readonly enrolledAt: number;
  readonly conditions: readonly Condition[];
  readonly jobs: readonly JobFacts[];
  /** Null: it has taken what it is to run, or has had no time to. */
  readonly behind: BehindFacts | null;
}

/** Where what a device reports belongs. */
const AXIS_OF: Readonly<Record<Condition['axis'], HealthAxis>> = {
  connection: 'connection',
  security: 'connection',
  resources: 'resources',
  jobs: 'jobs',
  sources: 'jobs',
  storage: 'storage',
  rollout: 'rollout',
};

const JOB_STATE: Readonly<Record<JobPhase, HealthState>> = {
  pending: 'ok',
  starting: 'ok',
  running: 'ok',
  catchingUp: 'ok',
  paused: 'ok',
  stopped: 'ok',
  backoff: 'warning',
  refused: 'error',
  failed: 'error',
};

interface Sight {
  /** What the connection itself amounts to. */
  readonly connection: Omit<AxisHealth, 'since'>;
  /** Null: what the device says is believed; else why it is not. */
  readonly unheard: string | null;
}

const BY_CONNECTION: Readonly<Record<ConnectionState, Sight>> = {
  online: { connection: { state: 'ok', cause: '' }, unheard: null },
  late: { connection: { state: 'warning', cause: 'Heartbeats are late' }, unheard: null },
  offline: {
    connection: { state: 'error', cause: 'No contact' },
    unheard: 'Not heard since it went away',
  },
  never: {
    connection: { state: 'unknown', cause: 'Enrolled, never connected' },
    unheard: 'It never connected',
  },
};

const BY_STATUS: Readonly<Record<Exclude<HealthFacts['status'], 'approved'>, Sight>> = {
  pending: {
    connection: {
      state: 'warning',
      cause: 'Waits for approval: the same name with another key',
    },
    unheard: 'It waits for approval',
  },
  revoked: {
    connection: { state: 'unknown', cause: 'Revoked' },
    unheard: 'It was revoked',
  },
};

const WELL: AxisHealth = { state: 'ok', since: null, cause: '' };

/** The phase says that the job does not do its work although it should. */
export function isBrokenPhase(phase: string): boolean {
  const state = (JOB_STATE as Readonly<Record<string, HealthState>>)[phase];
  return state === 'error' || state === 'warning';
}

export function deviceHealth(facts: HealthFacts): DeviceHealth {
  const { status, connection, connectionSince, enrolledAt } = facts;
  const sight = status === 'approved' ? BY_CONNECTION[connection] : BY_STATUS[status];
  const since = connectionSince ?? enrolledAt;
  const told = toldBy(facts);
  const worst = (axis: HealthAxis): AxisHealth =>
    told.filter((each) => each.axis === axis).reduce<AxisHealth>(worseOf, WELL);
  const judged = (axis: HealthAxis): AxisHealth => {
    const last = bare(worst(axis));
    if (sight.unheard === null) return last;
    const before = last.state === 'ok' ? '' : `; before that: ${last.cause}`;
    return { state: 'unknown', since, cause: `${sight.unheard}${before}` };
  };
  const axes = {
    connection: bare(worseOf({ ...sight.connection, since }, worst('connection'))),
    resources: judged('resources'),
    jobs: judged('jobs'),
    storage: judged('storage'),
    rollout: judged('rollout'),
  };
  // Between equals the connection comes first: it is why the others are not known.
  const axis = HEALTH_AXES.reduce((a, b) => (rank(axes[b]) > rank(axes[a]) ? b : a));
  return { ...axes[axis], axis: axes[axis].state === 'ok' ? null : axis, axes };
}

const rank = ({ state }: AxisHealth): number => HEALTH_STATES.indexOf(state);

/** The one that has lasted longer where both are as bad. */
function worseOf(a: AxisHealth, b: AxisHealth): AxisHealth {
  const difference = rank(b) - rank(a);
  if (difference !== 0) return difference > 0 ? b : a;
  return (b.since ?? Infinity) < (a.since ?? Infinity) ? b : a;
}

const bare = ({ state, since, cause }: AxisHealth): AxisHealth => ({ state, since, cause });

type Told = AxisHealth & { readonly axis: HealthAxis };

function toldBy({ conditions, jobs, behind }: HealthFacts): Told[] {
  const reported = new Set(conditions.map(({ type }) => type));
  const said = conditions.map(({ axis, severity, message, reason, since }) => {
    return { axis: AXIS_OF[axis], state: severity, since, cause: message || reason };
  });
  const late: Told[] = behind === null ? [] : [ofBehind(behind)];
  return [...said, ...jobs.flatMap((job) => ofJob(job, reported.has(`jobs/${job.name}`))), ...late];
}

function ofBehind({ revision, since }: BehindFacts): Told {
  const cause = `It is heard, and has not taken desired state ${revision}: see the agent's log`;
  return { axis: 'rollout', state: 'warning', since, cause };
}

/** `said`: a condition of its own says why it does not run. */
function ofJob(job: JobFacts, said: boolean): Told[] {
  const { name, version, phase, attempted, notPlaced, failedRun } = job;
  const told: Told[] = [];
  if (notPlaced !== null) {
    const cause = `${name}: ${notPlaced}`;
    told.push({ axis: 'rollout', state: 'warning', since: attempted?.at ?? null, cause });
  } else if (isBrokenPhase(phase) && !said) {
    const cause = `${name}: ${attempted?.reason || phase}`;
    const state = JOB_STATE[phase as JobPhase];
    told.push({ axis: 'jobs', state, since: attempted?.at ?? null, cause });
  } else if (
    attempted !== null &&
    attempted.version !== version &&
    isBrokenPhase(attempted.phase)
  ) {
    const cause = `${name} version ${attempted.version}: ${attempted.reason || attempted.phase}`;
    const state = JOB_STATE[attempted.phase as JobPhase];
    told.push({ axis: 'rollout', state, since: attempted.at, cause });
  }
  if (failedRun !== null) {
    const cause = `${name}/${failedRun.partition} failed`;
    told.push({ axis: 'jobs', state: 'error', since: failedRun.endedAt, cause });
  }
  return told;
}
