/**
 * When a receiver is told of a group of alerts, and what: a pure transition.
 *
 * A group is what one receiver gets in one notification: alerts of one source, job and site, so
 * that a site whose link is cut is one message and not a thousand. The first alert of a group waits
 * `groupWaitMs` for others; after a notification the next one waits `groupIntervalMs`; what still
 * fires is told again every `repeatMs`. At most one notification of a group is under way.
 *
 * Guarantees: told at least once. A notification is kept with its id and its alerts before it is
 * sent, and after a crash it is sent again under the same id. One that was not taken is tried
 * again with exponential backoff, then given up and counted; its alerts count as not told, so that
 * the group begins anew after `GIVEN_UP_PAUSE_MS` while they fire. Nothing is sent of an alert that
 * was over, silenced or acknowledged before its first notification.
 */
import { limits } from '@runnel/shared/limits.ts';

export interface NotifyPolicy {
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatMs: number;
  readonly sendResolved: boolean;
  /**
   * Alerts in one notification. With `tellsAll` the rest is told as a number; without it the rest
   * goes with the next one. Who is not told so keeps each alert by itself, and takes for over what
   * is not repeated.
   */
  readonly alertsMax: number;
  readonly tellsAll: boolean;
}

/** Alert → rank of the severity that was told. */
export type Told = Readonly<Record<string, number>>;

export interface OpenAlert {
  readonly id: string;
  readonly rank: number;
}

/** The group now, as far as this receiver is concerned. */
export interface GroupView {
  /** Neither acknowledged nor silenced; the worst first. */
  readonly firing: readonly OpenAlert[];
  /** Acknowledged, silenced, or told and too light by now: nothing is said until they end. */
  readonly held: readonly string[];
  /** Those that were told of and are over. */
  readonly ended: readonly string[];
}

export interface Content {
  readonly firing: readonly OpenAlert[];
  readonly resolved: readonly string[];
  /** Firing ones beyond `alertsMax`, which are told as a number. */
  readonly more: readonly OpenAlert[];
  /** Rank that was told last, of those of them that were told before. */
  readonly was: Told;
}

interface Common {
  readonly told: Told;
  /** No notification before this. */
  readonly notBefore: number;
  /** When something was told last; repeats count from it. */
  readonly sentAt: number | null;
}

interface UnderWay extends Common {
  /** Stable over every attempt. */
  readonly id: string;
  readonly content: Content;
  /** From 1. */
  readonly attempt: number;
}

export type GroupState =
  | (Common & { readonly kind: 'quiet' })
  | (Common & { readonly kind: 'waiting'; readonly dueAt: number })
  | (UnderWay & { readonly kind: 'sending' })
  | (UnderWay & { readonly kind: 'retrying'; readonly dueAt: number });

export type GroupEvent =
  /** The group may have changed, or its time has come; `id` is for a notification that begins. */
  | { readonly kind: 'look'; readonly view: GroupView; readonly id: string }
  | { readonly kind: 'sent' }
  /** `spread` in [0, 1) is chance. */
  | { readonly kind: 'failed'; readonly retry: boolean; readonly spread: number }
  /** The receiver was changed: what was given up or waits long is tried now. */
  | { readonly kind: 'receiverChanged' }
  /** The process began again; what was under way may or may not have been taken. */
  | { readonly kind: 'restarted' };

export type GroupEffect = 'none' | 'send' | 'retrying' | 'sent' | 'gaveUp';

export interface GroupStep {
  readonly state: GroupState;
  readonly effect: GroupEffect;
}

export const NEW_GROUP: GroupState = { kind: 'quiet', told: {}, notBefore: 0, sentAt: null };

const BACKOFF_MS_MIN = 5000;
const BACKOFF_MS_MAX = 5 * 60_000;
export const GIVEN_UP_PAUSE_MS = 15 * 60_000;

type StateOf<S extends GroupState['kind']> = Extract<GroupState, { kind: S }>;
type EventOf<E extends GroupEvent['kind']> = Extract<GroupEvent, { kind: E }>;
type Cell<S extends GroupState['kind'], E extends GroupEvent['kind']> = (
  state: StateOf<S>,
  event: EventOf<E>,
  now: number,
  policy: NotifyPolicy,
) => GroupStep;
type Row<S extends GroupState['kind']> = {
  readonly [E in GroupEvent['kind']]: Cell<S, E>;
};

export function transition(
  state: GroupState,
  event: GroupEvent,
  now: number,
  policy: NotifyPolicy,
): GroupStep {
  // The one cast: TypeScript cannot see that row and cell belong to this state and event.
  const row = TABLE[state.kind] as unknown as Record<
    string,
    (state: GroupState, event: GroupEvent, now: number, policy: NotifyPolicy) => GroupStep
  >;
  return row[event.kind]!(state, event, now, policy);
}

/** When the group wants to be looked at without being touched; null: never. */
export function nextLookAt(state: GroupState, policy: NotifyPolicy): number | null {
  switch (state.kind) {
    case 'sending':
      return null;
    case 'waiting':
    case 'retrying':
      return state.dueAt;
    case 'quiet':
      if (state.sentAt === null || Object.keys(state.told).length === 0) return null;
      return Math.max(state.sentAt + policy.repeatMs, state.notBefore);
  }
}

/** Nothing was told that is not over, and nothing is under way: it can be forgotten. */
export function isOver(state: GroupState, now: number): boolean {
  const idle = state.kind === 'quiet' && now >= state.notBefore;
  return idle && Object.keys(state.told).length === 0;
}

const stay = (state: GroupState): GroupStep => ({ state, effect: 'none' });

function common({ told, notBefore, sentAt }: Common): Common {
  return { told, notBefore, sentAt };
}

function isNews(told: Told, { id, rank }: OpenAlert): boolean {
  const before = told[id];
  return before === undefined || before < rank;
}

/** Without those of which nothing more can be said. */
function stillTold(told: Told, view: GroupView, { sendResolved }: NotifyPolicy): Told {
  const known = new Set([...view.firing.map(({ id }) => id), ...view.held]);
  if (sendResolved) for (const id of view.ended) known.add(id);
  return Object.fromEntries(Object.entries(told).filter(([id]) => known.has(id)));
}

function hasNews(told: Told, view: GroupView): boolean {
  return view.firing.some((alert) => isNews(told, alert)) || view.ended.some((id) => id in told);
}

function isRepeatDue({ told, sentAt }: Common, view: GroupView, now: number, repeatMs: number) {
  if (sentAt === null || now < sentAt + repeatMs) return false;
  return view.firing.some(({ id }) => id in told);
}

/** What fires, news first; and what is over. */
function contentOf(told: Told, view: GroupView, policy: NotifyPolicy): Content {
  const news = view.firing.filter((alert) => isNews(told, alert));
  const known = view.firing.filter((alert) => !isNews(told, alert));
  const all = [...news, ...known];
  const firing = all.slice(0, policy.alertsMax);
  const resolved = view.ended.filter((id) => id in told).slice(0, policy.alertsMax);
  const ids = [...firing.map(({ id }) => id), ...resolved].filter((id) => id in told);
  return {
    firing,
    resolved,
    more: policy.tellsAll ? all.slice(policy.alertsMax) : [],
    was: Object.fromEntries(ids.map((id) => [id, told[id]!])),
  };
}

function lookAtQuiet(
  state: StateOf<'quiet'>,
  { view, id }: EventOf<'look'>,
  now: number,
  policy: NotifyPolicy,
): GroupStep {
  const at = { ...common(state), told: stillTold(state.told, view, policy) };
  if (hasNews(at.told, view)) {
    const dueAt = Math.max(now + policy.groupWaitMs, at.notBefore);
    const waiting = { ...at, kind: 'waiting', dueAt } as const;
    return dueAt <= now ? begin(waiting, view, id, policy) : stay(waiting);
  }
  if (isRepeatDue(at, view, now, policy.repeatMs)) return begin(at, view, id, policy);
  // What is held is not repeated; the time for it counts on.
  const sentAt =
    at.sentAt !== null && now >= at.sentAt + policy.repeatMs && view.firing.length === 0
      ? now
      : at.sentAt;
  return stay({ ...at, sentAt, kind: 'quiet' });
}

function lookAtWaiting(
  state: StateOf<'waiting'>,
  { view, id }: EventOf<'look'>,
  now: number,
  policy: NotifyPolicy,
): GroupStep {
  const at = { ...common(state), told: stillTold(state.told, view, policy) };
  // All of it ended or was held back before anybody was told.
  if (!hasNews(at.told, view)) return stay({ ...at, kind: 'quiet' });
  if (now < state.dueAt) return stay({ ...at, kind: 'waiting', dueAt: state.dueAt });
  return begin(at, view, id, policy);
}

function begin(at: Common, view: GroupView, id: string, policy: NotifyPolicy): GroupStep {
  const content = contentOf(at.told, view, policy);
  return { state: { ...common(at), kind: 'sending', id, content, attempt: 1 }, effect: 'send' };
}

function sent(
  state: StateOf<'sending'>,
  _event: GroupEvent,
  now: number,
  policy: NotifyPolicy,
): GroupStep {
  const { firing, more, resolved } = state.content;
  const told: Record<string, number> = { ...state.told };
  for (const { id, rank } of [...firing, ...more]) told[id] = rank;
  for (const id of resolved) delete told[id];
  const notBefore = now + policy.groupIntervalMs;
  return { state: { kind: 'quiet', told, notBefore, sentAt: now }, effect: 'sent' };
}

function failed(
  state: StateOf<'sending'>,
  { retry, spread }: EventOf<'failed'>,
  now: number,
): GroupStep {
  if (!retry || state.attempt >= limits.notificationTriesMax) {
    const notBefore = now + GIVEN_UP_PAUSE_MS;
    return { state: { ...common(state), notBefore, kind: 'quiet' }, effect: 'gaveUp' };
  }
  const step = Math.min(BACKOFF_MS_MIN * 2 ** (state.attempt - 1), BACKOFF_MS_MAX);
  const dueAt = now + Math.round(step * (0.75 + spread / 2));
  return { state: { ...state, kind: 'retrying', dueAt }, effect: 'retrying' };
}

function lookAtRetrying(
  { dueAt, ...state }: StateOf<'retrying'>,
  _event: GroupEvent,
  now: number,
): GroupStep {
  if (now < dueAt) return stay({ ...state, dueAt });
  return { state: { ...state, kind: 'sending', attempt: state.attempt + 1 }, effect: 'send' };
}

/** The complete table: a cell that is missing does not compile. */
const TABLE: { readonly [S in GroupState['kind']]: Row<S> } = {
  quiet: {
    look: lookAtQuiet,
    sent: stay,
    failed: stay,
    receiverChanged: (state, _event, now) => stay({ ...state, notBefore: now }),
    restarted: stay,
  },
  waiting: {
    look: lookAtWaiting,
    sent: stay,
    failed: stay,
    receiverChanged: (state, _event, now) => stay({ ...state, dueAt: Math.min(state.dueAt, now) }),
    restarted: stay,
  },
  sending: {
    // One at a time: what is new waits for its end.
    look: stay,
    sent,
    failed,
    receiverChanged: stay,
    restarted: (state, _event, now) => stay({ ...state, kind: 'retrying', dueAt: now }),
  },
  retrying: {
    look: lookAtRetrying,
    sent: stay,
    failed: stay,
    // Whatever was wrong with it may be mended: its tries begin again.
    receiverChanged: (state, _event, now) => stay({ ...state, attempt: 0, dueAt: now }),
    restarted: stay,
  },
};
