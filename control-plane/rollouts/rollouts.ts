/**
 * The rollouts of all jobs: the thin shell around rollout-state.ts.
 *
 * Guarantees: one change after another; a state is in the store before anything is done by it, and
 * it holds what every device is told to run, so that a crash at any instant loses nothing: the next
 * start reads it, tells devices what it says, and goes on. A job whose version was stored and whose
 * rollout was not (a crash in between) gets it then. Heartbeats are gathered: a look at a rollout
 * is at most every `LOOK_MS`, and concerns the devices that spoke.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { RolloutItem } from '../http/rollout-messages.ts';
import type { EventWriter } from '../intake/event-writer.ts';
import { getJob, getVersion, type JobRecord, listJobs } from '../store/jobs.ts';
import {
  type CurrentVersion,
  currentRollouts,
  putRollouts,
  rolloutsOf,
} from '../store/rollouts.ts';
import type { Schema } from '../store/schema.ts';
import { Turns } from '../turns.ts';
import type { Assignment } from './assigned-jobs.ts';
import type { DesiredState } from './desired-state.ts';
import type { AgentFacts } from './placement.ts';
import type { Sight } from './rollout-device.ts';
import { planFleet } from './plan-fleet.ts';
import { rolloutAgents } from './rollout-agents.ts';
import { rolloutItem } from './rollout-reason.ts';
import { rolloutRow, rolloutState } from './rollout-record.ts';
import { sightOf, type SightParts } from './rollout-sights.ts';
import {
  begin,
  currentVersion,
  type Effect,
  hasEnded,
  isRetried,
  type Hold,
  lastGood,
  type RolloutEvent,
  type RolloutState,
  type Step,
  transition,
  versionAt,
  versionElsewhere,
} from './rollout-state.ts';

export interface RolloutsParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events: Pick<EventWriter, 'append'>;
  readonly sights: SightParts;
  readonly facts: (agent: string) => AgentFacts;
  /** False while devices cannot be heard. */
  readonly hearing: () => boolean;
  readonly desired: Pick<DesiredState, 'recomputeAll' | 'recomputeSome'>;
  /** What jobs are to run changed: bring views and desired state up to date. */
  readonly jobsChanged: () => Promise<void>;
}

/** What a person can ask of a rollout. */
export const ROLLOUT_ACTIONS = ['pause', 'resume', 'approve', 'abort', 'undo'] as const;
export type RolloutAction = (typeof ROLLOUT_ACTIONS)[number];

const TICK_MS = 1000;
/** News of devices are gathered for so long. */
const LOOK_MS = 200;
/** Time without a look that counts: after a longer gap (a suspended host) nobody was watching. */
const ELAPSED_MS_MAX = 5 * TICK_MS;
/** What devices do is known from them again: what tells nobody anything is stored so often. */
const STORE_MS = 5000;

interface Running {
  state: RolloutState;
  /** Agents with news; null for all. */
  fresh: Set<string> | null;
  lookedAtMs: number;
  storedAtMs: number;
  /** The job is. */
  paused: boolean;
  /** What devices are told may not be what the state says yet. */
  untold: boolean;
  /** What listeners were told last, as text. */
  told: string;
}

export class Rollouts {
  readonly #parts: RolloutsParts;
  readonly #current = new Map<string, Running>();
  readonly #listeners = new Set<(item: RolloutItem) => void>();
  readonly #turns = new Turns();
  #cancelTick: () => void = () => undefined;
  #cancelLook: (() => void) | undefined;
  #stopped = false;

  private constructor(parts: RolloutsParts) {
    this.#parts = parts;
  }

  /** Reads what was under way; `start` goes on with it. Errors: `store_version`. */
  static async open(parts: RolloutsParts): Promise<Rollouts> {
    const rollouts = new Rollouts(parts);
    for (const text of await currentRollouts(parts.db)) rollouts.#keep(rolloutState(text));
    await rollouts.#mend();
    return rollouts;
  }

  start(): void {
    this.#cancelTick = this.#parts.clock.after(TICK_MS, () => {
      this.#lookSoon(0);
      this.start();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTick();
    this.#cancelLook?.();
    await this.#turns.settled();
  }

  onChange(listener: (item: RolloutItem) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What devices are to run of a job; nothing while nothing was rolled out. */
  assignment(job: string): Assignment {
    const state = this.#current.get(job)?.state;
    if (state === undefined) return { versions: new Set(), elsewhere: null, at: undefined };
    const elsewhere = versionElsewhere(state);
    const assigned = [...state.devices.values()].map((device) => device.assigned);
    const versions = new Set([elsewhere, ...assigned].filter((version) => version !== null));
    const isMixed = assigned.some((version) => version !== elsewhere);
    const at = isMixed ? (agent: string) => versionAt(state, agent) : undefined;
    return { versions, elsewhere, at };
  }

  item(job: string): RolloutItem | null {
    const running = this.#current.get(job);
    return running === undefined ? null : rolloutItem(running.state, this.#parts.clock.now());
  }

  /** The newest of each job that is to run, by job. */
  list(): RolloutItem[] {
    const now = this.#parts.clock.now();
    const items = [...this.#current.values()].map(({ state }) => rolloutItem(state, now));
    return items.toSorted((a, b) => (a.job < b.job ? -1 : 1));
  }

  /** Newest first; of a deleted job too. */
  async history(job: string): Promise<RolloutItem[]> {
    const now = this.#parts.clock.now();
    const stored = (await rolloutsOf(this.#parts.db, job)).map(rolloutState);
    const current = this.#current.get(job)?.state;
    return stored.map((state) => rolloutItem(state.id === current?.id ? current : state, now));
  }

  /** The devices of the newest rollout, and `others` that the job concerns. Error: `not_found`. */
  agents(job: string, others: readonly { readonly id: string; readonly name: string }[]) {
    return rolloutAgents(this.#of(job).state, others, this.#parts.sights);
  }

  /** After a heartbeat, or when the verdict on its connection changed. */
  deviceChanged(agent: string): void {
    let concerned = false;
    for (const { state, fresh } of this.#current.values()) {
      if (hasEnded(state) || !state.devices.has(agent)) continue;
      fresh?.add(agent);
      concerned = true;
    }
    if (concerned) this.#lookSoon(LOOK_MS);
  }

  /** After a job was applied, deleted, paused or let go on: returns when devices are told. */
  async jobChanged(name: string, by: string): Promise<void> {
    await this.#turns.take(async () => {
      const job = await getJob(this.#parts.db, name);
      await this.#match(name, job, by);
      await this.#parts.jobsChanged();
      await this.#look(name);
    });
  }

  /** Applying the very version whose rollout did not succeed is to try it again; else false. */
  async retry(name: string, version: number, by: string): Promise<boolean> {
    return await this.#turns.take(async () => {
      const state = this.#current.get(name)?.state;
      const job = await getJob(this.#parts.db, name);
      if (job === undefined || state?.version !== version || !isRetried(state)) return false;
      await this.#begin(job, by, job.document);
      await this.#parts.jobsChanged();
      await this.#look(name);
      return true;
    });
  }

  /** Errors: `not_found`, `rollout_conflict`. */
  async act(name: string, action: RolloutAction, by: string): Promise<RolloutItem> {
    return await this.#turns.take(async () => {
      const running = this.#of(name);
      const step = transition(running.state, { kind: action, by }, this.#parts.clock.now());
      if (step.refused !== undefined) {
        const { message, hint } = step.refused;
        throw new RunnelError('rollout_conflict', message, { hint });
      }
      await this.#take(running, step);
      await this.#look(name);
      return rolloutItem(this.#of(name).state, this.#parts.clock.now());
    });
  }

  #of(job: string): Running {
    const running = this.#current.get(job);
    if (running !== undefined) return running;
    throw new RunnelError('not_found', `there is no rollout of a job ${JSON.stringify(job)}`);
  }

  #keep(state: RolloutState, paused = false): Running {
    const nowMs = this.#parts.clock.monotonicMs();
    const times = { lookedAtMs: nowMs, storedAtMs: nowMs };
    const running = { state, fresh: null, ...times, paused, untold: false, told: '' };
    this.#current.set(state.job, running);
    return running;
  }

  /** A crash may have come between a change of a job and that of its rollout. */
  async #mend(): Promise<void> {
    const jobs = new Map((await listJobs(this.#parts.db)).map((job) => [job.name, job]));
    for (const name of new Set([...jobs.keys(), ...this.#current.keys()])) {
      const version = jobs.get(name)?.version;
      const record =
        version === undefined ? undefined : await getVersion(this.#parts.db, name, version);
      await this.#match(name, jobs.get(name), record?.createdBy ?? 'unknown');
    }
  }

  /** Begins a rollout when the job is to run something else than the newest one says. */
  async #match(name: string, job: JobRecord | undefined, by: string): Promise<void> {
    const running = this.#current.get(name);
    if (job === undefined) {
      if (running === undefined) return;
      const step = transition(running.state, { kind: 'deleted' }, this.#parts.clock.now());
      await putRollouts(this.#parts.db, [rolloutRow(step.state, false)]);
      this.#current.delete(name);
      this.#tell(running.state, step.effects);
      return;
    }
    if (running !== undefined) running.paused = job.paused;
    if (running === undefined || currentVersion(running.state) !== job.version) {
      await this.#begin(job, by, job.document);
    }
  }

  /** `document`: null rolls out at once, whatever the job's own document asks for. */
  async #begin(
    job: Pick<JobRecord, 'name' | 'version' | 'paused'>,
    by: string,
    document: unknown,
    makeCurrent?: CurrentVersion,
  ): Promise<void> {
    const { db, clock, random } = this.#parts;
    const { name, version } = job;
    const before = this.#current.get(name)?.state;
    const now = clock.now();
    const planned = await planFleet(this.#parts, { job: name, version, document }, before);
    const from = before === undefined ? null : lastGood(before);
    const id = randomId(random);
    const state = begin({ id, job: name, version, from, by, ...planned }, now);
    const ended = before && transition(before, { kind: 'superseded', version }, now);
    const rows = [
      ...(ended === undefined ? [] : [rolloutRow({ ...ended.state, devices: new Map() }, false)]),
      rolloutRow(state, true),
    ];
    await putRollouts(db, rows, makeCurrent);
    const running = this.#keep(state, job.paused);
    if (before !== undefined && ended !== undefined) this.#tell(before, ended.effects);
    const count = state.devices.size;
    const to = count === 1 ? '1 device' : `${count} devices`;
    const message = `rollout of version ${version} to ${to}`;
    this.#tell(running.state, [{ do: 'event', severity: 'info', message }]);
    running.untold = true;
    this.#changed(running);
  }

  #lookSoon(ms: number): void {
    if (this.#stopped || this.#cancelLook !== undefined) return;
    this.#cancelLook = this.#parts.clock.after(ms, () => {
      void this.#turns.take(async () => {
        for (const name of this.#current.keys()) await this.#look(name);
        this.#cancelLook = undefined;
      });
    });
  }

  /** A failure (the store) is logged: what was not stored was not done, and the next look tries. */
  async #look(name: string): Promise<void> {
    const running = this.#current.get(name);
    if (running === undefined || hasEnded(running.state)) return;
    const { clock, hearing, log } = this.#parts;
    const { state } = running;
    const nowMs = clock.monotonicMs();
    const elapsedMs = Math.min(nowMs - running.lookedAtMs, ELAPSED_MS_MAX);
    running.lookedAtMs = nowMs;
    const hold: Hold | null = !hearing() ? 'deaf' : running.paused ? 'paused' : null;
    try {
      if (running.untold) await this.#parts.desired.recomputeAll();
      running.untold = false;
      const sights = this.#sights(running);
      const event: RolloutEvent = { kind: 'looked', elapsedMs, hold, sights };
      await this.#take(running, transition(state, event, clock.now()));
    } catch (error) {
      running.fresh = null;
      log.error({ job: name, err: error }, 'a rollout did not go on; the next look tries again');
    }
  }

  /** Of the devices with news; of all where SLAs count, whose verdicts change by themselves. */
  #sights(running: Running): Map<string, Sight> {
    const { state } = running;
    const agents = running.fresh ?? state.devices.keys();
    const sights = new Map<string, Sight>();
    for (const agent of agents) sights.set(agent, sightOf(this.#parts.sights, agent, state));
    running.fresh = state.strategy.slas.length > 0 ? null : new Set();
    return sights;
  }

  /** The store first, then what follows from it. */
  async #take(running: Running, { state, effects }: Step): Promise<void> {
    const before = running.state;
    if (state === before && effects.length === 0) return;
    const { clock, db } = this.#parts;
    const nowMs = clock.monotonicMs();
    const current = effects.find((effect) => effect.do === 'makeCurrent');
    if (effects.length > 0 || nowMs - running.storedAtMs >= STORE_MS) {
      const { job } = state;
      const makes = current && { job, version: current.version, now: clock.now() };
      await putRollouts(db, [rolloutRow(state, true)], makes);
      running.storedAtMs = nowMs;
    }
    running.state = state;
    // Another phase looks at devices with other eyes.
    if (state.phase !== before.phase) running.fresh = null;
    this.#tell(state, effects);
    this.#changed(running);
    running.untold = effects.length > 0;
    await this.#perform(state, effects);
    running.untold = false;
  }

  async #perform(state: RolloutState, effects: readonly Effect[]): Promise<void> {
    const { desired, jobsChanged, clock, db } = this.#parts;
    const did = new Set(effects.map((effect) => effect.do));
    if (did.has('makeCurrent')) await jobsChanged();
    else if (did.has('tellAll')) await desired.recomputeAll();
    else {
      const told = effects.flatMap((effect) => (effect.do === 'tell' ? effect.agents : []));
      if (told.length > 0) await desired.recomputeSome(told);
    }
    for (const effect of effects) {
      if (effect.do !== 'begin') continue;
      const { job } = state;
      const { version, by } = effect;
      const paused = (await getJob(db, job))?.paused ?? false;
      const makeCurrent = { job, version, now: clock.now() };
      await this.#begin({ name: job, version, paused }, by, null, makeCurrent);
      await jobsChanged();
    }
  }

  #tell(state: RolloutState, effects: readonly Effect[]): void {
    const { clock, events } = this.#parts;
    const { id, job, version, phase } = state;
    for (const effect of effects) {
      if (effect.do !== 'event') continue;
      const { severity, message } = effect;
      const data = { rollout: id, version, phase };
      const event = { at: clock.now(), agent: null, job, type: 'rollout', severity, message, data };
      events.append(event);
    }
  }

  #changed(running: Running): void {
    if (this.#listeners.size === 0) return;
    const item = rolloutItem(running.state, this.#parts.clock.now());
    const text = JSON.stringify(item);
    if (running.told === text) return;
    running.told = text;
    for (const listener of this.#listeners) listener(item);
  }
}
