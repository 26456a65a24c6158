/** Health per axis: what each state of the connection, each report and each phase amounts to. */
import { describe, expect, it } from 'vitest';
import {
  type ConnectionState,
  deviceHealth,
  HEALTH_AXES,
  type HealthAxis,
  type HealthFacts,
  type HealthState,
  type JobFacts,
} from '@runnel/shared/health/device-health.ts';
import { AXES, type Condition, SEVERITIES } from '@runnel/shared/protocol/condition.ts';
import { JOB_PHASES, type JobPhase } from '@runnel/shared/protocol/heartbeat.ts';

const facts = (more: Partial<HealthFacts> = {}): HealthFacts => ({
  status: 'approved',
  connection: 'online',
  connectionSince: 500,
  enrolledAt: 100,
  conditions: [],
  jobs: [],
  behind: null,
  ...more,
});
const condition = (more: Partial<Condition> = {}): Condition => ({
  type: 'storage',
  axis: 'storage',
  severity: 'error',
  reason: 'Full',
  message: 'The disk is full',
  since: 900,
  ...more,
});
const job = (more: Partial<JobFacts> = {}): JobFacts => ({
  name: 'press',
  version: 1,
  phase: 'running',
  attempted: null,
  notPlaced: null,
  failedRun: null,
  ...more,
});
const states = (given: HealthFacts): Record<HealthAxis, HealthState> => {
  const { axes } = deviceHealth(given);
  return Object.fromEntries(HEALTH_AXES.map((axis) => [axis, axes[axis].state])) as ReturnType<
    typeof states
  >;
};

type Row = Readonly<Record<HealthAxis, HealthState>>;
const others = (state: HealthState, connection: HealthState): Row => {
  return { connection, resources: state, jobs: state, storage: state, rollout: state };
};

describe('the connection', () => {
  /** Of a device that reports nothing wrong, and of one that reports an error on every axis. */
  const CONNECTIONS: Readonly<Record<ConnectionState, readonly [Row, Row]>> = {
    online: [others('ok', 'ok'), others('error', 'error')],
    late: [others('ok', 'warning'), others('error', 'error')],
    offline: [others('unknown', 'error'), others('unknown', 'error')],
    never: [others('unknown', 'unknown'), others('unknown', 'error')],
  };
  const everyAxis = AXES.map((axis) => condition({ axis, type: axis }));

  it.each(Object.entries(CONNECTIONS))('%s says what is known of every axis', (name, rows) => {
    const connection = name as ConnectionState;
    expect(states(facts({ connection }))).toEqual(rows[0]);
    expect(states(facts({ connection, conditions: everyAxis }))).toEqual(rows[1]);
  });

  const STATUSES: Readonly<Record<HealthFacts['status'], Row>> = {
    approved: others('ok', 'ok'),
    pending: others('unknown', 'warning'),
    revoked: others('unknown', 'unknown'),
  };
  it.each(Object.entries(STATUSES))('of a device that is %s', (status, row) => {
    expect(states(facts({ status: status as HealthFacts['status'] }))).toEqual(row);
  });

  it('lost: every other axis is unknown since it went away, with the last that was said', () => {
    const gone = facts({ connection: 'offline', conditions: [condition()] });
    const health = deviceHealth(gone);
    expect(health).toMatchObject({ axis: 'connection', state: 'error', since: 500 });
    expect(health.axes.storage).toEqual({
      state: 'unknown',
      since: 500,
      cause: 'Not heard since it went away; before that: The disk is full',
    });
    expect(health.axes.jobs.cause).toBe('Not heard since it went away');
  });
});

describe('a condition', () => {
  const AXIS: Readonly<Record<Condition['axis'], HealthAxis>> = {
    connection: 'connection',
    security: 'connection',
    resources: 'resources',
    jobs: 'jobs',
    sources: 'jobs',
    storage: 'storage',
    rollout: 'rollout',
  };
  it.each(AXES)('of the axis %s is shown on its own', (axis) => {
    for (const severity of SEVERITIES) {
      const told = states(facts({ conditions: [condition({ axis, severity })] }));
      expect(told).toEqual({ ...others('ok', 'ok'), [AXIS[axis]]: severity });
    }
  });

  it('that is worst wins, with its cause and since when; between equals the longest', () => {
    const conditions = [
      condition({ type: 'a', severity: 'warning', since: 1, message: 'a' }),
      condition({ type: 'b', since: 30, message: 'b' }),
      condition({ type: 'c', since: 20, message: '' }),
      condition({ type: 'd', axis: 'resources', severity: 'warning', message: 'd' }),
    ];
    const health = deviceHealth(facts({ conditions }));
    expect(health).toMatchObject({ axis: 'storage', state: 'error', since: 20, cause: 'Full' });
    expect(health.axes.resources).toEqual({ state: 'warning', since: 900, cause: 'd' });
    expect(deviceHealth(facts())).toMatchObject({ axis: null, state: 'ok', cause: '' });
  });
});

describe('a job', () => {
  const PHASES: Readonly<Record<JobPhase, HealthState>> = {
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
  it.each(JOB_PHASES)('that is %s', (phase) => {
    const attempted = { version: 1, phase, reason: 'why', at: 7 };
    const ill = PHASES[phase] === 'ok' ? null : { since: 7, cause: 'press: why' };
    const { axes } = deviceHealth(facts({ jobs: [job({ phase, attempted })] }));
    expect(axes.jobs).toEqual({ state: PHASES[phase], since: null, cause: '', ...ill });
    expect(axes.rollout.state).toBe('ok');
    // The newer version was tried in vain while the older one works on: the rollout's trouble.
    const newer = { ...attempted, version: 2 };
    const { axes: tried } = deviceHealth(facts({ jobs: [job({ attempted: newer })] }));
    const why = ill === null ? null : { since: 7, cause: 'press version 2: why' };
    expect(tried.rollout).toEqual({ state: PHASES[phase], since: null, cause: '', ...why });
    expect(tried.jobs.state).toBe('ok');
  });

  it('that is not placed is trouble of the rollout, and a failed run is one of the jobs', () => {
    const notPlaced = 'needs the capability sql';
    const failedRun = { partition: '2026-11-30', endedAt: 9 };
    const jobs = [job({ phase: 'refused', notPlaced }), job({ name: 'nightly', failedRun })];
    expect(deviceHealth(facts({ jobs })).axes).toMatchObject({
      rollout: { state: 'warning', cause: 'press: needs the capability sql' },
      jobs: { state: 'error', since: 9, cause: 'nightly/2026-11-30 failed' },
    });
  });

  it('whose condition says why it fails is told by that', () => {
    const said = condition({ type: 'jobs/press', axis: 'jobs', severity: 'warning', message: 'x' });
    const failing = facts({ jobs: [job({ phase: 'failed' })], conditions: [said] });
    expect(deviceHealth(failing).axes.jobs).toMatchObject({ state: 'warning', cause: 'x' });
  });
});

describe('a desired state that is not taken', () => {
  const behind = { revision: 7, since: 600 };

  it('is a warning of the rollout, and of nothing else', () => {
    const { axes, axis } = deviceHealth(facts({ behind, jobs: [job()] }));
    expect(axes.rollout).toEqual({
      state: 'warning',
      since: 600,
      cause: "It is heard, and has not taken desired state 7: see the agent's log",
    });
    expect([axis, axes.jobs.state, axes.connection.state]).toEqual(['rollout', 'ok', 'ok']);
  });

  it('of a device that is not heard is unknown', () => {
    const { axes } = deviceHealth(facts({ behind, connection: 'offline' }));
    expect(axes.rollout.state).toBe('unknown');
  });
});
