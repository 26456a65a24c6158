/**
 * The alerts that are open, in memory and in the store.
 *
 * Guarantees: of a fingerprint at most one is open (the store's index agrees); what is in memory is
 * what the store committed, so that a crash loses nothing that anybody was told of; changes are
 * made one `commit` after the other, each in one transaction, with whatever the caller wants to be
 * in it (a cursor). A commit that fails changes nothing, and the caller tries again.
 *
 * Bounded by `limits.alertsOpenMax`: one more is not opened, and counted.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { randomId } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Kysely, Transaction } from 'kysely';
import { type AlertRecord, liveAlerts, putAlerts } from '../store/alerts.ts';
import type { Schema } from '../store/schema.ts';
import { Turns } from '../turns.ts';
import {
  type AlertChange,
  type AlertEvent,
  type AlertLife,
  FLAP_MS,
  newAlert,
  transition,
} from './alert-state.ts';
import { alertLabels, alertText, type Finding, groupKeyOf } from './finding.ts';

export interface AlertChanged {
  readonly alert: AlertRecord;
  readonly change: AlertChange | 'opened';
}

/** How a commit changes alerts; each answers what came of it. */
export interface AlertDraft {
  /** The open one of this fingerprint. */
  open(fingerprint: string): AlertRecord | undefined;
  /** Says it, `at` by our clock; undefined when there is no room for another. */
  fire(finding: Finding, at: number): AlertChanged | undefined;
  resolve(fingerprint: string, at: number): AlertChanged | undefined;
  /** Undefined when no such alert is open or ended a moment ago. */
  change(alert: string, event: AlertEvent): AlertChanged | undefined;
}

export interface AlertBookParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
  /** The silence that matches these labels now. */
  readonly silencedBy: (labels: ReadonlyMap<string, string>) => string | null;
}

export class AlertBook {
  readonly counters = { refused: 0, opened: new Map<string, number>(), resolved: 0 };
  readonly #parts: AlertBookParts;
  readonly #turns = new Turns();
  readonly #listeners = new Set<(changes: readonly AlertChanged[]) => void>();
  /** By fingerprint: open ones, and the newest that ended within `FLAP_MS`. */
  readonly #live = new Map<string, AlertRecord>();
  readonly #fingerprints = new Map<string, string>();
  readonly #byAgent = new Map<string, Set<string>>();
  readonly #byGroup = new Map<string, Set<string>>();
  #open = 0;

  static async open(parts: AlertBookParts): Promise<AlertBook> {
    const book = new AlertBook(parts);
    const since = parts.clock.now() - FLAP_MS;
    for (const record of await liveAlerts(parts.db, since)) book.#keep(record);
    return book;
  }

  private constructor(parts: AlertBookParts) {
    this.#parts = parts;
  }

  /** How many are open. */
  get size(): number {
    return this.#open;
  }

  /** Called after the commit, with what changed in it. */
  onChange(listener: (changes: readonly AlertChanged[]) => void): void {
    this.#listeners.add(listener);
  }

  *openAlerts(): Generator<AlertRecord> {
    for (const record of this.#live.values()) if (record.endedAt === null) yield record;
  }

  /** Open ones that concern this device. */
  openOfAgent(agent: string): AlertRecord[] {
    return this.#named(this.#byAgent.get(agent));
  }

  /** Open ones that are told together. */
  openOfGroup(key: string): AlertRecord[] {
    return this.#named(this.#byGroup.get(key));
  }

  openGroups(): string[] {
    return [...this.#byGroup.keys()];
  }

  /** The open one of this id. */
  byId(alert: string): AlertRecord | undefined {
    const record = this.#live.get(this.#fingerprints.get(alert) ?? '');
    return record?.alert === alert && record.endedAt === null ? record : undefined;
  }

  openOf(fingerprint: string): AlertRecord | undefined {
    const record = this.#live.get(fingerprint);
    return record?.endedAt === null ? record : undefined;
  }

  /** `also` is written in the same transaction; with it one is made even when nothing changed. */
  async commit(
    work: (draft: AlertDraft) => void,
    also?: (transaction: Transaction<Schema>) => Promise<void>,
  ): Promise<readonly AlertChanged[]> {
    const changes = await this.#turns.take(async () => {
      const draft = new Draft(this.#parts, this.#live, this.#fingerprints, this.#open);
      work(draft);
      const records = [...draft.records.values()];
      if (records.length > 0 || also !== undefined) {
        await this.#parts.db.transaction().execute(async (transaction) => {
          await putAlerts(transaction, records);
          await also?.(transaction);
        });
      }
      for (const record of records) this.#keep(record);
      this.#count(draft);
      return draft.changes;
    });
    if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
    return changes;
  }

  /** Forgets what ended long enough ago to be another alert when it comes again. */
  forgetEnded(): void {
    const before = this.#parts.clock.now() - FLAP_MS;
    for (const [fingerprint, { endedAt, alert }] of this.#live) {
      if (endedAt === null || endedAt > before) continue;
      this.#live.delete(fingerprint);
      this.#fingerprints.delete(alert);
    }
  }

  async settled(): Promise<void> {
    await this.#turns.settled();
  }

  #count({ refused, changes }: Draft): void {
    this.counters.refused += refused;
    for (const { alert, change } of changes) {
      if (change === 'resolved') this.counters.resolved += 1;
      if (change !== 'opened') continue;
      const { opened } = this.counters;
      opened.set(alert.source, (opened.get(alert.source) ?? 0) + 1);
    }
  }

  #named(fingerprints: ReadonlySet<string> = new Set()): AlertRecord[] {
    return [...fingerprints].flatMap((fingerprint) => this.openOf(fingerprint) ?? []);
  }

  #keep(record: AlertRecord): void {
    const { fingerprint, alert, agent } = record;
    const before = this.#live.get(fingerprint);
    if (before !== undefined) {
      if (before.alert !== alert) this.#fingerprints.delete(before.alert);
      if (before.endedAt === null) this.#open -= 1;
      removeFrom(this.#byAgent, before.agent ?? '', fingerprint);
      removeFrom(this.#byGroup, groupKeyOf(before), fingerprint);
    }
    this.#live.set(fingerprint, record);
    this.#fingerprints.set(alert, fingerprint);
    if (record.endedAt !== null) return;
    this.#open += 1;
    addTo(this.#byAgent, agent ?? '', fingerprint);
    addTo(this.#byGroup, groupKeyOf(record), fingerprint);
  }
}

/** What one commit changes, laid over what is there. */
class Draft implements AlertDraft {
  readonly changes: AlertChanged[] = [];
  /** By id, in the order of their first change: what ended stands before what took its place. */
  readonly records = new Map<string, AlertRecord>();
  refused = 0;
  readonly #parts: AlertBookParts;
  readonly #live: ReadonlyMap<string, AlertRecord>;
  readonly #fingerprints: ReadonlyMap<string, string>;
  readonly #over = new Map<string, AlertRecord>();
  #open: number;

  constructor(
    parts: AlertBookParts,
    live: ReadonlyMap<string, AlertRecord>,
    fingerprints: ReadonlyMap<string, string>,
    open: number,
  ) {
    this.#parts = parts;
    this.#live = live;
    this.#fingerprints = fingerprints;
    this.#open = open;
  }

  open(fingerprint: string): AlertRecord | undefined {
    const record = this.#at(fingerprint);
    return record?.endedAt === null ? record : undefined;
  }

  fire(finding: Finding, at: number): AlertChanged | undefined {
    const before = this.#at(finding.fingerprint);
    if (before === undefined) return this.#begin(finding, at);
    const { severity } = finding;
    const step = transition(lifeOf(before), { kind: 'fire', severity }, at);
    if (step.change === 'anew') return this.#begin(finding, at);
    const said = this.#put({ ...before, ...textsOf(finding) }, step.state, step.change);
    return this.#matchSilence(said);
  }

  resolve(fingerprint: string, at: number): AlertChanged | undefined {
    const before = this.open(fingerprint);
    if (before === undefined) return undefined;
    const step = transition(lifeOf(before), { kind: 'resolve' }, at);
    return this.#put(before, step.state, step.change);
  }

  change(alert: string, event: AlertEvent): AlertChanged | undefined {
    const before = this.#at(this.#fingerprints.get(alert) ?? '');
    if (before?.alert !== alert) return undefined;
    const step = transition(lifeOf(before), event, this.#parts.clock.now());
    const same = step.change === 'none' && step.state.silencedBy === before.silencedBy;
    if (same || step.change === 'refused') return { alert: before, change: step.change };
    return this.#put(before, step.state, step.change);
  }

  #begin(finding: Finding, at: number): AlertChanged | undefined {
    if (this.#open >= limits.alertsOpenMax) {
      this.refused += 1;
      return undefined;
    }
    const { random, silencedBy } = this.#parts;
    const { severity, fingerprint, source, agent, job } = finding;
    const texts = textsOf(finding);
    const silence = silencedBy(alertLabels({ ...texts, source, severity }));
    const head = { alert: randomId(random, 12), fingerprint, source, agent, job, ...texts };
    return this.#put(head, newAlert(severity, at, silence), 'opened');
  }

  /** Its severity may have changed, or it was over meanwhile: other silences may match it. */
  #matchSilence(said: AlertChanged): AlertChanged {
    const { alert, change } = said;
    const silence = this.#parts.silencedBy(alertLabels(alert));
    if (silence === alert.silencedBy) return said;
    const event: AlertEvent =
      silence === null ? { kind: 'unsilence' } : { kind: 'silence', by: silence };
    const step = transition(lifeOf(alert), event, alert.lastAt);
    this.changes.pop();
    return this.#put(alert, step.state, step.change === 'none' ? change : step.change);
  }

  #at(fingerprint: string): AlertRecord | undefined {
    return this.#over.get(fingerprint) ?? this.#live.get(fingerprint);
  }

  #put(head: AlertHead, life: AlertLife, change: AlertChanged['change']): AlertChanged {
    const wasOpen = this.open(head.fingerprint) !== undefined;
    const record = withLife(head, life);
    this.#open += (record.endedAt === null ? 1 : 0) - (wasOpen ? 1 : 0);
    this.#over.set(head.fingerprint, record);
    this.records.set(record.alert, record);
    const changed = { alert: record, change };
    this.changes.push(changed);
    return changed;
  }
}

type AlertHead = Omit<
  AlertRecord,
  | 'severity'
  | 'state'
  | 'startedAt'
  | 'lastAt'
  | 'endedAt'
  | 'count'
  | 'acknowledgedBy'
  | 'silencedBy'
>;

function textsOf({ title, message, labels, link }: Finding) {
  return { title: alertText(title), message: alertText(message), labels, link };
}

function lifeOf(record: AlertRecord): AlertLife {
  const { severity, startedAt, lastAt, count, silencedBy, endedAt, acknowledgedBy } = record;
  const common = { severity, startedAt, lastAt, count, silencedBy };
  if (endedAt !== null) return { ...common, kind: 'resolved', endedAt };
  if (acknowledgedBy !== null) return { ...common, kind: 'acknowledged', by: acknowledgedBy };
  return silencedBy === null
    ? { ...common, kind: 'firing' }
    : { ...common, kind: 'silenced', silencedBy };
}

function withLife(head: AlertHead, life: AlertLife): AlertRecord {
  const { severity, startedAt, lastAt, count, silencedBy } = life;
  return {
    ...head,
    ...{ severity, startedAt, lastAt, count, silencedBy },
    state: life.kind,
    endedAt: life.kind === 'resolved' ? life.endedAt : null,
    acknowledgedBy: life.kind === 'acknowledged' ? life.by : null,
  };
}

function addTo(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key) ?? new Set();
  index.set(key, values.add(value));
}

function removeFrom(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key);
  if (values?.delete(value) === true && values.size === 0) index.delete(key);
}
