/**
 * Tells receivers of alerts: the thin shell around notify-state.ts. It keeps each group's state in
 * the store before anything is sent and after each answer, so that a crash costs a second sending
 * under the same id, never a first. Every attempt is in the log.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { NotificationItem } from '../http/alert-messages.ts';
import { type AlertRecord, alertsByIds } from '../store/alerts.ts';
import { allGroups, deleteGroup, putGroup, putNotification } from '../store/notifications.ts';
import type { Schema } from '../store/schema.ts';
import type { AlertBook, AlertChanged } from './alert-book.ts';
import { severityOfRank, severityRank } from './alert-state.ts';
import { groupKeyOf } from './finding.ts';
import { decodeGroup, encodeGroup } from './group-codec.ts';
import {
  type Content,
  type GroupEvent,
  type GroupState,
  type GroupView,
  isOver,
  NEW_GROUP,
  nextLookAt,
  transition,
} from './notify-state.ts';
import { alertItem, type Message } from './receivers/message.ts';
import type { Receivers } from './receivers/receivers.ts';

export interface NotifierParts {
  readonly db: Kysely<Schema>;
  readonly book: AlertBook;
  readonly receivers: Receivers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Where the page is, for links; empty when nobody said. */
  readonly page: string;
}

interface Group {
  readonly receiver: string;
  readonly key: string;
  state: GroupState;
}

type Sending = Extract<GroupState, { kind: 'sending' }>;

export class Notifier {
  readonly counters = { sent: 0, retried: 0, gaveUp: 0 };
  readonly #parts: NotifierParts;
  readonly #groups = new Map<string, Group>();
  readonly #touched = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  static async open(parts: NotifierParts): Promise<Notifier> {
    const notifier = new Notifier(parts);
    const known = new Set(parts.receivers.names());
    for (const { receiver, key, state } of await allGroups(parts.db)) {
      if (!known.has(receiver)) continue;
      const group = { receiver, key, state: decodeGroup(state) };
      notifier.#groups.set(idOf(receiver, key), group);
      notifier.#step(group, { kind: 'restarted' });
      notifier.#touched.add(key);
    }
    for (const key of parts.book.openGroups()) notifier.#touched.add(key);
    return notifier;
  }

  private constructor(parts: NotifierParts) {
    this.#parts = parts;
  }

  get waiting(): number {
    return this.#groups.size;
  }

  /** After alerts changed. */
  changed(changes: readonly AlertChanged[]): void {
    for (const { alert, change } of changes) {
      if (change !== 'repeated') this.#touched.add(groupKeyOf(alert));
    }
  }

  /** It was set or deleted. */
  receiverChanged(name: string): void {
    const { receivers, book } = this.#parts;
    const gone = receivers.policyOf(name) === undefined;
    for (const [id, group] of this.#groups) {
      if (group.receiver !== name) continue;
      if (gone) this.#groups.delete(id);
      else this.#step(group, { kind: 'receiverChanged' });
      this.#touched.add(group.key);
    }
    for (const key of book.openGroups()) this.#touched.add(key);
  }

  /** Looks at every group that changed or whose time has come. */
  async look(): Promise<void> {
    const { clock, receivers } = this.#parts;
    const now = clock.now();
    const due = [...this.#groups.values()].filter(({ receiver, state }) => {
      const policy = receivers.policyOf(receiver);
      const at = policy === undefined ? null : nextLookAt(state, policy);
      return at !== null && at <= now;
    });
    for (const key of [...this.#touched]) {
      for (const receiver of receivers.names()) {
        // A full house: what is left is looked at when somebody has answered.
        if (this.#underWay.size >= limits.notificationsAtOnceMax) return;
        await this.#lookAt(receiver, key);
      }
      this.#touched.delete(key);
    }
    for (const { receiver, key } of due) {
      if (this.#underWay.size >= limits.notificationsAtOnceMax) return;
      await this.#lookAt(receiver, key);
    }
  }

  /** Sends one that says that it is a test; it is in the log like every other. */
  async test(receiver: string): Promise<NotificationItem> {
    const { receivers, random, clock } = this.#parts;
    const id = randomId(random);
    const at = clock.now();
    const message = { ...this.#message(receiver, id), firing: [testAlert(id, at)] };
    let error: string | null = null;
    try {
      await receivers.send(message, this.#stopping.signal);
    } catch (thrown) {
      error = messageOf(thrown);
    }
    const outcome = error === null ? 'sent' : 'failed';
    const item = { id, receiver, at, alerts: [], outcome, attempts: 1, error } as const;
    await putNotification(this.#parts.db, item);
    await receivers.told(this.#parts.db, receiver, clock.now(), error);
    return item;
  }

  /** Cuts what is under way; after the next start it is sent again. */
  async stop(): Promise<void> {
    this.#stopping.abort(new RunnelError('stopping', 'the control plane ends'));
    await Promise.all(this.#underWay);
  }

  async #lookAt(receiver: string, key: string): Promise<void> {
    const { clock, receivers, random, db } = this.#parts;
    const id = idOf(receiver, key);
    const policy = receivers.policyOf(receiver);
    if (policy === undefined) return;
    const group = this.#groups.get(id) ?? { receiver, key, state: NEW_GROUP };
    const view = this.#viewOf(group);
    if (group.state === NEW_GROUP && view.firing.length === 0) return;
    const before = group.state;
    const event = { kind: 'look', view, id: randomId(random) } as const;
    const { state, effect } = transition(before, event, clock.now(), policy);
    if (isOver(state, clock.now())) {
      if (before !== NEW_GROUP) await deleteGroup(db, group);
      this.#groups.delete(id);
      return;
    }
    if (JSON.stringify(state) !== JSON.stringify(before)) {
      await putGroup(db, { receiver, key, state: encodeGroup(state) });
    }
    group.state = state;
    this.#groups.set(id, group);
    if (effect === 'send' && state.kind === 'sending') this.#start(group, state);
  }

  #viewOf({ receiver, key, state }: Group): GroupView {
    const { book, receivers } = this.#parts;
    const group = book.openOfGroup(key);
    const open = group.filter((alert) => receivers.takes(receiver, alert));
    // One that was told and eased below what the receiver takes: it still wants to hear of its end.
    const eased = group.filter((alert) => alert.alert in state.told && !open.includes(alert));
    // Who takes for over what is not repeated hears of it until it is, whoever has taken it on.
    const isKept = receivers.policyOf(receiver)?.tellsAll === false;
    const isSaid = (alert: AlertRecord): boolean =>
      alert.state === 'firing' || (isKept && alert.alert in state.told);
    const ranked = open
      .filter(isSaid)
      .map((alert) => ({
        id: alert.alert,
        rank: severityRank(alert.severity),
        at: alert.startedAt,
      }))
      .toSorted((a, b) => b.rank - a.rank || a.at - b.at);
    return {
      firing: ranked.map(({ id, rank }) => ({ id, rank })),
      held: [...open.filter((alert) => !isSaid(alert)), ...eased].map(({ alert }) => alert),
      ended: Object.keys(state.told).filter((id) => book.byId(id) === undefined),
    };
  }

  #step(group: Group, event: GroupEvent): ReturnType<typeof transition> | undefined {
    const { clock, receivers } = this.#parts;
    const policy = receivers.policyOf(group.receiver);
    if (policy === undefined) return undefined;
    const step = transition(group.state, event, clock.now(), policy);
    group.state = step.state;
    return step;
  }

  #start(group: Group, state: Sending): void {
    const running: Promise<void> = this.#send(group, state)
      .catch((error: unknown) => {
        // The store failed: the group's state there says that it is under way, as after a crash.
        this.#parts.log.error({ err: error, receiver: group.receiver }, 'a notification is unsure');
        this.#step(group, { kind: 'restarted' });
      })
      .finally(() => this.#underWay.delete(running));
    this.#underWay.add(running);
  }

  async #send(group: Group, sending: Sending): Promise<void> {
    const { receivers, random } = this.#parts;
    let thrown: unknown;
    try {
      const message = await this.#messageOf(group, sending);
      await receivers.send(message, this.#stopping.signal);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      thrown = error;
    }
    // The receiver may be gone meanwhile, and its groups with it.
    if (this.#groups.get(idOf(group.receiver, group.key)) !== group) return;
    const retry = !(thrown instanceof RunnelError && thrown.retry === 'never');
    const step =
      thrown === undefined
        ? this.#step(group, { kind: 'sent' })
        : this.#step(group, { kind: 'failed', retry, spread: random.next() });
    const error = thrown === undefined ? null : messageOf(thrown);
    await this.#record(group, sending, step?.effect, error);
    this.#touched.add(group.key);
  }

  async #record(
    { receiver, key, state }: Group,
    { id, attempt, content }: Sending,
    effect: string | undefined,
    error: string | null,
  ): Promise<void> {
    const { db, clock, log, receivers } = this.#parts;
    const outcome = effect === 'sent' ? 'sent' : effect === 'gaveUp' ? 'failed' : 'retrying';
    const at = clock.now();
    // Of a receiver that is told of each by itself there may be very many.
    const alerts = idsOf(content).slice(0, limits.notificationAlertsMax);
    const item = { id, receiver, at, alerts, outcome, attempts: attempt, error } as const;
    await db.transaction().execute(async (transaction) => {
      await putGroup(transaction, { receiver, key, state: encodeGroup(state) });
      await putNotification(transaction, item);
      await receivers.told(transaction, receiver, at, error);
    });
    if (outcome === 'sent') this.counters.sent += 1;
    else if (outcome === 'failed') this.counters.gaveUp += 1;
    else this.counters.retried += 1;
    const told = { receiver, notification: id, alerts: alerts.length, attempt };
    if (error === null) log.info(told, 'a notification was sent');
    else log.warn({ ...told, outcome, error }, 'a notification was not taken');
  }

  async #messageOf({ receiver }: Group, { id, content }: Sending): Promise<Message> {
    const records = await this.#recordsOf(idsOf(content));
    const items = (ids: readonly string[]) =>
      ids.flatMap((alert) => {
        const record = records.get(alert);
        return record === undefined ? [] : [alertItem(record)];
      });
    const firing = items(content.firing.map((alert) => alert.id));
    const resolved = items(content.resolved);
    return {
      ...this.#message(receiver, id),
      // What ended while it was tried again is told as what it is.
      firing: firing.filter(({ endedAt }) => endedAt === null),
      resolved: [...resolved, ...firing.filter(({ endedAt }) => endedAt !== null)],
      more: content.more.length,
      was: new Map(Object.entries(content.was).map(([id, rank]) => [id, severityOfRank(rank)])),
    };
  }

  async #recordsOf(ids: readonly string[]): Promise<Map<string, AlertRecord>> {
    const records = new Map<string, AlertRecord>();
    for (let start = 0; start < ids.length; start += limits.notificationAlertsMax) {
      const chunk = ids.slice(start, start + limits.notificationAlertsMax);
      for (const record of await alertsByIds(this.#parts.db, chunk)) {
        records.set(record.alert, record);
      }
    }
    return records;
  }

  #message(receiver: string, id: string): Message {
    const { clock, page } = this.#parts;
    return {
      id,
      receiver,
      at: clock.now(),
      firing: [],
      resolved: [],
      more: 0,
      was: new Map(),
      page,
    };
  }
}

const idOf = (receiver: string, key: string): string => `${receiver} ${key}`;

function idsOf({ firing, resolved }: Content): string[] {
  return [...firing.map(({ id }) => id), ...resolved];
}

function testAlert(id: string, at: number): Message['firing'][number] {
  return {
    id,
    source: 'device',
    severity: 'info',
    state: 'firing',
    title: 'This is a test',
    message: 'Runnel reaches this receiver; nothing is wrong.',
    labels: { source: 'device', severity: 'info', test: 'true' },
    ...{ agent: null, agentName: null, job: null, startedAt: at, lastAt: at, endedAt: null },
    ...{ count: 1, acknowledgedBy: null, silencedBy: null, link: '/alerts' },
  };
}
