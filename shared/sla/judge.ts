/**
 * Judges one promise by facts: pure, no clock in here. The same facts at the same instant have the
 * same verdict wherever they are judged.
 *
 * A bound of time is met while it has not been reached: `freshness: 2m` is breached from the
 * instant at which the newest result is two minutes old. Null: the facts show nothing, and what
 * stood before stands.
 */
import type { Sla, SlaKind, SlaOf } from '../definitions/sla.ts';
import { percentText } from '../definitions/sla.ts';
import type { FactsByKind, FactsOf } from './facts.ts';
import type { Judged } from './sla-state.ts';
import { clockText, spanText } from './span-text.ts';

export interface Judgement {
  readonly verdict: Judged;
  /** Since when the facts show it; not after `now`. */
  readonly from: number;
  readonly cause: string;
  /** When time alone may change it, after `now`; Infinity: never. */
  readonly nextAt: number;
}

type Judge<K extends SlaKind> = (
  promise: SlaOf<K>,
  facts: FactsOf<K>,
  now: number,
) => Judgement | null;

const JUDGES: { readonly [K in SlaKind]: Judge<K> } = {
  freshness: judgeFreshness,
  deliveryLag: judgeDelivery,
  duration: judgeDuration,
  successRate: judgeSuccess,
  completeness: judgeCompleteness,
  deadline: judgeDeadline,
};

export function judge<K extends SlaKind>(
  promise: Sla & { readonly kind: K },
  facts: FactsByKind[K],
  now: number,
): Judgement | null {
  // The one cast: TypeScript cannot see that the judge of a kind takes that kind's promise.
  const of = JUDGES[promise.kind] as unknown as Judge<SlaKind>;
  return of(promise, facts, now);
}

/** Runs from which there is an average. */
const AVERAGE_OF_MIN = 3;
/** A rate changes as old records leave it: it is looked at this often. */
const RATE_LOOKS = 60;
/** Of counts up to thousands of millions. */
const ROUNDING = 1e-6;
/** Longest time that better must hold; see `holdMs`. */
const HOLD_MS_MAX = 5 * 60_000;
const RATE_HOLD_MS = 60_000;

/**
 * How long better must hold before it counts: a promise of time for as long as it speaks of, at
 * most five minutes, so that results which come a little late every time are one breach and not a
 * hundred. What changes once per run or window does not flap.
 */
export function holdMs(promise: Sla): number {
  switch (promise.kind) {
    case 'freshness':
    case 'deliveryLag':
      return Math.min(promise.withinMs, HOLD_MS_MAX);
    case 'successRate':
      return Math.min(promise.overMs, RATE_HOLD_MS);
    case 'duration':
    case 'completeness':
    case 'deadline':
      return 0;
  }
}

interface Ladder {
  readonly startAt: number;
  readonly boundMs: number;
  readonly atRisk: number;
}

/** Met, at risk from a share of the bound on, breached from all of it on. */
function climb({ startAt, boundMs, atRisk }: Ladder, now: number): Omit<Judgement, 'cause'> {
  const lateAt = startAt + boundMs;
  const riskAt = Math.min(startAt + Math.ceil(boundMs * atRisk), lateAt);
  if (now >= lateAt) return { verdict: 'breached', from: lateAt, nextAt: Infinity };
  if (now >= riskAt) return { verdict: 'atRisk', from: riskAt, nextAt: lateAt };
  return { verdict: 'met', from: Math.min(startAt, now), nextAt: riskAt };
}

function judgeFreshness(
  { withinMs, atRisk }: SlaOf<'freshness'>,
  { lastAt, sinceAt }: FactsOf<'freshness'>,
  now: number,
): Judgement {
  const startAt = Math.max(lastAt ?? sinceAt, sinceAt);
  const silent = spanText(now - (lastAt ?? sinceAt));
  const what = lastAt === null ? `no result yet, for ${silent}` : `no result for ${silent}`;
  const rung = climb({ startAt, boundMs: withinMs, atRisk }, now);
  const promised = `promised every ${spanText(withinMs)}`;
  if (rung.verdict !== 'met') return { ...rung, cause: `${what}, ${promised}` };
  const cause = lastAt === null ? `no result yet, ${promised}` : `results come, ${promised}`;
  return { ...rung, cause };
}

function judgeDelivery(
  { withinMs, atRisk }: SlaOf<'deliveryLag'>,
  { oldestAt, delivered }: FactsOf<'deliveryLag'>,
  now: number,
): Judgement {
  const promised = `promised within ${spanText(withinMs)}`;
  const waiting =
    oldestAt === null
      ? null
      : {
          ...climb({ startAt: oldestAt, boundMs: withinMs, atRisk }, now),
          cause: `what waits is ${spanText(now - oldestAt)} old, ${promised}`,
        };
  // What came late counts for as long as it could have been in time.
  const countsUntil = delivered === null ? -Infinity : delivered.at + withinMs;
  if (delivered !== null && now < countsUntil && delivered.lagMs >= withinMs * atRisk) {
    const verdict = delivered.lagMs >= withinMs ? 'breached' : 'atRisk';
    if (waiting === null || waiting.verdict !== 'breached') {
      const cause = `the last rows came after ${spanText(delivered.lagMs)}, ${promised}`;
      const nextAt = Math.min(countsUntil, waiting?.nextAt ?? Infinity);
      return { verdict, from: Math.min(delivered.at, now), nextAt, cause };
    }
  }
  if (waiting === null) {
    return { verdict: 'met', from: now, nextAt: Infinity, cause: `nothing waits, ${promised}` };
  }
  return waiting.verdict === 'met' ? { ...waiting, cause: `delivered, ${promised}` } : waiting;
}

function judgeDuration(
  promise: SlaOf<'duration'>,
  { recentMs, last, running }: FactsOf<'duration'>,
  now: number,
): Judgement {
  const { bound, atRisk } = promise;
  const recent = bound.kind === 'recent' ? recentMs.slice(-bound.runs) : [];
  if (bound.kind === 'recent' && recent.length < AVERAGE_OF_MIN) {
    const cause = `${runsText(recent.length)} so far: ${AVERAGE_OF_MIN} make an average`;
    return { verdict: 'met', from: now, nextAt: Infinity, cause };
  }
  const averageMs = recent.reduce((sum, each) => sum + each, 0) / Math.max(1, recent.length);
  const boundMs = bound.kind === 'fixed' ? bound.ms : Math.ceil(averageMs * bound.ratio);
  const promised =
    bound.kind === 'fixed'
      ? `promised ${spanText(boundMs)}`
      : `promised ${spanText(boundMs)}, ${percentText(bound.ratio)} of the last ` +
        runsText(recent.length);
  const candidates: Judgement[] = running.map((startAt) => ({
    ...climb({ startAt, boundMs, atRisk }, now),
    cause: `a run takes ${spanText(now - startAt)} so far, ${promised}`,
  }));
  if (last !== null) {
    const verdict =
      last.tookMs >= boundMs ? 'breached' : last.tookMs >= boundMs * atRisk ? 'atRisk' : 'met';
    const cause = `the last run took ${spanText(last.tookMs)}, ${promised}`;
    candidates.push({ verdict, from: Math.min(last.endedAt, now), nextAt: Infinity, cause });
  }
  const none = { verdict: 'met', from: now, nextAt: Infinity, cause: `no run yet, ${promised}` };
  return worstOf(candidates) ?? (none as Judgement);
}

function judgeSuccess(
  { share, overMs, atRisk }: SlaOf<'successRate'>,
  { total, failed, of }: FactsOf<'successRate'>,
  now: number,
): Judgement {
  const nextAt = now + Math.max(1000, Math.ceil(overMs / RATE_LOOKS));
  const promised = `promised ${percentText(share)} over ${spanText(overMs)}`;
  const common = { from: now, nextAt };
  if (total === 0) return { ...common, verdict: 'met', cause: `no ${of} yet, ${promised}` };
  const cause =
    failed === 0
      ? `none of ${total} ${of} failed, ${promised}`
      : `${failed} of ${total} ${of} failed: ${percentText(1 - failed / total)}, ${promised}`;
  return { ...common, verdict: missing(failed, total, share, atRisk), cause };
}

function judgeCompleteness(
  { share, atRisk }: SlaOf<'completeness'>,
  { due, nextDueAt, targeted, reported, unreachable }: FactsOf<'completeness'>,
  now: number,
): Judgement | null {
  const nextAt = nextDueAt !== null && nextDueAt > now ? nextDueAt : Infinity;
  if (due === null || targeted === 0) return null;
  const silent = targeted - reported;
  const late = Math.max(0, silent - unreachable);
  const rest =
    silent === 0
      ? ''
      : ` (${[unreachable > 0 ? `${unreachable} unreachable` : '', late > 0 ? `${late} late` : '']
          .filter((part) => part !== '')
          .join(', ')})`;
  const cause =
    `${reported} of ${targeted} devices reported what ended ${clockText(due.endAt)}${rest}, ` +
    `promised ${percentText(share)}`;
  const verdict = missing(silent, targeted, share, atRisk);
  // What is due is late from then on; what has come in the meantime is complete from now on.
  const from = verdict === 'met' ? now : Math.min(due.dueAt, now);
  return { verdict, from, nextAt, cause };
}

/** By how much of what may be missing is missing. */
function missing(count: number, total: number, share: number, atRisk: number): Judged {
  // Of 1,000 at 99.5% five may fail; floating point must not make it four.
  const allowed = total * (1 - share);
  if (count > allowed + ROUNDING) return 'breached';
  return count > 0 && count >= allowed * atRisk - ROUNDING ? 'atRisk' : 'met';
}

function judgeDeadline(
  { atRisk }: SlaOf<'deadline'>,
  { pending, lastSuccessAt, failure }: FactsOf<'deadline'>,
  now: number,
): Judgement {
  if (pending === null || now < pending.at) {
    const cause =
      lastSuccessAt === null
        ? 'nothing was scheduled yet'
        : `what was scheduled is done since ${clockText(lastSuccessAt)}`;
    const nextAt = pending?.at ?? Infinity;
    return { verdict: 'met', from: Math.min(lastSuccessAt ?? now, now), nextAt, cause };
  }
  const { at, dueAt } = pending;
  const rung = climb({ startAt: at, boundMs: dueAt - at, atRisk }, now);
  const why = failure === null ? 'has not succeeded' : `failed: ${failure}`;
  const when =
    rung.verdict === 'breached'
      ? `${spanText(now - dueAt)} after its deadline ${clockText(dueAt)}`
      : `due ${clockText(dueAt)}, in ${spanText(dueAt - now)}`;
  return { ...rung, cause: `the run of ${clockText(at)} ${why}, ${when}` };
}

const ORDER: Readonly<Record<Judged, number>> = { met: 0, atRisk: 1, breached: 2 };

/** The worst, of equals the one that is so the longest; the next look is the first of all. */
export function worstOf(judgements: readonly Judgement[]): Judgement | undefined {
  let worst: Judgement | undefined;
  let nextAt = Infinity;
  for (const each of judgements) {
    nextAt = Math.min(nextAt, each.nextAt);
    const by = worst === undefined ? 1 : ORDER[each.verdict] - ORDER[worst.verdict];
    if (worst === undefined || by > 0 || (by === 0 && each.from < worst.from)) worst = each;
  }
  return worst === undefined ? undefined : { ...worst, nextAt };
}

function runsText(count: number): string {
  return count === 1 ? '1 run' : `${count} runs`;
}
