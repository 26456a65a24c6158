/** The lifecycle of a schedule as a table: every state × every input, and what each may start. */
import { describe, expect, it, test } from 'vitest';
import { schedulePlan } from '@runnel/agent/batch/schedule/schedule-plan.ts';
import {
  newScheduleRecord,
  type ScheduleRecord,
  scheduleRecord,
} from '@runnel/agent/batch/schedule/schedule-record.ts';
import {
  advance,
  nextFireMs,
  type ScheduleInput,
} from '@runnel/agent/batch/schedule/schedule-state.ts';
import type { BatchTime } from '@runnel/agent/batch/schedule/batch-clock.ts';
import type { ScheduleTrigger } from '@runnel/shared/definitions/batch-job.ts';
import { durationMs, epochMs } from '@runnel/shared/ids.ts';
import {
  HOUR,
  at,
  atTimes,
  cron,
  daily,
  dueOf,
  every,
  known,
  paused,
  plan,
  running,
} from './schedules.ts';
import { DAY, unknown } from './schedules.ts';

const BEFORE = at('2026-11-22T11:30:00Z');
const NOW = at('2026-11-22T12:00:00Z');

const ALL: readonly ScheduleTrigger[] = [
  cron('0 * * * *'),
  { kind: 'dataset', datasets: ['a'] },
  { kind: 'startup', delayMs: durationMs(0) },
  { kind: 'disk', above: 0.8 },
];
const of = plan(ALL);
const inPeriods = plan(ALL, { partition: daily });

type State = 'running' | 'paused' | 'unknown' | 'unknownInPeriods' | 'pausedUnknown';
type Kind = ScheduleInput['kind'];

const inputs: { readonly [K in Kind]: Extract<ScheduleInput, { readonly kind: K }> } = {
  tick: { kind: 'tick' },
  started: { kind: 'started' },
  dataset: { kind: 'dataset', name: 'a', endMs: null },
  disk: { kind: 'disk', share: 0.9 },
  pause: { kind: 'pause' },
  resume: { kind: 'resume' },
};

const fresh = newScheduleRecord(epochMs(1000));
const states: Record<State, { plan: typeof of; record: ScheduleRecord; time: BatchTime }> = {
  running: { plan: of, record: running(of, BEFORE), time: known(NOW) },
  paused: { plan: of, record: paused(of, BEFORE), time: known(NOW) },
  unknown: { plan: of, record: fresh, time: unknown(HOUR) },
  unknownInPeriods: { plan: inPeriods, record: fresh, time: unknown(HOUR) },
  pausedUnknown: { plan: of, record: { ...fresh, paused: true }, time: unknown(HOUR) },
};

interface Cell {
  readonly due: readonly string[];
  readonly skipped?: Readonly<Record<string, number>>;
}
const nothing: Cell = { due: [] };

/** A missing state or input does not compile. */
const table: Record<State, Record<Kind, Cell>> = {
  running: {
    tick: { due: ['schedule'] },
    started: { due: ['schedule', 'startup'] },
    dataset: { due: ['schedule', 'dataset'] },
    disk: { due: ['schedule', 'disk'] },
    pause: { due: ['schedule'] },
    resume: { due: ['schedule'] },
  },
  paused: {
    tick: nothing,
    started: { due: [], skipped: { paused: 1 } },
    dataset: nothing,
    disk: nothing,
    pause: nothing,
    resume: { due: [], skipped: { paused: 1 } },
  },
  unknown: {
    tick: nothing,
    started: { due: ['startup'] },
    dataset: { due: ['dataset'] },
    disk: { due: ['disk'] },
    pause: nothing,
    resume: nothing,
  },
  unknownInPeriods: {
    tick: nothing,
    started: nothing,
    dataset: nothing,
    disk: nothing,
    pause: nothing,
    resume: nothing,
  },
  pausedUnknown: {
    tick: nothing,
    started: { due: [], skipped: { paused: 1 } },
    dataset: nothing,
    disk: nothing,
    pause: nothing,
    resume: nothing,
  },
};

describe('every state meets every input', () => {
  const cells = Object.entries(table).flatMap(([state, row]) =>
    Object.entries(row).map(([kind, cell]) => [state as State, kind as Kind, cell] as const),
  );
  test.each(cells)('%s, %s', (name, kind, cell) => {
    const state = states[name];
    const step = advance(state.plan, state.record, inputs[kind], state.time);
    expect(step.due.map(({ trigger }) => trigger)).toEqual(cell.due);
    expect(step.skipped).toEqual(cell.skipped ?? {});
    expect(step.notes).toHaveLength(Object.keys(cell.skipped ?? {}).length);
    expect(scheduleRecord.parse(structuredClone(step.record))).toEqual(step.record);
    const isPaused = kind === 'pause' || (state.record.paused && kind !== 'resume');
    expect(step.record.paused).toBe(isPaused);
    expect(advance(state.plan, step.record, inputs.tick, state.time).due).toEqual([]);
  });
});

describe('a pause', () => {
  it('counts its times once, when it ends, with the first and the last', () => {
    let record = paused(of, BEFORE);
    for (let hour = 1; hour <= 5; hour += 1) {
      const tick = advance(of, record, inputs.tick, known(BEFORE + hour * HOUR));
      expect([tick.due, tick.notes]).toEqual([[], []]);
      record = tick.record;
    }
    expect(nextFireMs(of, record, known(BEFORE))).toBeNull();
    const resumed = advance(of, record, inputs.resume, known(BEFORE + 5 * HOUR));
    expect(resumed.notes).toEqual([
      { kind: 'skipped', reason: 'paused', count: 5, firstMs: NOW, lastMs: NOW + 4 * HOUR },
    ]);
    expect(dueOf(advance(of, resumed.record, inputs.tick, known(NOW + 5 * HOUR)))).toEqual([
      'schedule 2026-11-22T17:00Z',
    ]);
  });

  it('keeps an update and a full disk for afterwards', () => {
    const updated = advance(of, paused(of, NOW), inputs.dataset, known(NOW + 1));
    expect(updated.due).toEqual([]);
    const resumed = advance(of, updated.record, inputs.resume, known(NOW + 2));
    expect(resumed.due.map(({ trigger }) => trigger)).toEqual(['dataset']);
    const full = advance(of, resumed.record, inputs.disk, known(NOW + 3));
    expect(full.due.map(({ trigger }) => trigger)).toEqual(['disk']);
  });
});

describe('datasets', () => {
  const both = plan([{ kind: 'dataset', datasets: ['a', 'b'] }], { partition: daily });
  const update = (name: string, endMs: number | null): ScheduleInput => ({
    kind: 'dataset',
    name,
    endMs,
  });

  it('start a run when all were updated since the last one; several updates are one', () => {
    const a1 = advance(both, running(both, NOW), update('a', null), known(NOW));
    const a2 = advance(both, a1.record, update('a', null), known(NOW + 1));
    const other = advance(both, a2.record, update('c', null), known(NOW + 2));
    expect([a1.due, a2.due, other.due]).toEqual([[], [], []]);
    expect(a2.skipped).toEqual({ coalesced: 1 });
    const b = advance(both, other.record, update('b', null), known(NOW + 3));
    expect(b.due).toMatchObject([{ trigger: 'dataset', at: NOW + 3 }]);
    expect(advance(both, b.record, update('a', null), known(NOW + 4)).due).toEqual([]);
  });

  it('the run covers the newest period that was updated, not the one that is newest now', () => {
    const single = plan([{ kind: 'dataset', datasets: ['a'] }], { partition: daily });
    const late = update('a', at('2026-11-03T00:00:00Z'));
    const [run] = advance(single, running(single, NOW), late, known(NOW)).due;
    expect(run).toMatchObject({ at: NOW, partition: { id: '2026-11-02' } });
  });

  it('of a trigger that a new version no longer has are forgotten', () => {
    const { record } = advance(both, running(both, NOW), update('a', null), known(NOW));
    const changed = plan([{ kind: 'dataset', datasets: ['b'] }]);
    const next = advance(changed, record, inputs.tick, known(NOW));
    expect([next.due, next.record.datasets]).toEqual([[], {}]);
  });
});

describe('the disk', () => {
  const full = plan([{ kind: 'disk', above: 0.8 }]);

  it('fires once at its threshold, and again only after it fell by five points', () => {
    let record = running(full, NOW);
    const fired = [0.79, 0.8, 0.95, 0.76, 0.81, 0.75, 0.8, 0.74, 0.79, 0.8].map((share, index) => {
      const step = advance(full, record, { kind: 'disk', share }, known(NOW + index));
      record = step.record;
      return step.due.length;
    });
    expect(fired).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
  });
});

describe('a job that has just come', () => {
  it('was not there for times before, but an `at` that it missed still counts', () => {
    const triggers = [cron('0 * * * *'), atTimes(NOW - 2 * DAY, NOW - HOUR, NOW + HOUR)];
    const arrived = plan(triggers);
    const first = advance(arrived, newScheduleRecord(epochMs(NOW)), inputs.tick, known(NOW));
    expect(dueOf(first)).toEqual(['catchUp 2026-11-22T11:00Z']);
    expect(first.skipped).toEqual({ misfire: 1 });
    expect(nextFireMs(arrived, first.record, known(NOW))).toBe(NOW + HOUR);
  });

  it('with two triggers for one instant fires once and says so', () => {
    const twice = plan([cron('0 * * * *'), every('30m')]);
    const step = advance(twice, running(twice, BEFORE), inputs.tick, known(NOW));
    expect(dueOf(step)).toEqual(['schedule 2026-11-22T12:00Z']);
    expect(step.skipped).toEqual({ same_time: 1 });
  });
});

describe('jitter', () => {
  const jitterMs = durationMs(10 * 60_000);
  const notBefore = (agent: string, now = NOW): number => {
    const spread = plan([cron('0 * * * *')], { jitterMs, agent });
    return advance(spread, running(spread, BEFORE), inputs.tick, known(now)).due[0]!.notBefore;
  };

  it('is the same for one device, job and time, within its bound, spread over devices', () => {
    expect(notBefore('agent-1')).toBe(notBefore('agent-1', NOW + 1000));
    const all = Array.from({ length: 200 }, (_, index) => notBefore(`agent-${index}`) - NOW);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...all)).toBeLessThanOrEqual(jitterMs);
    expect(new Set(all).size).toBeGreaterThan(190);
    expect(Math.max(...all) - Math.min(...all)).toBeGreaterThan(jitterMs * 0.9);
  });

  it('counts from now for what was missed, so that a fleet does not come back as one', () => {
    const later = NOW + 30 * 60_000;
    expect(notBefore('agent-1', later)).toBeGreaterThanOrEqual(later);
  });
});

describe('keys', () => {
  it('each time starts one run per key', () => {
    const keyed = schedulePlan({
      agent: 'agent-1',
      job: 'job',
      partition: { kind: 'keys', keys: ['line-1', 'line-2'], every: '1d', timezone: 'UTC' },
      schedule: {
        triggers: [cron('0 * * * *')],
        misfire: 'runOnce',
        catchUpWindowMs: durationMs(DAY),
        overlap: 'skip',
        jitterMs: durationMs(0),
      },
    });
    const { due } = advance(keyed, running(keyed, BEFORE), inputs.tick, known(NOW));
    expect(due.map(({ partition }) => partition.id)).toEqual([
      'line-1/2026-11-21',
      'line-2/2026-11-21',
    ]);
  });
});
