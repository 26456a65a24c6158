/**
 * Which of the runs that are queued start now (DESIGN.md §8): by priority with aging, as far as
 * their job's `maxActiveRuns` and quota and their backfill's own bound go, in the cheap window of
 * their job (cheap-window.ts). Whatever waits has a reason that can be shown.
 *
 * A quota counts any `perMs`, not calendar periods: a run counts from its start on until `perMs`
 * later, with the time that its attempts have taken so far. The time of a run that is under way is
 * known only as far as it went, so a time quota is passed by at most what is running.
 */
import type { CheapWindow, Quota } from '@runnel/shared/definitions/batch-job.ts';
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import type { BatchTime } from '../schedule/batch-clock.ts';
import { byAgedPriority } from './aging.ts';
import { judgeWindow, type Surroundings, type WindowVerdict } from './cheap-window.ts';

export interface QueuedRun {
  readonly id: string;
  readonly job: string;
  /** Of the job and the run together. */
  readonly priority: number;
  /** The record's `queuedAt` and `notBefore`. */
  readonly since: number;
  readonly notBefore: number;
  readonly backfill: string | null;
  /** A person asked for it: it waits for no cheap window. */
  readonly isAsked: boolean;
}

export interface ActiveRun {
  readonly job: string;
  readonly backfill: string | null;
}

/** A run that began within the quota's period, ended or not. */
export interface RunUsage {
  readonly startedAt: number;
  /** Running time of its attempts so far, added up. */
  readonly taskMs: number;
}

export interface JobBounds {
  readonly maxActiveRuns: number;
  readonly quota: Quota | null;
  readonly cheapWindow: CheapWindow | null;
  readonly usage: readonly RunUsage[];
  /** Of a job that is paused nothing starts. */
  readonly isPaused: boolean;
}

export interface RunAdmissionInput<Run extends QueuedRun> {
  readonly queued: readonly Run[];
  readonly active: readonly ActiveRun[];
  /** Undefined for a job that is no longer there: its runs wait. */
  readonly jobOf: (job: string) => JobBounds | undefined;
  /** Runs that a backfill may have at a time; undefined where it is no longer there. */
  readonly backfillMaxOf: (backfill: string) => number | undefined;
  /** Asked only for jobs with a cheap window. */
  readonly surroundings: () => Surroundings;
}

export interface RunAdmission<Run> {
  readonly start: readonly Run[];
  readonly waiting: readonly { readonly run: Run; readonly reason: string }[];
  /** Their cheap window did not open in time: they are left out. */
  readonly missed: readonly { readonly run: Run; readonly reason: string }[];
  /** When something changes by itself: a jitter or a quota's period is over. */
  readonly nextWakeMs: number | null;
}

/** Why a run waits, and until when if that is known. */
interface Held {
  readonly reason: string;
  readonly until: number;
}

export function admitRuns<Run extends QueuedRun>(
  input: RunAdmissionInput<Run>,
  time: BatchTime,
): RunAdmission<Run> {
  const now = time.nowMs;
  const active = [...input.active];
  const started = new Map<string, number>();
  const start: Run[] = [];
  const waiting: { run: Run; reason: string }[] = [];
  const missed: { run: Run; reason: string }[] = [];
  let nextWakeMs = Infinity;
  for (const run of byAgedPriority(input.queued, now)) {
    const window = windowOf(input, run, time);
    if (window.kind === 'missed') {
      missed.push({ run, reason: window.reason });
      continue;
    }
    const held =
      heldBack(input, run, active, started.get(run.job) ?? 0, now) ??
      (window.kind === 'closed' ? window : null);
    if (held === null) {
      start.push(run);
      active.push(run);
      started.set(run.job, (started.get(run.job) ?? 0) + 1);
    } else {
      waiting.push({ run, reason: held.reason });
      nextWakeMs = Math.min(nextWakeMs, held.until);
    }
  }
  return { start, waiting, missed, nextWakeMs: nextWakeMs === Infinity ? null : nextWakeMs };
}

function windowOf(
  { jobOf, surroundings }: RunAdmissionInput<QueuedRun>,
  { job, isAsked, notBefore, since }: QueuedRun,
  time: BatchTime,
): WindowVerdict {
  const bounds = jobOf(job);
  const window = bounds?.cheapWindow ?? null;
  if (window === null || isAsked || bounds?.isPaused === true) return { kind: 'open' };
  return judgeWindow(window, Math.max(since, notBefore), time, surroundings());
}

function heldBack(
  input: RunAdmissionInput<QueuedRun>,
  run: QueuedRun,
  active: readonly ActiveRun[],
  startedNow: number,
  now: number,
): Held | null {
  const bounds = input.jobOf(run.job);
  if (bounds === undefined) return { reason: 'its job is not on this device', until: Infinity };
  if (bounds.isPaused) return { reason: 'the job is paused', until: Infinity };
  // A clock that was set back behind the moment at which it was queued says nothing of its jitter.
  if (run.notBefore > now && run.since <= now) {
    return { reason: `starts at ${isoText(run.notBefore)}`, until: run.notBefore };
  }
  const ofJob = active.filter(({ job }) => job === run.job).length;
  if (ofJob >= bounds.maxActiveRuns) {
    const reason = `${ofJob} of ${bounds.maxActiveRuns} runs of the job are active`;
    return { reason, until: Infinity };
  }
  return heldByBackfill(input, run, active) ?? heldByQuota(bounds, startedNow, now);
}

function heldByBackfill(
  input: RunAdmissionInput<QueuedRun>,
  { backfill }: QueuedRun,
  active: readonly ActiveRun[],
): Held | null {
  if (backfill === null) return null;
  const most = input.backfillMaxOf(backfill) ?? Infinity;
  const running = active.filter((other) => other.backfill === backfill).length;
  if (running < most) return null;
  return { reason: `${running} of ${most} runs of the backfill are active`, until: Infinity };
}

function heldByQuota({ quota, usage }: JobBounds, startedNow: number, now: number): Held | null {
  if (quota === null) return null;
  // A start further ahead than the period comes of a clock that went back: it holds up nothing.
  const recent = usage
    .filter(({ startedAt }) => Math.abs(now - startedAt) < quota.perMs)
    .sort((a, b) => a.startedAt - b.startedAt);
  const over = (reason: string, until: number): Held => ({
    reason: `${reason}; the next may start at ${isoText(until)}`,
    until,
  });
  const count = recent.length + startedNow;
  if (quota.runs !== null && count >= quota.runs) {
    const oldest = recent[count - quota.runs]?.startedAt ?? now;
    const per = durationText(quota.perMs);
    return over(`its quota of ${quota.runs} runs in ${per} is used up`, oldest + quota.perMs);
  }
  if (quota.timeMs === null) return null;
  let usedMs = recent.reduce((sum, { taskMs }) => sum + taskMs, 0);
  if (usedMs < quota.timeMs) return null;
  const [used, whole, per] = [usedMs, quota.timeMs, quota.perMs].map(durationText);
  const reason = `${used} of its quota of ${whole} of running time in ${per} are used`;
  for (const { startedAt, taskMs } of recent) {
    usedMs -= taskMs;
    if (usedMs < quota.timeMs) return over(reason, startedAt + quota.perMs);
  }
  return over(reason, now + quota.perMs);
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
