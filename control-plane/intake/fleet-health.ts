/**
 * What is known of each device from its heartbeats, in memory. The store gets transitions as
 * events, and one batched last-seen write per 30 s (DESIGN.md §11), so that a restart shows what
 * was known before.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import { type Heartbeat, heartbeat as heartbeatSchema } from '@runnel/shared/protocol/heartbeat.ts';
import type { AgentFacts } from '../rollouts/placement.ts';
import type { Schema } from '../store/schema.ts';
import { isSkewKnown, noSkew, sawBeat, skewCondition, type SkewWatch } from './clock-skew.ts';
import { CLONE_WINDOW_MS, type CloneWatch, isCloned, noClone, sawEpoch } from './clone-watch.ts';
import {
  connectionAfter,
  type Witness,
  connectionOf,
  noWitness,
  witnessConnected,
  witnessLost,
  witnessStalled,
  witnessedMs,
} from './connection.ts';
import type { EventWriter } from './event-writer.ts';
import { type HeardUpTo, heardAgain } from './heard-up-to.ts';
import { ReportedPolicies } from './reported-policies.ts';
import { connectionEvent, heartbeatEvents } from './transitions.ts';

const TICK_MS = 1000;
/** A tick that comes so much later says that the process stood still: half of two misses. */
const STALL_MS_MIN = 5000;
const WRITE_MS = 30_000;
const ROWS_PER_COMMIT = 500;
const INTERVAL_MS_MIN = 500;
const INTERVAL_MS_MAX = 3_600_000;

/** What the API shows of one device. */
export interface HealthReport {
  readonly connection: ConnectionState;
  /** When that verdict began, by our clock; null before anything was known. */
  readonly connectionSince: number | null;
  readonly lastSeenAt: number | null;
  /** Up to when its silence tells something; null: not yet. */
  readonly heardUpTo: number | null;
  readonly heartbeat: Heartbeat | undefined;
  /** Reported ones, and `cloned` and `clock`, which only we can see. */
  readonly conditions: readonly Condition[];
}

export interface FleetHealthOptions {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventWriter;
}

/** `beat`: a heartbeat came; else the verdict changed. `at`: when, by our clock. */
export type HealthListener = (agent: string, change: 'beat' | 'verdict', at: number) => void;

interface Entry {
  connection: ConnectionState;
  connectionSince: number | null;
  lastSeenAt: number | null;
  /** By this process. */
  heard: HeardUpTo | null;
  heartbeat: Heartbeat | undefined;
  heardAtWitnessedMs: number;
  /** Monotonic; null when that was before this process began. */
  heardAtMs: number | null;
  /** Witnessed time when this process heard it first. */
  listenedFromMs: number | null;
  clones: CloneWatch;
  clonedSince: number | null;
  skew: SkewWatch;
  skewedSince: number | null;
  unwritten: boolean;
}

export class FleetHealth {
  /** `replayed`: came twice or late, and changed nothing. */
  readonly counters = { heartbeats: 0, replayed: 0 };
  readonly #options: FleetHealthOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #policies = new ReportedPolicies();
  readonly #listeners = new Set<HealthListener>();
  #witness: Witness = noWitness;
  #writtenAtMs: number;
  #cancelTick: () => void = () => undefined;
  #writing: Promise<void> = Promise.resolve();

  /** Loads what was known before; verdicts begin with `start` and a connection. */
  static async open(options: FleetHealthOptions): Promise<FleetHealth> {
    const health = new FleetHealth(options);
    const rows = await options.db
      .selectFrom('agents')
      .select(['id', 'last_seen_at', 'last_heartbeat'])
      .execute();
    for (const row of rows) {
      const entry = health.#restored(row);
      health.#entries.set(row.id, entry);
      health.#policies.heard(row.id, entry.heartbeat?.policy);
    }
    return health;
  }

  private constructor(options: FleetHealthOptions) {
    this.#options = options;
    this.#writtenAtMs = options.clock.monotonicMs();
  }

  start(): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + TICK_MS;
    this.#cancelTick = clock.after(TICK_MS, () => {
      const stalledMs = clock.monotonicMs() - dueMs;
      if (stalledMs >= STALL_MS_MIN) this.#witness = witnessStalled(this.#witness, stalledMs);
      this.tick();
      this.start();
    });
  }

  /** Writes what was not written yet. */
  async stop(): Promise<void> {
    this.#cancelTick();
    await this.write();
  }

  /** We can hear devices, or cannot: silence counts only while we can. */
  setConnected(connected: boolean): void {
    const now = this.#options.clock.monotonicMs();
    const change = connected ? witnessConnected : witnessLost;
    this.#witness = change(this.#witness, now);
  }

  /** Since when we have been able to hear devices, by the clock on the wall; null: we cannot. */
  hearingSince(): number | null {
    const since = this.#witness.connectedSinceMs;
    if (since === null) return null;
    const { clock } = this.#options;
    return Math.floor(clock.now() - (clock.monotonicMs() - since));
  }

  onChange(listener: HealthListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  report(agent: string): HealthReport {
    const entry = this.#entries.get(agent);
    if (entry === undefined) {
      const never = { connection: 'never', connectionSince: null, lastSeenAt: null } as const;
      return { ...never, heardUpTo: null, heartbeat: undefined, conditions: [] };
    }
    const { connection, connectionSince, lastSeenAt, heartbeat } = entry;
    const conditions = [...(heartbeat?.conditions ?? []), ...ownConditions(entry)];
    const heardUpTo = entry.heard?.before ?? null;
    return { connection, connectionSince, lastSeenAt, heardUpTo, heartbeat, conditions };
  }

  /**
   * Types of the conditions that only we can see and of which nothing can be said yet, for this
   * process has not heard enough of the device.
   */
  unjudged(agent: string): readonly string[] {
    const entry = this.#entries.get(agent) ?? newEntry();
    const nowMs = witnessedMs(this.#witness, this.#options.clock.monotonicMs());
    const listenedMs = nowMs - (entry.listenedFromMs ?? nowMs);
    return [
      ...(isSkewKnown(entry.skew) ? [] : ['clock']),
      ...(entry.clonedSince !== null || listenedMs >= CLONE_WINDOW_MS ? [] : ['cloned']),
    ];
  }

  /** Monotonic time since when devices can be heard; null while they cannot. */
  get hearsSinceMs(): number | null {
    return this.#witness.connectedSinceMs;
  }

  /** False while devices cannot be heard: what they do now, nobody knows. */
  get hearing(): boolean {
    return this.#witness.connectedSinceMs !== null;
  }

  /** It has said something since we can hear: what is known of it is not from before a gap. */
  hasSpoken(agent: string): boolean {
    const since = this.#witness.connectedSinceMs;
    const heardAtMs = this.#entries.get(agent)?.heardAtMs ?? null;
    return since !== null && heardAtMs !== null && heardAtMs >= since;
  }

  /** The revision that it said it runs; 0 when nothing is known. */
  observedRevision(agent: string): number {
    return this.#entries.get(agent)?.heartbeat?.observedRevision ?? 0;
  }

  /** What it said of itself, for placement. */
  facts(agent: string): AgentFacts {
    const heartbeat = this.#entries.get(agent)?.heartbeat;
    if (heartbeat === undefined) return {};
    const { capabilities, agentVersion, jobs: reportedJobs } = heartbeat;
    return { capabilities, agentVersion, reportedJobs, rules: this.#policies.of(agent) };
  }

  /** It was deleted. */
  forget(agent: string): void {
    this.#entries.delete(agent);
    this.#policies.forget(agent);
  }

  /**
   * Takes a heartbeat of an approved agent, whose sender was checked. One that is not newer than
   * the last of its process is no sign of life: it was sent again, or overtaken on its way.
   */
  heard(heartbeat: Heartbeat): void {
    const { agent, epoch, seq } = heartbeat;
    const entry = this.#entries.get(agent) ?? newEntry();
    const last = entry.heartbeat;
    if (last !== undefined && last.epoch === epoch && seq <= last.seq) {
      this.counters.replayed += 1;
      return;
    }
    this.#entries.set(agent, entry);
    this.#take(entry, heartbeat);
  }

  /** Judges everyone; `start` does it every second. */
  tick(): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [agent, entry] of this.#entries) {
      const verdict = connectionOf(
        {
          previous: entry.connection,
          heardAtWitnessedMs: entry.heardAtWitnessedMs,
          intervalMs: intervalOf(entry.heartbeat),
        },
        this.#witness,
        nowMs,
      );
      const cloned = isCloned(entry.clones, witnessedMs(this.#witness, nowMs));
      if (verdict === entry.connection && cloned === (entry.clonedSince !== null)) continue;
      this.#judge(agent, entry, verdict);
      this.#setCloned(agent, entry, cloned);
      this.#tell(agent, 'verdict', clock.now());
    }
    if (nowMs - this.#writtenAtMs >= WRITE_MS) {
      this.#writtenAtMs = nowMs;
      void this.write().catch((error: unknown) => {
        this.#options.log.error({ error: messageOf(error) }, 'last-seen times were not written');
      });
    }
  }

  /** Last-seen times and last heartbeats to the store, in steps that let other work run. */
  async write(): Promise<void> {
    this.#writing = this.#writing.then(
      () => this.#writeAll(),
      () => this.#writeAll(),
    );
    await this.#writing;
  }

  #take(entry: Entry, heartbeat: Heartbeat): void {
    const { clock, events } = this.#options;
    const { agent } = heartbeat;
    const at = clock.now();
    const nowMs = clock.monotonicMs();
    this.counters.heartbeats += 1;
    for (const event of heartbeatEvents(agent, at, entry.heartbeat, heartbeat)) {
      events.append(event);
    }
    entry.heartbeat = heartbeat;
    this.#policies.heard(agent, heartbeat.policy);
    entry.lastSeenAt = at;
    entry.heard = heardAgain(entry.heard, at, intervalOf(heartbeat));
    const witnessed = witnessedMs(this.#witness, nowMs);
    entry.heardAtWitnessedMs = witnessed;
    entry.heardAtMs = nowMs;
    entry.listenedFromMs ??= witnessed;
    entry.unwritten = true;
    entry.clones = sawEpoch(entry.clones, heartbeat.epoch, witnessed);
    entry.skew = sawBeat(entry.skew, heartbeat.sentAt, at);
    entry.skewedSince = entry.skew.skewMs === null ? null : (entry.skewedSince ?? at);
    this.#judge(agent, entry, connectionAfter(entry.connection, 'beat'));
    this.#setCloned(agent, entry, isCloned(entry.clones, witnessed));
    this.#tell(agent, 'beat', at);
  }

  #judge(agent: string, entry: Entry, verdict: ConnectionState): void {
    if (verdict === entry.connection) return;
    const at = this.#options.clock.now();
    this.#options.events.append(connectionEvent(agent, at, entry.connection, verdict));
    entry.connection = verdict;
    entry.connectionSince = at;
  }

  #setCloned(agent: string, entry: Entry, cloned: boolean): void {
    if (cloned === (entry.clonedSince !== null)) return;
    const at = this.#options.clock.now();
    entry.clonedSince = cloned ? at : null;
    this.#options.events.append({
      at,
      agent,
      job: null,
      type: 'condition',
      severity: cloned ? 'error' : 'ok',
      message: cloned ? clonedCondition(at).message : 'only one process has this identity again',
      data: { type: 'cloned' },
    });
  }

  #tell(agent: string, change: 'beat' | 'verdict', at: number): void {
    for (const listener of this.#listeners) listener(agent, change, at);
  }

  async #writeAll(): Promise<void> {
    const { db, clock } = this.#options;
    const unwritten = [...this.#entries].filter(([, entry]) => entry.unwritten);
    for (let start = 0; start < unwritten.length; start += ROWS_PER_COMMIT) {
      const chunk = unwritten.slice(start, start + ROWS_PER_COMMIT);
      for (const [, entry] of chunk) entry.unwritten = false;
      await db.transaction().execute(async (transaction) => {
        for (const [agent, entry] of chunk) {
          const last_heartbeat = JSON.stringify(entry.heartbeat);
          await transaction
            .updateTable('agents')
            .set({ last_seen_at: entry.lastSeenAt, last_heartbeat })
            .where('id', '=', agent)
            .execute();
        }
      });
      await clock.sleep(0);
    }
  }

  /** What a restart knows: `online` when it was heard up to about the end of the last run. */
  #restored(row: { last_seen_at: number | null; last_heartbeat: string | null }): Entry {
    const entry = newEntry();
    if (row.last_seen_at === null) return entry;
    entry.lastSeenAt = row.last_seen_at;
    const parsed = heartbeatSchema.safeParse(JSON.parse(row.last_heartbeat ?? 'null'));
    entry.heartbeat = parsed.success ? parsed.data : undefined;
    const silentMs = this.#options.clock.now() - row.last_seen_at;
    const fresh = silentMs < WRITE_MS + 5 * intervalOf(entry.heartbeat);
    entry.connection = fresh ? 'online' : 'offline';
    entry.connectionSince = row.last_seen_at;
    return entry;
  }
}

function newEntry(): Entry {
  return {
    connection: 'never',
    connectionSince: null,
    lastSeenAt: null,
    heard: null,
    heartbeat: undefined,
    heardAtWitnessedMs: 0,
    heardAtMs: null,
    listenedFromMs: null,
    clones: noClone,
    clonedSince: null,
    skew: noSkew,
    skewedSince: null,
    unwritten: false,
  };
}

function intervalOf(heartbeat: Heartbeat | undefined): number {
  const asked = heartbeat?.intervalMs ?? limits.heartbeatIntervalMs;
  return Math.min(Math.max(asked, INTERVAL_MS_MIN), INTERVAL_MS_MAX);
}

function ownConditions({ clonedSince, skew, skewedSince }: Entry): Condition[] {
  const own = clonedSince === null ? [] : [clonedCondition(clonedSince)];
  if (skew.skewMs === null || skewedSince === null) return own;
  return [...own, skewCondition(skew.skewMs, skewedSince)];
}

function clonedCondition(since: number): Condition {
  return {
    type: 'cloned',
    axis: 'security',
    severity: 'error',
    reason: 'Cloned',
    message: 'two live processes use the identity of this device; revoke it and enrol both anew',
    since,
  };
}
