import { describe, expect, it } from 'vitest';
import { durationMs } from '@runnel/shared/ids.ts';
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
  return { id, ...nothing, ...more };
}

interface Given extends Partial<JobBounds> {
  readonly active?: readonly ActiveRun[];
  readonly backfillMax?: number;
}

function admit(runs: readonly QueuedRun[], given: Given = {}) {
  const bounds = { maxActiveRuns: 10, quota: null, usage: [], isPaused: false, ...given };
  const { start, waiting, nextWakeMs } = admitRuns(
    {
      queued: runs,
      active: given.active ?? [],
      jobOf: (job) => (job === 'gone' ? undefined : bounds),
      backfillMaxOf: () => given.backfillMax,
    },
    NOW,
  );
  return {
    start: start.map(({ id }) => id),
    waiting: waiting.map(({ run, reason }) => `${run.id}: ${reason}`),
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
