/**
 * The bars of the overview: connection, jobs, rollouts, SLAs, each cut into segments that lead to
 * what they count. Pure. Within a bar every thing is counted once, under its worst state.
 */
import type { JobItem } from '../../http/live-messages.ts';
import type { RolloutItem } from '../../http/rollout-messages.ts';
import type { SlaCounts } from '../../http/sla-messages.ts';
import type { FleetCounts } from '../fleet/fleet-view.ts';
import { hasEnded, rolloutTrouble } from '../jobs/rollout-words.ts';
import type { Look } from '../parts/look.ts';
import { VERDICTS, verdictLook } from '../slas/verdict-look.ts';
import { paths } from '../router.ts';

export interface Segment {
  readonly key: string;
  readonly look: Look;
  readonly count: number;
  readonly href: string;
}

const CONNECTION: readonly (readonly [keyof FleetCounts, Look])[] = [
  ['offline', { shape: 'square', tone: 'error', word: 'offline' }],
  ['late', { shape: 'triangle', tone: 'warning', word: 'late' }],
  ['pending', { shape: 'diamond', tone: 'warning', word: 'for approval' }],
  ['never', { shape: 'dashed', tone: 'quiet', word: 'never connected' }],
  ['online', { shape: 'disc', tone: 'ok', word: 'online' }],
];

export function connectionSegments(counts: FleetCounts): Segment[] {
  return CONNECTION.map(([key, look]) => {
    return { key, look, count: counts[key], href: `${paths.devices}?state=${key}` };
  });
}

export const JOB_STATES = ['failing', 'unknown', 'onTheWay', 'paused', 'idle', 'running'] as const;
export type JobState = (typeof JOB_STATES)[number];

const JOB_LOOKS: Readonly<Record<JobState, Look>> = {
  failing: { shape: 'square', tone: 'error', word: 'failing somewhere' },
  unknown: { shape: 'dashed', tone: 'quiet', word: 'unknown somewhere' },
  onTheWay: { shape: 'ring', tone: 'info', word: 'on the way' },
  paused: { shape: 'slash', tone: 'quiet', word: 'paused' },
  idle: { shape: 'minus', tone: 'quiet', word: 'on no device' },
  running: { shape: 'disc', tone: 'ok', word: 'running everywhere' },
};

export function jobState({ paused, agents }: Pick<JobItem, 'agents' | 'paused'>): JobState {
  if (agents.failed > 0) return 'failing';
  if (paused) return 'paused';
  if (agents.desired === 0) return 'idle';
  if (agents.running === agents.desired) return 'running';
  return agents.running + agents.unknown < agents.desired ? 'onTheWay' : 'unknown';
}

export function jobLook(state: JobState): Look {
  return JOB_LOOKS[state];
}

export function jobSegments(jobs: Iterable<JobItem>): Segment[] {
  const counts = new Map<JobState, number>();
  for (const job of jobs) count(counts, jobState(job));
  return JOB_STATES.map((state) => ({
    key: state,
    look: JOB_LOOKS[state],
    count: counts.get(state) ?? 0,
    href: `${paths.jobs}?state=${state}`,
  }));
}

export const ROLLOUT_STATES = ['needsPerson', 'rolledBack', 'active', 'settled'] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

const ROLLOUT_LOOKS: Readonly<Record<RolloutState, Look>> = {
  needsPerson: { shape: 'diamond', tone: 'warning', word: 'need a person' },
  rolledBack: { shape: 'square', tone: 'error', word: 'rolled back' },
  active: { shape: 'half', tone: 'info', word: 'in progress' },
  settled: { shape: 'disc', tone: 'ok', word: 'settled' },
};

/** Of one job, by its newest rollout; null: nothing was rolled out yet. */
export function rolloutState(rollout: RolloutItem | null): RolloutState {
  if (rollout === null) return 'settled';
  if (rollout.phase === 'rollingBack' || rollout.phase === 'rolledBack') return 'rolledBack';
  if (hasEnded(rollout)) return 'settled';
  return rolloutTrouble(rollout) === null ? 'active' : 'needsPerson';
}

export function rolloutLook(state: RolloutState): Look {
  return ROLLOUT_LOOKS[state];
}

export function rolloutSegments(jobs: Iterable<Pick<JobItem, 'rollout'>>): Segment[] {
  const counts = new Map<RolloutState, number>();
  for (const { rollout } of jobs) count(counts, rolloutState(rollout));
  return ROLLOUT_STATES.map((state) => ({
    key: state,
    look: ROLLOUT_LOOKS[state],
    count: counts.get(state) ?? 0,
    href: `${paths.jobs}?rollout=${state}`,
  }));
}

export function slaSegments(counts: SlaCounts): Segment[] {
  return VERDICTS.map((verdict) => {
    const { word, ...look } = verdictLook(verdict);
    return {
      key: verdict,
      look: { ...look, word: word.toLowerCase() },
      count: counts[verdict],
      href: `${paths.slas}?verdict=${verdict}`,
    };
  });
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
