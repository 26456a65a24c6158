/**
 * The auditor of a rollout. It knows what the devices really do, which commands they were given,
 * what reached the control plane, what people asked for and what the control plane claims in
 * public; it never looks into the machine that decides. What it finds is a sentence.
 */
import type { Plan } from '@runnel/control-plane/rollouts/rollout-plan.ts';
import type { RolloutState } from '@runnel/control-plane/rollouts/rollout-state.ts';
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import { checkAdvance } from './audit-gate.ts';
import { PROMISE } from './product.ts';
import type { Act, Why } from './sim-control.ts';
import type { OutcomeOf, SimDevice } from './sim-device.ts';

/** A device that was heard within it is connected, also by the most hesitant verdict. */
const FRESH_MS = 12_000;
/** For a breach to be seen and told, with two heartbeats lost. */
const BREACH_SEEN_MS = PROMISE.withinMs + 25_000;
const WELL_MS = 50_000;
/** For it to have told how it is, with a heartbeat lost. */
const HEARD_MS = 15_000;
const ENDED = new Set(['succeeded', 'rolledBack', 'aborted', 'superseded']);

export interface Given {
  readonly at: number;
  /** By this rollout, not by one before it. */
  readonly moved: boolean;
  /** It ran well for long, or ran nothing. */
  readonly wasWell: boolean;
  /** Going back: it was known to run well what is taken back. */
  readonly wasHealthy: boolean;
  reachedAt: number | null;
}

export interface RolloutAudit extends Plan {
  readonly version: number;
  readonly from: number | null;
  readonly forward: Map<string, Given>;
  readonly back: Map<string, Given>;
  phase: string;
  batch: number;
  approvals: number;
  isPaused: boolean;
  wasResumed: boolean;
  wasSeenRunning: boolean;
}

interface AuditWorld {
  readonly devices: ReadonlyMap<string, SimDevice>;
  readonly outcomeOf: OutcomeOf;
  readonly isHearing: () => boolean;
}

export class Audit {
  readonly findings: string[] = [];
  /** How often there was something to look at: an audit of nothing finds nothing. */
  readonly seen = { given: 0, advanced: 0, rolledBack: 0, succeeded: 0, restarts: 0 };
  current: RolloutAudit | undefined;
  readonly #world: AuditWorld;
  readonly #beats = new Map<string, { readonly at: number; readonly heartbeat: Heartbeat }>();
  readonly #commands = new Map<string, number | null>();
  /** Since when it is up, connected and heard; and since when it is up, connected and runs well. */
  readonly #linkSince = new Map<string, number>();
  readonly #wellSince = new Map<string, number>();
  #lastGood: number | null = null;
  #restartedAt = 0;

  constructor(world: AuditWorld) {
    this.#world = world;
  }

  find(now: number, sentence: string): void {
    const { version, phase } = this.current ?? { version: 0, phase: 'none' };
    this.findings.push(`second ${now / 1000}, version ${version} ${phase}: ${sentence}`);
  }

  begun({ version, ...plan }: Plan & { version: number }, now: number): void {
    const forward = new Map<string, Given>();
    for (const [agent, { assigned }] of plan.devices) {
      if (assigned !== version) continue;
      forward.set(agent, { ...this.#give(agent, now), moved: false });
    }
    this.current = {
      ...{ ...plan, version, from: this.#lastGood, forward, back: new Map() },
      ...{ phase: 'progressing', batch: 0, approvals: 0 },
      ...{ isPaused: false, wasResumed: false, wasSeenRunning: false },
    };
  }

  heard(heartbeat: Heartbeat, now: number): void {
    this.#beats.set(heartbeat.agent, { at: now, heartbeat });
    const { current } = this;
    if (current === undefined || heartbeat.jobs[0]?.version !== current.version) return;
    current.wasSeenRunning = true;
  }

  restarted(now: number): void {
    this.#restartedAt = now;
    this.seen.restarts += 1;
  }

  asked(act: Act): void {
    const { current } = this;
    if (current === undefined) return;
    if (act === 'approve') current.approvals += 1;
    current.isPaused = act === 'pause' || (current.isPaused && act === 'approve');
    if (act === 'resume') current.wasResumed = true;
  }

  /** What it claims now. */
  step({ phase, batch }: Pick<RolloutState, 'phase' | 'batch'>, now: number): void {
    const { current } = this;
    if (current === undefined) return;
    const was = { phase: current.phase, batch: current.batch };
    Object.assign(current, { phase, batch });
    if (batch > was.batch) {
      this.seen.advanced += 1;
      checkAdvance(this, current, was.batch, now);
    }
    if (phase === was.phase) return;
    if (phase === 'rolledBack') this.seen.rolledBack += 1;
    if (phase === 'succeeded') this.#succeeded(current, now);
  }

  given(agent: string, version: number | null, why: Why, now: number): void {
    const { current } = this;
    this.#commands.set(agent, version);
    if (current === undefined || why === 'begin' || ENDED.has(current.phase)) return;
    this.seen.given += 1;
    if (why === 'look' && !this.#world.isHearing()) this.find(now, `${agent} was moved while deaf`);
    const goesBack = current.phase === 'rollingBack';
    if (version !== (goesBack ? current.from : current.version)) {
      this.find(now, `${agent} was told version ${version}, which is not where this goes`);
    }
    if (goesBack) return this.#givenBack(current, agent, now);
    if (current.isPaused) this.find(now, `${agent} was moved while a person had paused it`);
    if ((current.devices.get(agent)?.batch ?? 0) > current.batch) {
      this.find(now, `${agent} was moved before its batch`);
    }
    current.forward.set(agent, this.#give(agent, now));
    this.#countUnavailable(current, now);
  }

  /** Once a second, when the devices have done what they do. */
  tick(now: number): void {
    for (const [agent, device] of this.#world.devices) {
      const isLinked = device.up && device.online && this.#world.isHearing();
      if (!isLinked || !this.#linkSince.has(agent)) this.#linkSince.set(agent, now);
      const isWell = device.up && device.online && device.outcome === 'runs';
      if (!isWell || !this.#wellSince.has(agent)) this.#wellSince.set(agent, now);
      const { current } = this;
      for (const [given, version] of [
        [current?.forward.get(agent), current?.version],
        [current?.back.get(agent), current?.from],
      ] as const) {
        if (given !== undefined && device.runs === version) given.reachedAt ??= now;
      }
    }
    if (this.current !== undefined) this.#countUnavailable(this.current, now);
  }

  /** All devices were there for long enough, and nobody asked for anything. */
  atRest(now: number): void {
    const { current } = this;
    if (current === undefined) return;
    const { phase, version, from } = current;
    if (!ENDED.has(phase)) return this.find(now, 'it does not end');
    for (const [agent, device] of this.#world.devices) {
      const told = this.#commands.get(agent) ?? null;
      const wanted = phase === 'succeeded' ? version : phase === 'rolledBack' ? from : told;
      if (told !== wanted) this.find(now, `${agent} was left with version ${told}, not ${wanted}`);
      if (device.broken || !this.#canRun(agent, wanted) || device.runs === wanted) continue;
      this.find(now, `${agent} runs version ${device.runs}, not ${wanted}`);
    }
  }

  /** What it said last, when that is news of this process and no older than a few seconds. */
  freshBeat(agent: string, now: number): Heartbeat | null {
    const beat = this.#beats.get(agent);
    const isFresh = beat !== undefined && now - beat.at <= FRESH_MS;
    return isFresh && beat.at >= this.#restartedAt ? beat.heartbeat : null;
  }

  beatSince(agent: string, at: number): Heartbeat | null {
    const beat = this.#beats.get(agent);
    return beat !== undefined && beat.at >= at ? beat.heartbeat : null;
  }

  #canRun(agent: string, version: number | null): boolean {
    if (version === null) return true;
    return !['failsToStart', 'hangs'].includes(this.#world.outcomeOf(agent, version));
  }

  #give(agent: string, now: number): Given {
    const isEmpty = this.#world.devices.get(agent)?.runs === null;
    const wasWell = isEmpty || now - (this.#wellSince.get(agent) ?? now) >= WELL_MS;
    return { at: now, moved: true, wasWell, wasHealthy: false, reachedAt: null };
  }

  #countUnavailable({ strategy, forward, phase }: RolloutAudit, now: number): void {
    const { gated, maxUnavailable } = strategy;
    if (!gated || maxUnavailable === null || phase === 'rollingBack' || ENDED.has(phase)) return;
    const away = [...forward.values()].filter((given) => given.moved && given.reachedAt === null);
    if (away.length <= maxUnavailable) return;
    this.find(now, `${away.length} devices were made unavailable, and ${maxUnavailable} may be`);
  }

  #givenBack(current: RolloutAudit, agent: string, now: number): void {
    const { strategy, version, back } = current;
    const device = this.#world.devices.get(agent)!;
    const isLinked = device.up && device.online && this.#world.isHearing();
    const saidRuns = this.freshBeat(agent, now)?.jobs[0]?.version === version;
    const runsWell = saidRuns && device.outcome === 'runs';
    // One that cannot run the good version either does not hold up the others.
    const comesBack = this.#canRun(agent, current.from) && strategy.slas.length === 0;
    const wasHealthy = isLinked && runsWell && comesBack;
    back.set(agent, { ...this.#give(agent, now), wasHealthy });
    const { maxUnavailable, deviceTimeoutMs } = strategy;
    if (maxUnavailable === null || !wasHealthy) return;
    const onTheWay = [...back].filter(([id, given]) => {
      const isSteady = (this.#linkSince.get(id) ?? now) <= given.at;
      const mayTake = deviceTimeoutMs === null || now - given.at <= deviceTimeoutMs;
      return given.wasHealthy && given.reachedAt === null && isSteady && mayTake;
    });
    if (onTheWay.length <= maxUnavailable) return;
    this.find(now, `${onTheWay.length} healthy devices go back, and ${maxUnavailable} may`);
  }

  #succeeded(current: RolloutAudit, now: number): void {
    const { strategy, version, forward } = current;
    this.seen.succeeded += 1;
    this.#lastGood = version;
    if (!current.wasSeenRunning) this.find(now, 'nobody was heard to run what is called good');
    const { gated, minHealthy, onFailure, slas } = strategy;
    if (!gated || onFailure === 'continue' || minHealthy < 1 || current.wasResumed) return;
    for (const [agent, { wasWell, reachedAt }] of forward) {
      const isHeard = now - (this.#linkSince.get(agent) ?? now) >= HEARD_MS;
      if (slas.length === 0 || !wasWell || !isHeard || reachedAt === null) continue;
      if (now - reachedAt < BREACH_SEEN_MS) continue;
      if (this.#world.outcomeOf(agent, version) !== 'silent') continue;
      this.find(now, `${agent} breaks its promise, and the version is called good`);
    }
  }
}
