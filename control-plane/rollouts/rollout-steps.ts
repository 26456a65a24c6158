/**
 * What a rollout does in its phases: looks at its devices, tells the next ones, goes on, goes back,
 * ends. The cells of rollout-state.ts are made of these. Pure.
 */
import type { EpochMs } from '@runnel/shared/ids.ts';
import type { RolloutPhase } from '../http/rollout-messages.ts';
import { type Device, inTime, judge, type Sight, type Yardstick } from './rollout-device.ts';
import { brokenGate, countsOf, isThrough, type Tally, tally } from './rollout-gate.ts';
import { DEVICE_TIMEOUT_MS } from './rollout-plan.ts';
import type { Effect, Hold, RolloutState, Step } from './rollout-state.ts';

type Severity = Extract<Effect, { do: 'event' }>['severity'];

export function enter(
  state: RolloutState,
  phase: RolloutPhase,
  now: EpochMs,
  severity: Severity,
  text = state.why,
): Step {
  const message = `rollout of version ${state.version}: ${text}`;
  return {
    state: {
      ...state,
      ...{ phase, since: now, movedAt: now, endedAt: null },
      phaseClockMs: state.clockMs,
      counts: countsOf(state.devices.values()),
    },
    effects: [{ do: 'event', severity, message }],
  };
}

const END_SEVERITY = {
  succeeded: 'ok',
  rolledBack: 'warning',
  aborted: 'warning',
  superseded: 'info',
} as const;

export function end(state: RolloutState, phase: keyof typeof END_SEVERITY, now: EpochMs): Step {
  const text = phase === 'rolledBack' ? `rolled back: ${state.why}` : state.why;
  const step = enter(state, phase, now, END_SEVERITY[phase], text);
  // Where it was aborted devices differ, and stay so; else what they have is what all have.
  const devices = phase === 'aborted' ? state.devices : new Map<string, Device>();
  const { gated } = state.strategy;
  const tellAll: Effect[] = phase === 'succeeded' && gated ? [{ do: 'tellAll' }] : [];
  return {
    state: { ...step.state, devices, endedAt: now, hold: null },
    effects: [...step.effects, ...tellAll],
  };
}

interface Look {
  readonly elapsedMs: number;
  readonly hold: Hold | null;
  readonly sights: ReadonlyMap<string, Sight>;
}

export function look(state: RolloutState, event: Look, now: EpochMs): Step {
  const back = state.phase === 'rollingBack';
  // A paused job runs nowhere: nobody can say how a version does, but going back can be done.
  const hold = event.hold === 'paused' && back ? null : event.hold;
  const stands = hold !== null || state.phase === 'suspended' || tally(state).unheard > 0;
  const seen = watch({ ...state, hold }, stands ? 0 : event.elapsedMs, event.sights, now);
  if (hold !== null || state.phase === 'suspended') return { state: seen, effects: [] };
  if (tally(seen).unheard > 0) return { state: seen, effects: [] };
  return back ? goBack(seen, now) : goForward(seen, now);
}

/** Judges devices anew: those that were seen, and those whose time may be up. */
function watch(
  state: RolloutState,
  elapsedMs: number,
  sights: ReadonlyMap<string, Sight>,
  now: EpochMs,
): RolloutState {
  const clockMs = state.clockMs + elapsedMs;
  const by = yardstick({ ...state, clockMs });
  const devices = new Map(state.devices);
  let { movedAt } = state;
  for (const [agent, device] of state.devices) {
    const sight = sights.get(agent);
    const judged = sight === undefined ? device : judge(device, sight, by);
    const next = elapsedMs > 0 ? inTime(judged, by) : judged;
    if (next === device) continue;
    devices.set(agent, next);
    if (next.status !== device.status) movedAt = now;
  }
  return { ...state, clockMs, devices, movedAt, counts: countsOf(devices.values()) };
}

function yardstick({ phase, version, from, strategy, clockMs }: RolloutState): Yardstick {
  if (phase !== 'rollingBack') {
    const { deviceTimeoutMs } = strategy;
    return { target: version, clockMs, deviceTimeoutMs, pausedWillDo: false };
  }
  // A rollback must end, also one of a rollout in which a device might take its time.
  const deviceTimeoutMs = strategy.deviceTimeoutMs ?? DEVICE_TIMEOUT_MS;
  return { target: from, clockMs, deviceTimeoutMs, pausedWillDo: true };
}

function goForward(state: RolloutState, now: EpochMs): Step {
  const sum = tally(state);
  const broken = brokenGate(state, sum);
  if (broken !== null) return gateFailed(state, broken, now);
  const told = tellWaiting(state, sum, now);
  const after = told.effects.length === 0 ? sum : tally(told.state);
  if (!isThrough(after)) return told;
  const { phase, clockMs, phaseClockMs, strategy, batch, batches } = told.state;
  if (phase === 'awaitingApproval') return told;
  if (phase === 'progressing' && strategy.pauseMs > 0) {
    const text = `batch ${batch + 1} of ${batches} is through; the pause behind it begins`;
    return followedBy(told, (next) => enter(next, 'soaking', now, 'info', text));
  }
  if (phase === 'soaking' && clockMs - phaseClockMs < strategy.pauseMs) return told;
  return followedBy(told, (next) => batchIsOver(next, after, now));
}

/** The first step's effects, then those of the step that follows. */
function followedBy(first: Step, then: (state: RolloutState) => Step): Step {
  const second = then(first.state);
  return { state: second.state, effects: [...first.effects, ...second.effects] };
}

function batchIsOver(state: RolloutState, sum: Tally, now: EpochMs): Step {
  const { batch, batches, strategy } = state;
  if (batch + 1 >= batches) {
    const nobody = [...state.devices.values()].every(({ status }) => status === 'gone');
    // A version that no device is known to run is not a good one.
    if (sum.updated === 0 && !nobody) return { state, effects: [] };
    return end({ ...state, why: endText(sum, nobody) }, 'succeeded', now);
  }
  if (strategy.approval === 'manual') {
    const text = `batch ${batch + 1} of ${batches} is through; the next one waits for approval`;
    return enter(state, 'awaitingApproval', now, 'warning', text);
  }
  return followedBy(nextBatch(state, now), (next) => goForward(next, now));
}

function endText({ updated, failed, lost }: Tally, nobody: boolean): string {
  if (nobody) return 'there is no device to run it on yet';
  const failing = failed > 0 ? `; ${failed} failed` : '';
  const away = lost > 0 ? `; ${lost} get it when they are back` : '';
  return `${updated} ${updated === 1 ? 'device runs' : 'devices run'} it${failing}${away}`;
}

/** Also by a person's approval. */
export function nextBatch(state: RolloutState, now: EpochMs): Step {
  const batch = state.batch + 1;
  const text = `batch ${batch + 1} of ${state.batches} begins`;
  return enter({ ...state, batch, why: '' }, 'progressing', now, 'info', text);
}

function gateFailed(state: RolloutState, broken: string, now: EpochMs): Step {
  const why = `${broken} (${failures(state)})`;
  if (state.strategy.onFailure === 'rollback')
    return rollBack({ ...state, byGate: true }, why, now);
  const resumesTo = state.phase as RolloutState['resumesTo'];
  return enter({ ...state, resumesTo, byGate: true, why }, 'suspended', now, 'error');
}

const NAMED_MAX = 3;

/** The first of those that failed, with their reasons. */
export function failures({ devices }: RolloutState): string {
  const failed = [...devices.values()].filter(({ status, excused }) => {
    return status === 'failed' && !excused;
  });
  const named = failed.slice(0, NAMED_MAX).map(({ name, reason }) => `${name}: ${reason}`);
  const more = failed.length > NAMED_MAX ? [`and ${failed.length - NAMED_MAX} more`] : [];
  return [...named, ...more].join('; ');
}

/** Tells those that are connected and have their turn, as far as the budget goes. */
function tellWaiting(state: RolloutState, sum: Tally, now: EpochMs): Step {
  const { version, batch, clockMs, strategy } = state;
  let room = (strategy.maxUnavailable ?? Number.POSITIVE_INFINITY) - sum.unavailable;
  if (sum.waiting === 0 || room <= 0) return { state, effects: [] };
  const devices = new Map(state.devices);
  const agents: string[] = [];
  for (const [agent, device] of state.devices) {
    if (room <= 0) break;
    if (device.status !== 'pending' || device.batch > batch) continue;
    devices.set(agent, tell(device, version, clockMs, now));
    agents.push(agent);
    room -= 1;
  }
  const counts = countsOf(devices.values());
  return { state: { ...state, devices, counts, movedAt: now }, effects: [{ do: 'tell', agents }] };
}

function tell(device: Device, assigned: number | null, sinceMs: number, toldAt: number): Device {
  const { status } = device;
  return {
    ...device,
    ...{ assigned, sinceMs, toldAt, moved: true, applied: false, reached: false, reason: '' },
    status: status === 'unknown' || status === 'gone' ? status : 'updating',
  };
}

/** From here on the version that is good is the one to be reached, and `moved` means moved back. */
export function rollBack(state: RolloutState, why: string, now: EpochMs): Step {
  const { from, version, clockMs } = state;
  const devices = new Map<string, Device>();
  const agents: string[] = [];
  for (const [agent, device] of state.devices) {
    const { status } = device;
    const away = status === 'unknown' || status === 'gone';
    if (device.assigned === from) {
      const untouched = { moved: false, applied: true, reached: false, sinceMs: clockMs };
      devices.set(agent, { ...device, ...untouched, status: away ? status : 'updating' });
    } else if (status === 'updated' || status === 'pending') {
      devices.set(agent, { ...device, moved: false, status: 'pending' });
    } else {
      devices.set(agent, tell(device, from, clockMs, now));
      agents.push(agent);
    }
  }
  const target = from === null ? 'the job is taken away' : `back to version ${from}`;
  const next = { ...state, devices, why, hold: null };
  const { state: entered, effects } = enter(next, 'rollingBack', now, 'error', `${why}; ${target}`);
  const current: Effect[] =
    from === null || from === version ? [] : [{ do: 'makeCurrent', version: from }];
  const all = !state.strategy.gated;
  const told: Effect[] = all ? [{ do: 'tellAll' }] : tellEffect(agents);
  return { state: entered, effects: [...effects, ...current, ...told] };
}

function tellEffect(agents: readonly string[]): Effect[] {
  return agents.length === 0 ? [] : [{ do: 'tell', agents }];
}

function goBack(state: RolloutState, now: EpochMs): Step {
  const { from, clockMs, strategy } = state;
  const devices = new Map(state.devices);
  const agents: string[] = [];
  let moving = 0;
  for (const { moved, status } of devices.values()) {
    if (moved && status === 'updating') moving += 1;
  }
  let room = (strategy.maxUnavailable ?? Number.POSITIVE_INFINITY) - moving;
  let left = 0;
  for (const [agent, device] of state.devices) {
    if (device.assigned !== from) {
      const takesRoom = device.status === 'pending';
      if (takesRoom && room <= 0) {
        left += 1;
        continue;
      }
      if (takesRoom) room -= 1;
      const told = tell(device, from, clockMs, now);
      devices.set(agent, told);
      agents.push(agent);
    }
    if (devices.get(agent)?.status === 'updating') left += 1;
  }
  const counts = countsOf(devices.values());
  const movedAt = agents.length > 0 ? now : state.movedAt;
  const told = { state: { ...state, devices, counts, movedAt }, effects: tellEffect(agents) };
  return left > 0 ? told : followedBy(told, (next) => end(next, 'rolledBack', now));
}
