/**
 * The lifecycle of a job's schedule: which runs are due, pure.
 *
 * Guarantees: a time that the schedule names is, exactly once, started or counted with its
 * reason; what is skipped comes back as a note, so that the runtime can tell people; an outage, a
 * pause or a clock that jumps starts a bounded number of runs and stalls nothing. `accounted` in
 * the record says how far that went. Whether a partition was completed before, and what happens
 * to a run while another is active, is the runtime's to judge.
 *
 * Every input first accounts for the time that has passed, then has its own effect:
 *
 * | input    | running                       | paused          | time unknown                    |
 * |----------|-------------------------------|-----------------|---------------------------------|
 * | tick     | fires what is due             | nothing         | `every` without periods fires   |
 * | started  | fires `startup`               | counts `paused` | fires; waits if it needs time   |
 * | dataset  | fires when all have updates   | remembers it    | fires; remembers if it needs it |
 * | disk     | fires above, rearms below     | rearms          | fires; rearms if it needs time  |
 * | pause    | paused                        | nothing         | paused                          |
 * | resume   | nothing                       | counts `paused` | running                         |
 */
import { type BatchTime, CLOCK_FLOOR_MS } from './batch-clock.ts';
import { type DueRun, type SchedulePlan, dueRuns } from './schedule-plan.ts';
import type { ScheduleRecord } from './schedule-record.ts';
import { type Skipped, skippedIn, timedFires } from './timed-fires.ts';

export type ScheduleInput =
  | { readonly kind: 'tick' }
  /** Once per process and job, when the job is there. */
  | { readonly kind: 'started' }
  /** `endMs`: the end of the period that was updated; null where it has none. */
  | { readonly kind: 'dataset'; readonly name: string; readonly endMs: number | null }
  /** Share of the disk that is used, 0 to 1. */
  | { readonly kind: 'disk'; readonly share: number }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' };

export type ScheduleNote =
  | ({ readonly kind: 'skipped' } & Skipped)
  /** The clock had been ahead: times from `nowMs` on are looked at again. */
  | { readonly kind: 'clockBack'; readonly accountedToMs: number; readonly nowMs: number }
  /** The device learned the time: what its schedule named before was never missed. */
  | { readonly kind: 'clockKnown'; readonly nowMs: number };

export interface Advance {
  readonly record: ScheduleRecord;
  /** In the order in which they should run. */
  readonly due: readonly DueRun[];
  /** Times that started no run, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly notes: readonly ScheduleNote[];
}

/** A clock that was this much ahead of now, or less, is waited for. */
export const AHEAD_MS_MAX = 3_600_000;
/** A disk trigger fires again when the disk has fallen this far below its threshold. */
const DISK_REARM_SHARE = 0.05;

export function advance(
  plan: SchedulePlan,
  record: ScheduleRecord,
  input: ScheduleInput,
  time: BatchTime,
): Advance {
  const turn = new Turn(plan, record, time);
  turn.account();
  turn.apply(input);
  turn.fireWaiting();
  return turn.result();
}

/**
 * When `advance` must be called next for a time of the schedule; null: only for another input. The
 * clock may jump before that: call it every `CLOCK_READ_EVERY_MS` all the same.
 */
export function nextFireMs(
  plan: SchedulePlan,
  record: ScheduleRecord,
  time: BatchTime,
): number | null {
  if (record.paused) return null;
  const triggers = time.known ? plan.timed : withoutTime(plan);
  const { kind, toMs } = record.accounted;
  const isAhead = kind === 'anchored' && toMs > time.nowMs + AHEAD_MS_MAX;
  if (time.known && (kind === 'unanchored' || isAhead)) return time.nowMs;
  const nexts = triggers.map(({ times }) => times.next(toMs)).filter((at) => at !== undefined);
  return nexts.length === 0 ? null : Math.min(...nexts);
}

/** Triggers that go on while the time is unknown: only the pace of the clock matters to them. */
function withoutTime(plan: SchedulePlan): SchedulePlan['timed'] {
  return plan.needsTime ? [] : plan.timed.filter(({ kind }) => kind === 'every');
}

/** One call of `advance`: the record as it becomes, and what is due. */
class Turn {
  readonly #plan: SchedulePlan;
  readonly #time: BatchTime;
  #record: ScheduleRecord;
  readonly #due: DueRun[] = [];
  readonly #skipped: Record<string, number> = {};
  readonly #notes: ScheduleNote[] = [];

  constructor(plan: SchedulePlan, record: ScheduleRecord, time: BatchTime) {
    this.#plan = plan;
    this.#time = time;
    this.#record = withPlan(plan, record);
  }

  result(): Advance {
    return { record: this.#record, due: this.#due, skipped: this.#skipped, notes: this.#notes };
  }

  account(): void {
    const { nowMs, known } = this.#time;
    const { kind, toMs } = this.#record.accounted;
    if (known && kind === 'unanchored') {
      this.#anchor();
    } else if (kind === 'anchored' && known) {
      if (toMs > nowMs + AHEAD_MS_MAX) {
        this.#notes.push({ kind: 'clockBack', accountedToMs: toMs, nowMs });
        this.#change({ accounted: { kind, toMs: nowMs } });
      } else if (!this.#record.paused && toMs < nowMs) {
        this.#fire(this.#plan.timed, toMs);
      }
    } else if (kind === 'unanchored') {
      // A clock without a battery begins again with every start of the device.
      if (toMs > nowMs) this.#change({ accounted: { kind, toMs: nowMs } });
      else if (!this.#record.paused) this.#fire(withoutTime(this.#plan), toMs);
    }
  }

  apply(input: ScheduleInput): void {
    const { paused } = this.#record;
    switch (input.kind) {
      case 'tick':
        return;
      case 'started':
        if (this.#plan.startup === null) return;
        if (paused) this.#skip(this.#one('paused'));
        else this.#change({ startupWaiting: true });
        return;
      case 'dataset':
        this.#update(input.name, input.endMs ?? this.#time.nowMs);
        return;
      case 'disk':
        this.#measure(input.share);
        return;
      case 'pause':
        if (this.#record.startupWaiting) this.#skip(this.#one('paused'));
        this.#change({ paused: true, startupWaiting: false });
        return;
      case 'resume':
        if (paused) this.#resume();
        return;
    }
  }

  /** What waited for a pause to end or the time to be known. */
  fireWaiting(): void {
    if (!this.#mayStart()) return;
    const { startup, datasets } = this.#plan;
    const { nowMs } = this.#time;
    if (this.#record.startupWaiting && startup !== null) {
      this.#due.push(...dueRuns(this.#plan, 'startup', nowMs, nowMs + startup.delayMs));
      this.#change({ startupWaiting: false });
    }
    for (const { key, names } of datasets) {
      const updated = this.#record.datasets[key] ?? {};
      if (names.some((name) => updated[name] === undefined)) continue;
      const endMs = Math.max(...names.map((name) => updated[name]!.endMs));
      const coversMs = this.#plan.needsTime ? endMs : nowMs;
      this.#due.push(...dueRuns(this.#plan, 'dataset', nowMs, nowMs, coversMs));
      this.#change({ datasets: { ...this.#record.datasets, [key]: {} } });
    }
  }

  /** The time is known for the first time: only `at` names instants that may be missed already. */
  #anchor(): void {
    const { nowMs } = this.#time;
    const { paused, accounted } = this.#record;
    if (accounted.toMs < CLOCK_FLOOR_MS) this.#notes.push({ kind: 'clockKnown', nowMs });
    const ats = this.#plan.timed.filter(({ kind }) => kind === 'at');
    const fromMs = nowMs - Math.max(this.#plan.catchUpWindowMs, 0) - 1;
    if (ats.length > 0 && paused) {
      this.#skip(skippedIn('paused', ats, fromMs, nowMs));
    } else if (ats.length > 0) {
      this.#fire(ats, fromMs);
    }
    this.#change({ accounted: { kind: 'anchored', toMs: nowMs } });
  }

  #fire(triggers: SchedulePlan['timed'], fromMs: number): void {
    const { nowMs } = this.#time;
    const { missed, onTime, skipped } = timedFires(this.#plan, triggers, fromMs, nowMs);
    // A fleet that comes back after an outage spreads what it missed like any other time.
    for (const at of missed) this.#due.push(...dueRuns(this.#plan, 'catchUp', at, nowMs));
    for (const at of onTime) this.#due.push(...dueRuns(this.#plan, 'schedule', at));
    this.#skip(skipped);
    this.#change({
      accounted: { kind: this.#record.accounted.kind, toMs: nowMs },
      lastFireMs: onTime.at(-1) ?? missed.at(-1) ?? this.#record.lastFireMs,
    });
  }

  #resume(): void {
    const { nowMs, known } = this.#time;
    const { kind, toMs } = this.#record.accounted;
    this.#change({ paused: false });
    if (toMs >= nowMs || known !== (kind === 'anchored')) return;
    const triggers = known ? this.#plan.timed : withoutTime(this.#plan);
    this.#skip(skippedIn('paused', triggers, toMs, nowMs));
    this.#change({ accounted: { kind, toMs: nowMs } });
  }

  #update(name: string, endMs: number): void {
    const datasets = { ...this.#record.datasets };
    for (const { key, names } of this.#plan.datasets) {
      if (!names.includes(name)) continue;
      const before = datasets[key]?.[name];
      if (before !== undefined) this.#skip(this.#one('coalesced'));
      const newest = Math.max(endMs, before?.endMs ?? -Infinity);
      datasets[key] = { ...datasets[key], [name]: { endMs: newest } };
    }
    this.#change({ datasets });
  }

  #measure(share: number): void {
    const fired = new Set(this.#record.diskFired);
    for (const { above } of this.#plan.disk) {
      // A threshold below 10 % is rearmed at its half: it must be possible to get there.
      if (share < Math.max(above - DISK_REARM_SHARE, above / 2)) fired.delete(above);
      if (share < above || fired.has(above) || !this.#mayStart()) continue;
      fired.add(above);
      this.#due.push(...dueRuns(this.#plan, 'disk', this.#time.nowMs));
    }
    this.#change({ diskFired: [...fired] });
  }

  #mayStart(): boolean {
    return !this.#record.paused && (this.#time.known || !this.#plan.needsTime);
  }

  #one(reason: Skipped['reason']): readonly Skipped[] {
    const { nowMs } = this.#time;
    return [{ reason, count: 1, firstMs: nowMs, lastMs: nowMs }];
  }

  #skip(skipped: readonly Skipped[]): void {
    for (const each of skipped) {
      this.#skipped[each.reason] = (this.#skipped[each.reason] ?? 0) + each.count;
      this.#notes.push({ kind: 'skipped', ...each });
    }
  }

  #change(change: Partial<ScheduleRecord>): void {
    this.#record = { ...this.#record, ...change };
  }
}

/** What belongs to triggers that a new version no longer has is forgotten. */
function withPlan(plan: SchedulePlan, record: ScheduleRecord): ScheduleRecord {
  const above = plan.disk.map((each) => each.above);
  const keys = plan.datasets.map(({ key }) => key);
  return {
    ...record,
    startupWaiting: record.startupWaiting && plan.startup !== null,
    diskFired: record.diskFired.filter((each) => above.includes(each)),
    datasets: Object.fromEntries(
      Object.entries(record.datasets).filter(([key]) => keys.includes(key)),
    ),
  };
}
