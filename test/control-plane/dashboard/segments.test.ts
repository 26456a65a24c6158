/** The bars of the overview: everything counted once, under its worst state. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobAgents } from '@runnel/control-plane/http/live-messages.ts';
import {
  jobState,
  rolloutState,
  slaSegments,
} from '@runnel/control-plane/dashboard/overview/segments.ts';
import { readJobFilter, writeJobFilter } from '@runnel/control-plane/dashboard/jobs/job-filter.ts';
import { sampleRollout } from './sample-fleet.ts';

const agents = (change: Partial<JobAgents>): JobAgents => ({
  ...{ desired: 4, running: 4, failed: 0, unknown: 0 },
  ...change,
});

test.each([
  ['running', agents({}), false],
  ['failing', agents({ running: 3, failed: 1 }), false],
  ['failing', agents({ running: 3, failed: 1 }), true],
  ['unknown', agents({ running: 3, unknown: 1 }), false],
  ['onTheWay', agents({ running: 2, unknown: 1 }), false],
  ['paused', agents({ running: 0 }), true],
  ['idle', agents({ desired: 0, running: 0 }), false],
] as const)('a job is %s with %o, paused %s', (state, counts, paused) => {
  expect(jobState({ agents: counts, paused })).toBe(state);
});

test('a job is never shown as running everywhere while one device fails or is not known', () => {
  const count = fc.nat({ max: 50 });
  fc.assert(
    fc.property(count, count, count, count, (running, failed, unknown, waiting) => {
      const desired = running + failed + unknown + waiting;
      const state = jobState({ paused: false, agents: { desired, running, failed, unknown } });
      expect(state === 'running').toBe(desired > 0 && running === desired);
    }),
  );
});

test('a rollout that a gate took back is never counted as settled', () => {
  expect(rolloutState(sampleRollout({ phase: 'rolledBack' }))).toBe('rolledBack');
  expect(rolloutState(sampleRollout({ phase: 'rollingBack' }))).toBe('rolledBack');
  expect(rolloutState(sampleRollout({ phase: 'awaitingApproval' }))).toBe('needsPerson');
  expect(rolloutState(sampleRollout({ phase: 'progressing', stuck: true }))).toBe('needsPerson');
  expect(rolloutState(sampleRollout({ phase: 'soaking' }))).toBe('active');
  expect(rolloutState(sampleRollout({ phase: 'succeeded' }))).toBe('settled');
  expect(rolloutState(null)).toBe('settled');
});

test('promises of devices that cannot be heard are neither met nor breached', () => {
  const segments = slaSegments({ met: 3, atRisk: 0, breached: 1, unreachable: 2 });
  expect(segments.map(({ key, count, href }) => [key, count, href])).toEqual([
    ['breached', 1, '/slas?verdict=breached'],
    ['atRisk', 0, '/slas?verdict=atRisk'],
    ['unreachable', 2, '/slas?verdict=unreachable'],
    ['met', 3, '/slas?verdict=met'],
  ]);
});

test('what a segment leads to is read back as the filter that it means', () => {
  expect(readJobFilter('?state=failing')).toEqual({ state: 'failing', rollout: null });
  expect(readJobFilter('?rollout=needsPerson&state=nonsense')).toEqual({
    state: null,
    rollout: 'needsPerson',
  });
  const filter = { state: 'unknown', rollout: 'active' } as const;
  expect(readJobFilter(writeJobFilter(filter))).toEqual(filter);
});
