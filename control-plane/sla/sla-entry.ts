/**
 * One promise on one device as the control plane sees it: what the device says of itself, what
 * reached the store, and the verdict of both. The worse of the two stands: a device whose results
 * do not arrive keeps its promise only in its own eyes.
 *
 * A device that is offline is `unreachable`, whatever it said last: that is kept beside it.
 */
import type { Sla } from '@runnel/shared/definitions/sla.ts';
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import { holdMs, judge, type Judgement, worstOf } from '@runnel/shared/sla/judge.ts';
import { spanText } from '@runnel/shared/sla/span-text.ts';
import {
  easedAt,
  type SlaChange,
  type SlaEvent,
  slaTransition,
  type SlaState,
  UNKNOWN,
} from '@runnel/shared/sla/sla-state.ts';
import type { SlaJudge } from '../store/slas.ts';
import type { SlaPromise } from './sla-jobs.ts';

export interface SlaEntry {
  readonly job: string;
  /** Null: of the whole fleet. */
  readonly agent: string | null;
  readonly name: string;
  promise: SlaPromise;
  /** Results of the job come here, so that their freshness can be seen. */
  seesResults: boolean;
  state: SlaState;
  judge: SlaJudge;
  device: SlaReport | null;
  /** Facts of our own: when silence began to count, and what came. */
  sinceAt: number;
  lastAt: number | null;
  delivered: { readonly at: number; readonly lagMs: number } | null;
  /** Newest time of the schedule that a successful run stands for. */
  doneUpTo: number;
  lastSuccessAt: number | null;
  failure: string | null;
}

export function newEntry(
  identity: Pick<SlaEntry, 'job' | 'agent' | 'name' | 'promise' | 'seesResults'>,
  now: number,
): SlaEntry {
  return {
    ...identity,
    state: UNKNOWN,
    judge: 'control-plane',
    device: null,
    sinceAt: now,
    lastAt: null,
    delivered: null,
    doneUpTo: now,
    lastSuccessAt: null,
    failure: null,
  };
}

/** What is known of the device beside its promises. */
export interface Contact {
  readonly connection: ConnectionState;
  readonly lastSeenAt: number | null;
  /** Up to when what did not come was not sent; null: nobody knows (intake/heard-up-to.ts). */
  readonly heardUpTo: number | null;
  /** How long the oldest row had waited on it when it last said so; null: nothing waited. */
  readonly waitingMs: number | null;
  /** By how much our clock is ahead of the device's. */
  readonly skewMs: number;
}

export interface Looked {
  readonly changes: readonly SlaChange[];
  readonly nextAt: number;
}

/** `hearingSince`: since when devices can be heard here; silence before it does not count. */
export function look(entry: SlaEntry, contact: Contact, hearingSince: number, now: number): Looked {
  if (contact.connection === 'offline') {
    const seen = contact.lastSeenAt;
    const silent = seen === null ? '' : ` for ${spanText(now - seen)}`;
    const cause = `the device has not been heard${silent}`;
    return apply(entry, { kind: 'silent', from: now, cause }, now, Infinity);
  }
  // Before its first word there is nothing to say of it.
  if (contact.connection === 'never') return { changes: [], nextAt: Infinity };
  const { sla } = entry.promise;
  const own = judgeOwn(entry, contact, hearingSince, now);
  const device = entry.device === null ? null : judgementOf(entry.device, contact.skewMs, now);
  const both = [device, own].filter((each) => each !== null);
  const worst = worstOf(both);
  if (worst === undefined) return { changes: [], nextAt: Infinity };
  const byDevice = device !== null && worst.verdict === device.verdict;
  // The device has held its own verdict already.
  const hold = byDevice && entry.judge === 'device' ? 0 : holdMs(sla);
  const { verdict: kind, cause, nextAt } = worst;
  const from = byDevice ? device.from : worst.from;
  const event = { kind, from, cause: byDevice ? device.cause : cause, holdMs: hold } as const;
  return apply(entry, event, now, nextAt, byDevice ? 'device' : 'control-plane');
}

function apply(
  entry: SlaEntry,
  event: SlaEvent,
  now: number,
  nextAt: number,
  by: SlaJudge = 'control-plane',
): Looked {
  const before = entry.state.kind;
  const { state, effects } = slaTransition(entry.state, event, now);
  entry.state = state;
  if (state.kind !== before || state.kind === event.kind) entry.judge = by;
  const hold = 'holdMs' in event ? event.holdMs : 0;
  const due = Math.min(nextAt, easedAt(state, hold));
  return { changes: effects, nextAt: due > now ? due : Infinity };
}

/** By our clock: one that is behind must not date a breach before the version that caused it. */
function judgementOf(report: SlaReport, skewMs: number, now: number): Judgement {
  const { verdict, since, cause } = report;
  return { verdict, from: Math.min(since + skewMs, now), cause, nextAt: Infinity };
}

/** Null: nothing of it can be seen from here. */
function judgeOwn(
  entry: SlaEntry,
  { heardUpTo, lastSeenAt, waitingMs }: Contact,
  hearingSince: number,
  now: number,
): Judgement | null {
  const { promise, lastAt, delivered, doneUpTo, lastSuccessAt, failure } = entry;
  const sinceAt = Math.max(entry.sinceAt, hearingSince);
  const { sla, deadlines } = promise;
  switch (sla.kind) {
    case 'freshness': {
      // What did not come since may be on its way, or the way may be cut.
      const heard = Math.min(Math.max(heardUpTo ?? -Infinity, lastAt ?? -Infinity), now);
      if (!entry.seesResults || heard < sinceAt) return null;
      return judge(sla, { lastAt, sinceAt }, heard);
    }
    case 'deliveryLag': {
      // As it was said: what waited then may have come since.
      const oldestAt = waitingMs === null ? null : now - waitingMs;
      return judge(sla, { oldestAt, delivered }, now);
    }
    case 'deadline': {
      if (deadlines === null || heardUpTo === null) return null;
      // What still waits on the device may hold the run: after a cut it comes in its own time.
      const waitsSince = waitingMs === null ? now : (lastSeenAt ?? now) - waitingMs;
      const upTo = Math.min(heardUpTo, waitsSince, now);
      if (upTo < sinceAt) return null;
      const pending = deadlines.next(Math.max(doneUpTo, sinceAt)) ?? null;
      return judge(sla, { pending, lastSuccessAt, failure }, upTo);
    }
    case 'duration':
    case 'successRate':
    case 'completeness':
      return null;
  }
}

/** Whether rows that came after `lagMs` may change a verdict that is met. */
export function isSlow({ promise: { sla } }: SlaEntry, lagMs: number): boolean {
  return sla.kind === 'deliveryLag' && lagMs >= sla.withinMs * sla.atRisk;
}

/** The verdict of the device that counts while it cannot be reached. */
export function shownDeviceVerdict({ state, device }: SlaEntry): SlaReport['verdict'] | null {
  return state.kind === 'unreachable' ? (device?.verdict ?? null) : null;
}

export function isFleetWide(sla: Sla): boolean {
  return sla.kind === 'completeness';
}
