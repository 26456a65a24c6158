import { describe, expect, it } from 'vitest';
import { durationMs, epochMs } from '@runnel/shared/ids.ts';
import type { Surroundings } from '@runnel/agent/batch/dag/cheap-window.ts';
import {
  type ActiveRun,
  admitRuns,
  type JobBounds,
  type QueuedRun,
} from '@runnel/agent/batch/dag/run-admission.ts';
import { NOW } from './program-of.ts';

const HOUR_MS = 3_600_000;

function queued(id: string, more: Partial<QueuedRun> = {}): QueuedRun {
  const nothing = { job: 'nightly', priority: 0, since: NOW, notBefore: NOW, backfill: null };
  return { id, ...nothing, isAsked: false, ...more };
}

interface Given extends Partial<JobBounds> {
  readonly surroundings?: Surroundings;
  readonly nowMs?: number;
  readonly active?: readonly ActiveRun[];
  readonly backfillMax?: number;
}

function admit(runs: readonly QueuedRun[], given: Given = {}) {
  const none = { quota: null, cheapWindow: null, usage: [] };
  const bounds = { maxActiveRuns: 10, ...none, isPaused: false, ...given };
  const { start, waiting, missed, nextWakeMs } = admitRuns(
    {
      queued: runs,
      active: given.active ?? [],
      jobOf: (job) => (job === 'gone' ? undefined : bounds),
      backfillMaxOf: () => given.backfillMax,
      surroundings: () => given.surroundings ?? { power: 'mains', network: 'unmetered' },
    },
    { nowMs: epochMs(given.nowMs ?? NOW), known: true },
  );
  return {
    start: start.map(({ id }) => id),
    waiting: waiting.map(({ run, reason }) => `${run.id}: ${reason}`),
    ...(missed.length > 0 && { missed: missed.map(({ run, reason }) => `${run.id}: ${reason}`) }),
    nextWakeMs,
  };
}

const ACTIVE = { job: 'nightly', backfill: null };

describe('a queued run', () => {
  it('starts while its job has room, by priority and age', () => {
    const runs = [queued('a'), queued('b', { since: NOW - 1 }), queued('c', { priority: 1 })];
    expect(admit(runs, { maxActiveRuns: 3, active: [ACTIVE] })).toEqual({
      start: ['c', 'b'],
      waiting: ['a: 3 of 3 runs of the job are active'],
      nextWakeMs: null,
    });
  });

  it('waits for its jitter', () => {
    expect(admit([queued('a', { notBefore: NOW + 500 })])).toEqual({
      start: [],
      waiting: ['a: starts at 2023-11-14T22:13:20.500Z'],
      nextWakeMs: NOW + 500,
    });
  });

  it('waits while its job is paused or not there', () => {
    expect(admit([queued('a')], { isPaused: true }).waiting).toEqual(['a: the job is paused']);
    expect(admit([queued('a', { job: 'gone' })]).waiting).toEqual([
      'a: its job is not on this device',
    ]);
  });

  it('of a backfill keeps to its bound and leaves room for the others', () => {
    const backfill = 'fill-1';
    const runs = [queued('a', { backfill }), queued('b', { backfill }), queued('c')];
    expect(admit(runs, { backfillMax: 1 })).toMatchObject({
      start: ['a', 'c'],
      waiting: ['b: 1 of 1 runs of the backfill are active'],
    });
  });
});

describe('a quota', () => {
  const quota = { runs: 2, timeMs: null, perMs: durationMs(24 * HOUR_MS) };
  const began = (hoursAgo: number, taskMs = 0) => ({ startedAt: NOW - hoursAgo * HOUR_MS, taskMs });

  it('of runs counts what began within its period, and those that start now', () => {
    const usage = [began(30), began(20)];
    expect(admit([queued('a'), queued('b')], { quota, usage })).toEqual({
      start: ['a'],
      waiting: [
        'b: its quota of 2 runs in 1d is used up; ' +
          'the next may start at 2023-11-15T02:13:20.000Z',
      ],
      nextWakeMs: NOW + 4 * HOUR_MS,
    });
  });

  it('of time waits until enough of it is over', () => {
    const ofTime = { runs: null, timeMs: durationMs(100), perMs: durationMs(24 * HOUR_MS) };
    const usage = [began(20, 50), began(10, 60), began(1, 10)];
    expect(admit([queued('a')], { quota: ofTime, usage }).nextWakeMs).toBe(NOW + 4 * HOUR_MS);
    expect(admit([queued('a')], { quota: ofTime, usage: usage.slice(1) }).start).toEqual(['a']);
  });

  it('is not held up by a start that a wrong clock put years ahead', () => {
    const usage = [began(-9000), began(-9000)];
    expect(admit([queued('a')], { quota, usage }).start).toEqual(['a']);
  });
});

const isoText = (timeMs: number): string => new Date(timeMs).toISOString();

describe('a run whose job has a cheap window', () => {
  const cheapWindow = {
    ...({ hours: null, power: 'mains', network: null, otherwise: 'run' } as const),
    waitAtMostMs: durationMs(HOUR_MS),
  };
  const onBattery = { power: 'battery', network: 'unmetered' } as const;
  const given = { cheapWindow, surroundings: onBattery };

  it('starts in it, and waits out of it, to be looked at again when it has waited enough', () => {
    expect(admit([queued('a')], { cheapWindow }).start).toEqual(['a']);
    expect(admit([queued('a')], given)).toEqual({
      start: [],
      waiting: [`a: waits for mains power; runs all the same at ${isoText(NOW + HOUR_MS)}`],
      nextWakeMs: NOW + HOUR_MS,
    });
  });

  it('does not wait when a person asked for it', () => {
    expect(admit([queued('a', { isAsked: true })], given).start).toEqual(['a']);
  });

  it('starts all the same when it has waited enough, within the other bounds', () => {
    const late = { ...given, nowMs: NOW + HOUR_MS };
    expect(admit([queued('a')], late).start).toEqual(['a']);
    expect(admit([queued('a')], { ...late, maxActiveRuns: 1, active: [ACTIVE] }).waiting).toEqual([
      'a: 1 of 1 runs of the job are active',
    ]);
  });

  it('is left out then where the job says so, counted from when its jitter was over', () => {
    const skip = { ...given, cheapWindow: { ...cheapWindow, otherwise: 'skip' as const } };
    const late = { ...skip, nowMs: NOW + HOUR_MS };
    expect(admit([queued('a'), queued('b', { notBefore: NOW + 1000 })], late)).toEqual({
      start: [],
      waiting: [`b: waits for mains power; is left out at ${isoText(NOW + HOUR_MS + 1000)}`],
      missed: ['a: mains power'],
      nextWakeMs: NOW + HOUR_MS + 1000,
    });
  });

  it('is not left out while its job is paused', () => {
    const skip = { ...given, cheapWindow: { ...cheapWindow, otherwise: 'skip' as const } };
    const paused = { ...skip, isPaused: true, nowMs: NOW + 2 * HOUR_MS };
    expect(admit([queued('a')], paused).waiting).toEqual(['a: the job is paused']);
  });
});
