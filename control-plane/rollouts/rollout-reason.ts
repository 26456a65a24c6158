/** A rollout for people: one sentence of what it waits for, and whether it needs somebody. Pure. */
import { limits } from '@runnel/shared/limits.ts';
import type { RolloutItem } from '../http/rollout-messages.ts';
import { type Tally, tally } from './rollout-gate.ts';
import { hasEnded, type RolloutState } from './rollout-state.ts';
import { failures } from './rollout-steps.ts';

export function rolloutItem(state: RolloutState, now: number): RolloutItem {
  const { id, job, version, from, phase, counts, startedAt, endedAt, since, by, byGate } = state;
  return {
    ...{ id, job, version, from, phase },
    batch: { n: Math.min(state.batch + 1, state.batches), of: state.batches },
    counts,
    reason: reasonOf(state),
    ...{ startedAt, endedAt, since },
    nextAt: phase === 'soaking' ? now + soakLeftMs(state) : null,
    ...{ by, byGate },
    stuck: isStuck(state, now),
  };
}

function soakLeftMs({ strategy, clockMs, phaseClockMs }: RolloutState): number {
  return Math.max(0, strategy.pauseMs - (clockMs - phaseClockMs));
}

function isStuck(state: RolloutState, now: number): boolean {
  const { phase, byGate, counts } = state;
  if (hasEnded(state)) return false;
  if (phase === 'awaitingApproval') return true;
  if (phase === 'suspended') return byGate;
  if (state.hold === 'paused') return false;
  if (phase === 'progressing' && counts.failed > 0 && counts.updated + counts.pending === 0) {
    return true;
  }
  if (phase === 'soaking' && soakLeftMs(state) > 0) return false;
  return now - state.movedAt > limits.rolloutStuckAfterMs;
}

function reasonOf(state: RolloutState): string {
  const { phase, why, hold } = state;
  if (hasEnded(state)) return why;
  const held = hold === null ? '' : HELD[hold];
  const sum = tally(state);
  if (phase === 'suspended') return why;
  if (phase === 'rollingBack') return `${backText(state)}: ${why}${held}`;
  if (held !== '') return held.slice(2);
  if (sum.unheard > 0) {
    return `waits to hear from ${devices(sum.unheard)} after the control plane was deaf`;
  }
  const batch = `batch ${state.batch + 1} of ${state.batches}`;
  if (phase === 'awaitingApproval') {
    return `${batch} is through; approve the next one: runnel rollout approve ${state.job}`;
  }
  if (phase === 'soaking') {
    const left = Math.ceil(soakLeftMs(state) / 1000);
    return left > 0 ? `${batch} is through; pause of ${left} s more` : waitingFor(state, sum);
  }
  return waitingFor(state, sum);
}

const HELD = {
  deaf: '; waits: the control plane cannot hear the devices now',
  paused: '; waits: the job is paused, so nothing can be judged',
} as const;

function backText({ from }: RolloutState): string {
  return from === null ? 'takes the job away' : `goes back to version ${from}`;
}

function waitingFor(state: RolloutState, sum: Tally): string {
  const batch = `batch ${state.batch + 1} of ${state.batches}`;
  if (sum.updating > 0) return `${batch}: ${devices(sum.updating)} on the way${failedToo(state)}`;
  if (sum.waiting > 0) {
    const away = sum.lost > 0 ? `, ${sum.lost} of them not connected` : '';
    const budget = `the disruption budget of ${state.strategy.maxUnavailable} is used up`;
    return `${batch}: ${budget} by ${devices(sum.unavailable)}${away}`;
  }
  if (sum.failed > 0) return `${batch}: nobody runs it; ${devices(sum.failed)} failed${why(state)}`;
  return `${batch}: none of its devices is connected`;
}

function failedToo(state: RolloutState): string {
  return state.counts.failed === 0 ? '' : `, ${state.counts.failed} failed${why(state)}`;
}

function why(state: RolloutState): string {
  const text = failures(state);
  return text === '' ? '' : ` (${text})`;
}

function devices(count: number): string {
  return count === 1 ? '1 device' : `${count} devices`;
}
