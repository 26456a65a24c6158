/**
 * The control plane without I/O: what its shells do around the pure parts, in one process that can
 * be ended at any instant. What it would have in the store survives, as text.
 */
import {
  noWitness,
  type Witness,
  witnessConnected,
  witnessedMs,
  witnessLost,
} from '@runnel/control-plane/intake/connection.ts';
import { type Candidate, plan } from '@runnel/control-plane/rollouts/rollout-plan.ts';
import { rolloutRow } from '@runnel/control-plane/rollouts/rollout-record.ts';
import { isConnected, sightOf } from '@runnel/control-plane/rollouts/rollout-sights.ts';
import {
  begin,
  currentVersion,
  hasEnded,
  type Hold,
  isRetried,
  lastGood,
  type RolloutEvent,
  type RolloutState,
  type Step,
  versionAt,
} from '@runnel/control-plane/rollouts/rollout-state.ts';
import { newEntry, type SlaEntry } from '@runnel/control-plane/sla/sla-entry.ts';
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';
import { UNKNOWN } from '@runnel/shared/sla/sla-state.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import type { Audit } from './audit.ts';
import { type Product, PROMISE } from './product.ts';
import { BEAT_MS, type Command, type Message } from './sim-device.ts';

/** As the shells have them: what devices do is stored so often. */
const STORE_MS = 5000;
const WRITE_MS = 30_000;

export type Act = 'pause' | 'resume' | 'approve' | 'abort' | 'undo';

/** A promise as the device speaks of it, as its results come, and as it stands by both. */
export type View = 'both' | 'device' | 'arrivals';

interface Contact {
  connection: ConnectionState;
  heartbeat: Heartbeat | undefined;
  lastSeenAt: number | null;
  heardAtMs: number | null;
  heardAtWitnessedMs: number;
}

/** What survives the process. */
interface Stored {
  rollout: string | null;
  jobVersion: number | null;
  readonly seen: Map<string, { at: number; heartbeat: Heartbeat }>;
}

interface ControlParts {
  readonly agents: readonly string[];
  readonly product: Product;
  readonly audit: Audit;
  /** A heartbeat was taken. */
  readonly beat: (heartbeat: Heartbeat, now: number) => void;
  readonly documentOf: (version: number) => unknown;
  /** What the gate goes by: not of every job do results come. */
  readonly gate: 'both' | 'device';
}

export class SimControl {
  readonly desired = new Map<string, Command>();
  readonly promises = new Map<string, Record<View, SlaEntry>>();
  state: RolloutState | undefined;
  /** The process ends after the store has what the next step decides, and before it is done. */
  dies = false;
  readonly #parts: ControlParts;
  readonly #stored: Stored = { rollout: null, jobVersion: null, seen: new Map() };
  #contacts = new Map<string, Contact>();
  #witness: Witness = noWitness;
  #fresh: Set<string> | null = null;
  #storedAt = 0;
  #writtenAt = 0;
  #lookedAt = 0;
  #rollouts = 0;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    for (const agent of parts.agents) {
      this.desired.set(agent, { revision: 1, version: null });
      this.#contacts.set(agent, unheard());
    }
  }

  get hearing(): boolean {
    return this.#witness.connectedSinceMs !== null;
  }

  connection(agent: string): ConnectionState {
    return this.#contact(agent).connection;
  }

  setConnected(connected: boolean, now: number): void {
    this.#witness = (connected ? witnessConnected : witnessLost)(this.#witness, now);
  }

  hear(message: Message, now: number): void {
    if (message.kind === 'result') {
      const views = this.promises.get(message.agent);
      if (views !== undefined) views.both.lastAt = views.arrivals.lastAt = now;
      return;
    }
    const { heartbeat } = message;
    const contact = this.#contact(heartbeat.agent);
    const last = contact.heartbeat;
    if (last?.epoch === heartbeat.epoch && heartbeat.seq <= last.seq) return;
    const heardAtWitnessedMs = witnessedMs(this.#witness, now);
    Object.assign(contact, { connection: 'online', heartbeat, lastSeenAt: now, heardAtMs: now });
    contact.heardAtWitnessedMs = heardAtWitnessedMs;
    this.#fresh?.add(heartbeat.agent);
    const views = this.promises.get(heartbeat.agent);
    if (views !== undefined) views.both.device = views.device.device = heartbeat.slas?.[0] ?? null;
    this.#parts.beat(heartbeat, now);
  }

  /** Connections, promises and the rollout, once a second. */
  tick(now: number): void {
    for (const [agent, contact] of this.#contacts) this.#judge(agent, contact, now);
    if (this.hearing) for (const [agent, views] of this.promises) this.#lookAt(agent, views, now);
    if (now - this.#writtenAt >= WRITE_MS) this.#write(now);
    this.look(now);
  }

  look(now: number): void {
    const { state } = this;
    const elapsedMs = Math.min(now - this.#lookedAt, 5000);
    this.#lookedAt = now;
    if (state === undefined || hasEnded(state)) return;
    const hold: Hold | null = this.hearing ? null : 'deaf';
    const sights = new Map(
      [...(this.#fresh ?? state.devices.keys())].map((agent) => [
        agent,
        sightOf(this.#sightParts, agent, state),
      ]),
    );
    this.#fresh = state.strategy.slas.length > 0 ? null : new Set();
    this.#take(this.#send({ kind: 'looked', elapsedMs, hold, sights }, now), now, 'look');
  }

  /** A person asks; the answer is whether it was done. */
  act(kind: Act, now: number): boolean {
    if (this.state === undefined) return false;
    const step = this.#send({ kind, by: 'p' }, now);
    if (step.refused !== undefined) return false;
    this.#parts.audit.asked(kind);
    this.#take(step, now, 'person');
    const again = step.effects.find((effect) => effect.do === 'begin');
    if (again !== undefined) this.#begin(again.version, now, null);
    return true;
  }

  apply(version: number, now: number): void {
    const { state } = this;
    if (state?.version === version && !isRetried(state)) return;
    this.#begin(version, now, this.#parts.documentOf(version));
  }

  /** The process ends and another one starts: it knows what is in the store. */
  restart(now: number): void {
    this.#contacts = new Map(
      this.#parts.agents.map((agent) => [agent, restored(this.#stored.seen.get(agent), now)]),
    );
    this.#witness = noWitness;
    this.#fresh = null;
    this.#lookedAt = now;
    for (const [agent, views] of this.promises) {
      this.promises.set(agent, structuredClone(views));
    }
    const { rollout, jobVersion } = this.#stored;
    if (rollout === null) return;
    this.state = this.#parts.product.rolloutState(rollout);
    this.#storedAt = now;
    this.dies = false;
    this.#parts.audit.restarted(now);
    this.#parts.audit.step(this.state, now);
    this.#tell(this.#parts.agents, 'restart', now);
    if (jobVersion === null || currentVersion(this.state) === jobVersion) return;
    this.#begin(jobVersion, now, this.#parts.documentOf(jobVersion));
  }

  #judge(agent: string, contact: Contact, now: number): void {
    const { connection, heardAtWitnessedMs } = contact;
    const silence = { previous: connection, heardAtWitnessedMs, intervalMs: BEAT_MS };
    const verdict = this.#parts.product.connectionOf(silence, this.#witness, now);
    if (verdict === connection) return;
    contact.connection = verdict;
    this.#fresh?.add(agent);
  }

  #lookAt(agent: string, views: Record<View, SlaEntry>, now: number): void {
    const { connection, lastSeenAt, heardAtMs, heartbeat } = this.#contact(agent);
    const sentAt = heartbeat?.sentAt ?? 0;
    const skewMs = lastSeenAt === null ? 0 : lastSeenAt - sentAt;
    const contact = { connection, lastSeenAt, heardUpTo: heardAtMs, waitingMs: null, skewMs };
    const since = this.#witness.connectedSinceMs ?? now;
    for (const view of new Set<View>(['device', 'arrivals', this.#parts.gate])) {
      this.#parts.product.lookAtPromise(views[view], contact, since, now);
    }
  }

  get #sightParts() {
    const { desired } = this;
    return {
      report: (agent: string) => this.#contact(agent),
      hasSpoken: (agent: string) => {
        const since = this.#witness.connectedSinceMs;
        const { heardAtMs } = this.#contact(agent);
        return since !== null && heardAtMs !== null && heardAtMs >= since;
      },
      desired: {
        revisionOf: (agent: string) => desired.get(agent)?.revision ?? 0,
        versionsOf: (agent: string) => {
          const version = desired.get(agent)?.version ?? null;
          return new Map(version === null ? [] : [['press', version]]);
        },
      },
      slaVerdicts: (agent: string) => {
        const state = this.promises.get(agent)?.[this.#parts.gate].state ?? UNKNOWN;
        if (state.kind === 'unknown') return [];
        return [{ sla: 'fresh', verdict: state.kind, since: state.since }];
      },
    };
  }

  #promise(agent: string, now: number): void {
    const promise = { sla: PROMISE, deadlines: null };
    const of = (seesResults: boolean): SlaEntry =>
      newEntry({ job: 'press', agent, name: 'fresh', promise, seesResults }, now);
    const views = { both: of(true), device: of(false), arrivals: of(true) };
    this.promises.set(agent, views);
    if (this.hearing) this.#lookAt(agent, views, now);
  }

  #send(event: RolloutEvent, now: number): Step {
    return this.#parts.product.transition(this.state!, event, epochMs(now));
  }

  /** The store first, then what follows from it. */
  #take({ state, effects }: Step, now: number, why: 'look' | 'person'): void {
    const before = this.state;
    if (state === before) return;
    const makes = effects.find((effect) => effect.do === 'makeCurrent');
    if (effects.length > 0 || now - this.#storedAt >= STORE_MS) {
      this.#store(state, makes?.version ?? this.#stored.jobVersion, now);
      if (this.dies) return;
    }
    this.state = state;
    if (state.phase !== before?.phase) this.#fresh = null;
    const all = effects.some((effect) => effect.do === 'tellAll' || effect.do === 'makeCurrent');
    const told = effects.flatMap((effect) => (effect.do === 'tell' ? effect.agents : []));
    this.#parts.audit.step(state, now);
    this.#tell(all ? this.#parts.agents : told, why, now);
  }

  #begin(version: number, now: number, document: unknown): void {
    const before = this.state;
    const fleet = this.#parts.agents.map((id, index): Candidate => {
      const labels = { site: index % 3 === 0 ? 'lyon' : 'turin' };
      const agent = { id, name: id, labels, platform: { os: 'linux', arch: 'x64' } };
      const connected = isConnected(this.connection(id));
      return { agent, connected, assigned: before === undefined ? null : versionAt(before, id) };
    });
    const planned = plan({ job: 'press', version, document }, fleet);
    this.#rollouts += 1;
    const from = before === undefined ? null : lastGood(before);
    const id = `r${this.#rollouts}`;
    this.state = begin({ id, job: 'press', version, from, by: 'p', ...planned }, epochMs(now));
    this.#fresh = null;
    this.#store(this.state, version, now);
    this.#parts.audit.begun({ version, ...planned }, now);
    this.#tell(this.#parts.agents, 'begin', now);
  }

  #store(state: RolloutState, jobVersion: number | null, now: number): void {
    this.#stored.rollout = rolloutRow(state, true).state;
    this.#stored.jobVersion = jobVersion;
    this.#storedAt = now;
  }

  #write(now: number): void {
    this.#writtenAt = now;
    for (const [agent, { heartbeat, lastSeenAt }] of this.#contacts) {
      if (heartbeat === undefined || lastSeenAt === null) continue;
      this.#stored.seen.set(agent, { at: lastSeenAt, heartbeat });
    }
  }

  #tell(agents: readonly string[], why: Why, now: number): void {
    for (const agent of agents) {
      const version = versionAt(this.state!, agent);
      const command = this.desired.get(agent)!;
      if (command.version === version) continue;
      this.desired.set(agent, { revision: command.revision + 1, version });
      if (version === null) this.promises.delete(agent);
      else if (command.version === null) this.#promise(agent, now);
      this.#parts.audit.given(agent, version, why, now);
    }
  }

  #contact(agent: string): Contact {
    return this.#contacts.get(agent)!;
  }
}

/** What a command came from. */
export type Why = 'look' | 'person' | 'begin' | 'restart';

function unheard(): Contact {
  const never = { connection: 'never', heartbeat: undefined, lastSeenAt: null } as const;
  return { ...never, heardAtMs: null, heardAtWitnessedMs: 0 };
}

function restored(seen: { at: number; heartbeat: Heartbeat } | undefined, now: number): Contact {
  if (seen === undefined) return unheard();
  const connection = now - seen.at < WRITE_MS + 5 * BEAT_MS ? 'online' : 'offline';
  return { ...unheard(), connection, heartbeat: seen.heartbeat, lastSeenAt: seen.at };
}
