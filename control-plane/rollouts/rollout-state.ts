/**
 * The life of a rollout, as a pure transition: every phase answers every event, and a missing cell
 * of `TABLE` does not compile. No clock and no I/O in here; time comes in with the events.
 *
 * ```
 * progressing ──▶ soaking ──▶ awaitingApproval ──▶ (next batch) … ──▶ succeeded
 *      │ ▲ suspended ▲ │ gate                               rollingBack ──▶ rolledBack
 * ```
 *
 * Guarantees:
 * - A device is told the version only while it is connected, in its batch's turn or after it, and
 *   within the disruption budget. One that is away is `unknown`, stalls nobody, and is told when it
 *   is back; when the rollout has succeeded, it has the version waiting for it.
 * - A batch is through when nobody is on the way and somebody of it has spoken; the gate must hold
 *   then, through the pause behind the batch (the last one too), and while a person is waited for.
 * - Nothing moves while nothing can be judged: when the control plane could not hear the devices,
 *   has not heard a changed one since, or the job is paused. Its clock stands still meanwhile.
 * - A rollback goes to the version of the newest rollout that succeeded (none: the job is taken
 *   away), can be neither paused nor aborted, and always ends: devices that fail to come back, or
 *   are away, do not hold it up. It keeps to the budget for healthy devices; those that had failed,
 *   or are not connected, are sent back at once, since they have nothing to lose.
 *
 * `approve` is before each batch after the first: applying the job is the approval of that one.
 * To resume after the gate failed is to accept the failures that there are: only new ones count.
 */
import type { EpochMs } from '@runnel/shared/ids.ts';
import type { RolloutCounts, RolloutPhase } from '../http/rollout-messages.ts';
import type { Device, Sight } from './rollout-device.ts';
import { countsOf } from './rollout-gate.ts';
import type { Strategy } from './rollout-plan.ts';
import { end, enter, look, nextBatch, rollBack } from './rollout-steps.ts';

/** `deaf`: devices cannot be heard. `paused`: the job is. */
export type Hold = 'deaf' | 'paused';
/** Where a suspended rollout goes on. */
export type ForwardPhase = 'progressing' | 'soaking' | 'awaitingApproval';

export interface RolloutState {
  readonly id: string;
  readonly job: string;
  readonly version: number;
  /** The last good version; null when there is none. */
  readonly from: number | null;
  readonly by: string;
  readonly strategy: Strategy;
  readonly phase: RolloutPhase;
  readonly resumesTo: ForwardPhase;
  /** Suspended or turned back by its gate, not by a person. */
  readonly byGate: boolean;
  readonly hold: Hold | null;
  /** From 0. */
  readonly batch: number;
  readonly batches: number;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** In this phase since. */
  readonly since: number;
  /** When a device or the phase last changed. */
  readonly movedAt: number;
  /** Time in which devices could be judged. */
  readonly clockMs: number;
  /** The clock when the phase began. */
  readonly phaseClockMs: number;
  /** Why it is in a phase that a gate or a person brought it to; else empty. */
  readonly why: string;
  readonly counts: RolloutCounts;
  /** By agent; empty once it has ended and its devices all have the same. */
  readonly devices: ReadonlyMap<string, Device>;
}

export type RolloutEvent =
  /** Time passed, and what is new of devices; those that are not named are as they were. */
  | {
      readonly kind: 'looked';
      readonly elapsedMs: number;
      readonly hold: Hold | null;
      readonly sights: ReadonlyMap<string, Sight>;
    }
  | { readonly kind: 'approve'; readonly by: string }
  | { readonly kind: 'pause'; readonly by: string }
  | { readonly kind: 'resume'; readonly by: string }
  | { readonly kind: 'abort'; readonly by: string }
  | { readonly kind: 'undo'; readonly by: string }
  /** Another version of the job is to run. */
  | { readonly kind: 'superseded'; readonly version: number }
  | { readonly kind: 'deleted' };

export type Effect =
  /** The assignment of these devices changed. */
  | { readonly do: 'tell'; readonly agents: readonly string[] }
  /** So did that of devices that are not in the plan. */
  | { readonly do: 'tellAll' }
  /** This is what the job is to run now. */
  | { readonly do: 'makeCurrent'; readonly version: number }
  /** A rollout of an earlier version, everywhere at once. */
  | { readonly do: 'begin'; readonly version: number; readonly by: string }
  | {
      readonly do: 'event';
      readonly severity: 'info' | 'warning' | 'error' | 'ok';
      readonly message: string;
    };

export interface Refusal {
  readonly message: string;
  readonly hint: string;
}

export interface Step {
  readonly state: RolloutState;
  readonly effects: readonly Effect[];
  /** A person asked for what this phase does not allow; nothing changed. */
  readonly refused?: Refusal;
}

export type RolloutEventKind = RolloutEvent['kind'];
type EventOf<E extends RolloutEventKind> = Extract<RolloutEvent, { kind: E }>;
type Cell<E extends RolloutEventKind> = (
  state: RolloutState,
  event: EventOf<E>,
  now: EpochMs,
) => Step;
type Row = { readonly [E in RolloutEventKind]: Cell<E> };

export function transition(state: RolloutState, event: RolloutEvent, now: EpochMs): Step {
  // The one cast: TypeScript cannot see that the cell belongs to this event.
  const row = TABLE[state.phase] as unknown as Record<string, Cell<RolloutEventKind>>;
  return (row[event.kind] as Cell<RolloutEventKind>)(state, event, now);
}

export function hasEnded({ phase }: RolloutState): boolean {
  return ENDED.has(phase);
}

const ENDED: ReadonlySet<RolloutPhase> = new Set<RolloutPhase>([
  'succeeded',
  'rolledBack',
  'aborted',
  'superseded',
]);

const stay = (state: RolloutState): Step => ({ state, effects: [] });

/** A cell in which a person's wish has no place. */
function refuse(message: string, hint: string): (state: RolloutState) => Step {
  return (state) => ({
    ...stay(state),
    refused: { message: `the rollout of ${state.job} version ${state.version} ${message}`, hint },
  });
}

const pause: Cell<'pause'> = (state, { by }, now) => {
  const resumesTo = state.phase as ForwardPhase;
  const why = `paused by ${by}`;
  return enter({ ...state, resumesTo, byGate: false, why }, 'suspended', now, 'info');
};

const resume: Cell<'resume'> = (state, { by }, now) => {
  const devices = new Map(state.devices);
  for (const [agent, device] of state.byGate ? devices : []) {
    if (device.status === 'failed') devices.set(agent, { ...device, excused: true });
  }
  // The pause that it was in goes on where it stopped: the clock stood still.
  const { phaseClockMs } = state;
  const goesOn = { ...state, devices, byGate: false, why: '' };
  const step = enter(goesOn, state.resumesTo, now, 'info', `goes on, says ${by}`);
  return { ...step, state: { ...step.state, phaseClockMs } };
};

const approve: Cell<'approve'> = (state, { by }, now) => {
  const step = nextBatch(state, now);
  const message = `batch ${step.state.batch + 1} of ${state.batches} approved by ${by}`;
  return { ...step, effects: [...step.effects, { do: 'event', severity: 'info', message }] };
};

const abort: Cell<'abort'> = (state, { by }, now) => {
  const why = `aborted by ${by}: every device keeps the version that it has`;
  return end({ ...state, why }, 'aborted', now);
};

const undo: Cell<'undo'> = (state, { by }, now) =>
  rollBack({ ...state, byGate: false }, `undone by ${by}`, now);

/** It is over and good: to undo it is to roll out what was there before. */
const undoGood: Cell<'undo'> = (state, { by }) =>
  state.from === null
    ? refuse('has no good version before it', 'to stop the job: runnel delete JOB')(state)
    : { state, effects: [{ do: 'begin', version: state.from, by }] };

const superseded: Cell<'superseded'> = (state, { version }, now) =>
  end({ ...state, why: `version ${version} was applied before it ended` }, 'superseded', now);

const deleted: Cell<'deleted'> = (state, _event, now) => {
  const step = end({ ...state, why: 'the job was deleted' }, 'aborted', now);
  return { ...step, state: { ...step.state, devices: new Map() } };
};

const undoHint = 'to go back to the version before: runnel rollout undo JOB';
const ended = {
  looked: stay,
  approve: refuse('has ended', undoHint),
  pause: refuse('has ended', 'to stop the job itself: runnel pause JOB'),
  resume: refuse('has ended', 'to roll a version out, apply it'),
  abort: refuse('has ended', undoHint),
  superseded: stay,
  deleted: stay,
};
const rollsBack = 'is rolling back, which always ends';
const waitHint = 'wait for its end, or apply another version';
const forward = { looked: look, undo, abort, superseded, deleted };
const notSuspended = refuse('is not suspended', 'it goes on by itself');
const notAsked = refuse('does not wait for approval', 'see: runnel rollout status JOB');

const TABLE: { readonly [P in RolloutPhase]: Row } = {
  progressing: { ...forward, approve: notAsked, pause, resume: notSuspended },
  soaking: { ...forward, approve: notAsked, pause, resume: notSuspended },
  awaitingApproval: {
    ...{ ...forward, approve, pause },
    resume: refuse('waits for approval', 'runnel rollout approve JOB'),
  },
  suspended: {
    ...{ ...forward, resume },
    approve: refuse('is suspended', 'first: runnel rollout resume JOB'),
    pause: refuse('is suspended already', 'to let it go on: runnel rollout resume JOB'),
  },
  rollingBack: {
    ...{ looked: look, superseded, deleted },
    approve: refuse(rollsBack, waitHint),
    pause: refuse(rollsBack, waitHint),
    resume: refuse(rollsBack, waitHint),
    abort: refuse(rollsBack, waitHint),
    undo: refuse('is rolling back already', waitHint),
  },
  succeeded: { ...ended, undo: undoGood },
  rolledBack: { ...ended, undo: refuse('was rolled back already', 'apply a version to go on') },
  aborted: { ...ended, undo },
  superseded: { ...ended, undo: refuse('was superseded', 'undo the newer one') },
};

/** What the job runs where no plan says otherwise. */
export function versionElsewhere(state: RolloutState): number | null {
  const { phase, version, from, strategy } = state;
  if (phase === 'succeeded') return version;
  if (phase === 'rollingBack' || phase === 'rolledBack') return from;
  return strategy.gated ? from : version;
}

/** What the job as a whole is to run by it. */
export function currentVersion({ phase, version, from }: RolloutState): number {
  const back = phase === 'rollingBack' || phase === 'rolledBack';
  return back ? (from ?? version) : version;
}

/** To apply its version again is to try it again. */
export function isRetried({ phase }: RolloutState): boolean {
  return phase === 'rollingBack' || phase === 'rolledBack' || phase === 'aborted';
}

export function versionAt(state: RolloutState, agent: string): number | null {
  const device = state.devices.get(agent);
  return device === undefined ? versionElsewhere(state) : device.assigned;
}

/** The version to which the next rollout would go back. */
export function lastGood({ phase, version, from }: RolloutState): number | null {
  return phase === 'succeeded' ? version : from;
}

export interface Beginning {
  readonly id: string;
  readonly job: string;
  readonly version: number;
  readonly from: number | null;
  readonly by: string;
  readonly strategy: Strategy;
  readonly batches: number;
  readonly devices: ReadonlyMap<string, Device>;
}

/** A rollout whose devices have their batches; the first look tells the first of them. */
export function begin(beginning: Beginning, now: EpochMs): RolloutState {
  return {
    ...beginning,
    phase: 'progressing',
    resumesTo: 'progressing',
    ...{ byGate: false, hold: null, batch: 0, clockMs: 0, phaseClockMs: 0, why: '' },
    ...{ startedAt: now, endedAt: null, since: now, movedAt: now },
    counts: countsOf(beginning.devices.values()),
  };
}
