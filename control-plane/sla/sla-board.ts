/**
 * The verdicts on all that is promised in the fleet, in memory: what is promised where comes from
 * placement, what devices say from their heartbeats, what arrived from intake; the store gets each
 * change, and after a restart what stood goes on.
 *
 * Guarantees: a promise of a device that is offline is `unreachable` and never `breached`; while
 * nobody here can hear devices no verdict changes; a heartbeat or result that changes nothing
 * writes nothing; what time alone changes is looked at when it is due, not by going through all.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { type Sla, slaTarget } from '@runnel/shared/definitions/sla.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import { type SlaChange, slaTransition, type SlaState } from '@runnel/shared/sla/sla-state.ts';
import { compare } from '../http/fleet-view.ts';
import type { SlaCounts, SlaItem, SlaVerdict } from '../http/sla-messages.ts';
import type { SlaChangeRecord, SlaIntervalRecord } from '../store/slas.ts';
import type { Arrived, ArrivedRun } from './arrived.ts';
import { DueHeap } from './due-heap.ts';
import { FleetPromise } from './fleet-promise.ts';
import {
  type Contact,
  isFleetWide,
  isSlow,
  look,
  newEntry,
  shownDeviceVerdict,
  type SlaEntry,
} from './sla-entry.ts';
import type { SlaJob } from './sla-jobs.ts';

const TICK_MS = 1000;

export interface SlaBoardParts {
  readonly clock: Clock;
  /** Since when devices can be heard; null while they cannot. */
  readonly hearingSince: () => number | null;
  readonly contact: (agent: string) => Contact;
  readonly agentName: (agent: string) => string | null;
  readonly write: (change: SlaChangeRecord) => void;
}

export interface SlaFilter {
  readonly job?: string;
  readonly agent?: string;
  readonly verdict?: SlaVerdict;
}

export class SlaBoard {
  readonly #parts: SlaBoardParts;
  readonly #agents = new Map<string, Map<string, SlaEntry[]>>();
  /** Promises of the whole fleet, by job. */
  readonly #fleet = new Map<string, FleetPromise[]>();
  readonly #due = new DueHeap<SlaEntry>();
  readonly #fleetOf = new Map<SlaEntry, FleetPromise>();
  readonly #listeners = new Set<() => void>();
  /** What stood at the last stop, until its promise is made again. */
  readonly #restored = new Map<string, SlaIntervalRecord>();
  #isDeaf = false;
  #cancelTick: () => void = () => undefined;

  constructor(parts: SlaBoardParts, standing: readonly SlaIntervalRecord[]) {
    this.#parts = parts;
    for (const each of standing) this.#restored.set(keyOf(each), each);
  }

  start(): void {
    this.#cancelTick = this.#parts.clock.after(TICK_MS, () => {
      this.tick();
      this.start();
    });
  }

  stop(): void {
    this.#cancelTick();
  }

  /** What is promised of these jobs on the agent, and of no others. */
  place(agent: string, jobs: readonly SlaJob[]): void {
    const before = this.#agents.get(agent) ?? new Map<string, SlaEntry[]>();
    const after = new Map<string, SlaEntry[]>();
    for (const job of jobs) {
      const entries = this.#entriesOf(agent, job, before.get(job.name) ?? []);
      if (entries.length > 0) after.set(job.name, entries);
      this.#placeFleet(agent, job);
    }
    for (const [name, entries] of before) {
      const kept = new Set(after.get(name));
      for (const entry of entries) if (!kept.has(entry)) this.#end(entry);
    }
    const names = new Set(jobs.map(({ name }) => name));
    for (const [name, promises] of this.#fleet) {
      if (!names.has(name)) for (const promise of promises) this.#leaveFleet(promise, agent);
    }
    if (after.size === 0) this.#agents.delete(agent);
    else this.#agents.set(agent, after);
  }

  /** Promises that were not made again after the start are over. */
  placed(): void {
    const at = this.#parts.clock.now();
    for (const { job, agent, sla, kind } of this.#restored.values()) {
      const cause = 'not promised any more';
      const of = { line: 'own', job, agent, sla, kind, judge: 'control-plane' } as const;
      this.#parts.write({ ...of, verdict: null, cause, at });
    }
    this.#restored.clear();
  }

  /** A heartbeat came, or the verdict on the connection changed. */
  heard(agent: string, reports: readonly SlaReport[] | undefined): void {
    const jobs = this.#agents.get(agent);
    if (jobs === undefined) return;
    for (const [job, entries] of jobs) {
      for (const entry of entries) {
        if (reports !== undefined) {
          entry.device =
            reports.find((each) => each.job === job && each.sla === entry.name) ?? null;
        }
        this.#look(entry);
      }
    }
  }

  /** Rows that are new in the store. */
  arrived(agent: string, rows: readonly Arrived[], at: number): void {
    const jobs = this.#agents.get(agent);
    for (const { job, dataset, windowStart, windowEnd, lagMs } of rows) {
      for (const entry of jobs?.get(job) ?? []) {
        entry.lastAt = at;
        entry.delivered = { at, lagMs };
        // Fresh is seen when it is due; what is not met may be over now.
        if (entry.state.kind !== 'met' || isSlow(entry, lagMs)) this.#look(entry);
      }
      if (windowStart === null || windowEnd === null) continue;
      for (const promise of this.#fleet.get(job) ?? []) {
        if (!promise.takes(dataset)) continue;
        if (promise.reported(agent, windowStart, windowEnd)) this.#lookFleet(promise);
      }
    }
  }

  /** Runs that ended, as a device reported them. */
  ended(agent: string, run: ArrivedRun): void {
    for (const entry of this.#agents.get(agent)?.get(run.job) ?? []) {
      if (run.failure !== null) entry.failure = run.failure;
      else if (run.at >= entry.doneUpTo) {
        entry.doneUpTo = run.at;
        entry.lastSuccessAt = run.endedAt;
        entry.failure = null;
      }
      this.#look(entry);
    }
    if (run.failure !== null) return;
    for (const promise of this.#fleet.get(run.job) ?? []) {
      if (!promise.takesRuns) continue;
      const { partitionStart, partitionEnd } = run;
      if (promise.reported(agent, partitionStart, partitionEnd)) this.#lookFleet(promise);
    }
  }

  /** Looks at what is due; `start` does it every second. */
  tick(): void {
    const now = this.#parts.clock.now();
    const isDeaf = this.#parts.hearingSince() === null;
    if (isDeaf && !this.#isDeaf) for (const entry of this.#entries({})) this.#entrust(entry, now);
    this.#isDeaf = isDeaf;
    if (isDeaf) return;
    for (let entry = this.#due.take(now); entry !== undefined; entry = this.#due.take(now)) {
      this.#look(entry);
    }
  }

  verdictsOf(
    agent: string,
    job: string,
  ): readonly { readonly sla: string; readonly verdict: SlaVerdict; readonly since: number }[] {
    const entries = this.#agents.get(agent)?.get(job) ?? [];
    return entries.flatMap(({ name: sla, state }) =>
      state.kind === 'unknown' ? [] : [{ sla, verdict: state.kind, since: state.since }],
    );
  }

  /** By job, sla and name of the agent. `agent` is an id. */
  list(filter: SlaFilter = {}): SlaItem[] {
    const items: SlaItem[] = [];
    for (const entry of this.#entries(filter)) {
      const item = this.#item(entry);
      if (item === null) continue;
      if (filter.verdict === undefined || item.verdict === filter.verdict) items.push(item);
    }
    return items.toSorted(
      (a, b) =>
        compare(a.job, b.job) ||
        compare(a.sla, b.sla) ||
        compare(a.agentName ?? '', b.agentName ?? '') ||
        compare(a.agent ?? '', b.agent ?? ''),
    );
  }

  counts(): SlaCounts {
    const counts = { met: 0, atRisk: 0, breached: 0, unreachable: 0 };
    for (const { state } of this.#entries({})) {
      if (state.kind !== 'unknown') counts[state.kind] += 1;
    }
    return counts;
  }

  /** Told that a verdict changed or that there is none any more; the returned function stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What the device says of itself now, for whoever reads its history. */
  deviceSince(agent: string, job: string, sla: string): number | null {
    const entries = this.#agents.get(agent)?.get(job) ?? [];
    return entries.find(({ name }) => name === sla)?.device?.since ?? null;
  }

  /** Objective and window of what a job promises now, by the name of the promise. */
  termsOf(job: string): ReadonlyMap<string, Pick<Sla, 'objective' | 'windowMs'>> {
    const terms = new Map<string, Sla>();
    for (const { name, promise } of this.#entries({ job })) terms.set(name, promise.sla);
    return terms;
  }

  *#entries({ job, agent }: SlaFilter): Generator<SlaEntry> {
    const agents = agent === undefined ? this.#agents.keys() : [agent];
    for (const id of agents) {
      for (const [name, entries] of this.#agents.get(id) ?? []) {
        if (job === undefined || name === job) yield* entries;
      }
    }
    if (agent !== undefined) return;
    for (const [name, promises] of this.#fleet) {
      if (job === undefined || name === job) yield* promises.map(({ entry }) => entry);
    }
  }

  #entriesOf(agent: string, job: SlaJob, before: readonly SlaEntry[]): SlaEntry[] {
    const now = this.#parts.clock.now();
    return job.promises
      .filter(({ sla }) => !isFleetWide(sla))
      .map((promise) => {
        const { name, kind } = promise.sla;
        const known = before.find((each) => each.name === name && each.promise.sla.kind === kind);
        if (known !== undefined) {
          known.promise = promise;
          known.seesResults = job.sendsResults;
          return known;
        }
        const identity = { job: job.name, agent, name, promise, seesResults: job.sendsResults };
        const entry = this.#restore(newEntry(identity, now));
        this.#look(entry);
        return entry;
      });
  }

  #placeFleet(agent: string, job: SlaJob): void {
    const wanted = job.promises.filter(({ sla }) => isFleetWide(sla));
    if (wanted.length === 0 && !this.#fleet.has(job.name)) return;
    const before = this.#fleet.get(job.name) ?? [];
    const promises = wanted.map((promise) => {
      const known = before.find(({ entry }) => entry.name === promise.sla.name);
      if (known !== undefined) {
        known.entry.promise = promise;
        return known;
      }
      const identity = { job: job.name, agent: null, name: promise.sla.name, promise };
      const entry = newEntry({ ...identity, seesResults: true }, this.#parts.clock.now());
      const made = new FleetPromise(this.#restore(entry), job.kind);
      this.#fleetOf.set(entry, made);
      return made;
    });
    for (const each of before) if (!promises.includes(each)) this.#endFleet(each);
    this.#fleet.set(job.name, promises);
    for (const promise of promises) promise.targeted.add(agent);
  }

  #leaveFleet(promise: FleetPromise, agent: string): void {
    if (!promise.leave(agent) || promise.targeted.size > 0) return;
    const { job } = promise.entry;
    const left = (this.#fleet.get(job) ?? []).filter((each) => each !== promise);
    if (left.length === 0) this.#fleet.delete(job);
    else this.#fleet.set(job, left);
    this.#endFleet(promise);
  }

  #endFleet({ entry }: FleetPromise): void {
    this.#fleetOf.delete(entry);
    this.#end(entry);
  }

  /** What stood before this process began goes on. */
  #restore(entry: SlaEntry): SlaEntry {
    const key = keyOf({ job: entry.job, agent: entry.agent, sla: entry.name });
    const stood = this.#restored.get(key);
    if (stood === undefined || stood.kind !== entry.promise.sla.kind) return entry;
    this.#restored.delete(key);
    const { verdict: kind, from: since, cause } = stood;
    const standing = { since, cause };
    const state: SlaState =
      kind === 'met' || kind === 'unreachable'
        ? { kind, ...standing }
        : { kind, ...standing, easingSince: null };
    entry.state = state;
    entry.judge = stood.judge;
    // Since it was heard last nobody was here to see anything.
    if (entry.agent !== null) {
      this.#entrust(entry, this.#parts.contact(entry.agent).lastSeenAt ?? since);
    }
    return entry;
  }

  /** From here on its history is the device's to tell, until something is seen here again. */
  #entrust(entry: SlaEntry, at: number): void {
    const { job, agent, name: sla, state } = entry;
    if (agent === null || entry.judge === 'device') return;
    if (state.kind === 'unknown' || state.kind === 'unreachable') return;
    entry.judge = 'device';
    const { kind: verdict, cause, since } = state;
    const { kind } = entry.promise.sla;
    const of = { line: 'own', job, agent, sla, kind, judge: 'device' } as const;
    this.#parts.write({ ...of, verdict, cause, at: Math.max(at, since) });
  }

  #end(entry: SlaEntry): void {
    this.#due.delete(entry);
    const { state, effects } = slaTransition(
      entry.state,
      { kind: 'ended' },
      this.#parts.clock.now(),
    );
    entry.state = state;
    this.#tell(entry, effects);
  }

  #look(entry: SlaEntry): void {
    const fleetWide = this.#fleetOf.get(entry);
    if (fleetWide !== undefined) {
      this.#lookFleet(fleetWide);
      return;
    }
    const { clock, contact, hearingSince } = this.#parts;
    const since = hearingSince();
    if (since === null || entry.agent === null) return;
    const { changes, nextAt } = look(entry, contact(entry.agent), since, clock.now());
    this.#due.put(entry, nextAt);
    this.#tell(entry, changes);
  }

  #lookFleet(promise: FleetPromise): void {
    const { clock, contact, hearingSince } = this.#parts;
    const since = hearingSince();
    if (since === null) return;
    const isSilent = (agent: string): boolean => {
      const { connection } = contact(agent);
      return connection === 'offline' || connection === 'never';
    };
    const { changes, nextAt } = promise.look(isSilent, since, clock.now());
    this.#due.put(promise.entry, nextAt);
    this.#tell(promise.entry, changes);
  }

  #tell(entry: SlaEntry, changes: readonly SlaChange[]): void {
    const { job, agent, name: sla, judge } = entry;
    const { kind } = entry.promise.sla;
    for (const { verdict, at, cause } of changes) {
      this.#parts.write({ line: 'own', job, agent, sla, kind, verdict, cause, judge, at });
    }
    if (changes.length > 0) for (const listener of this.#listeners) listener();
  }

  #item(entry: SlaEntry): SlaItem | null {
    const { job, agent, name, state } = entry;
    if (state.kind === 'unknown') return null;
    return {
      job,
      agent,
      agentName: agent === null ? null : this.#parts.agentName(agent),
      sla: name,
      kind: entry.promise.sla.kind,
      verdict: state.kind,
      since: state.since,
      cause: state.cause,
      target: slaTarget(entry.promise.sla),
      deviceVerdict: shownDeviceVerdict(entry),
    };
  }
}

function keyOf({ job, agent, sla }: Pick<SlaItem, 'job' | 'agent' | 'sla'>): string {
  return `${job}/${agent ?? ''}/${sla}`;
}
