/**
 * The shell around the schedules of all jobs (schedule/schedule-state.ts): tells them the time and
 * what happened, and makes the runs that are due.
 *
 * Guarantees: what a schedule has accounted for is stored with the runs that it made, so that every
 * time is a run, or counted with its reason; a schedule is asked at its next fire time and at least
 * every 30 s, so that a clock that jumps is seen. What a fire makes is told in fires.ts.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { Conditions } from '../../resources/conditions.ts';
import { type BatchTime, CLOCK_READ_EVERY_MS } from '../schedule/batch-clock.ts';
import type { EngineTime } from '../schedule/engine-time.ts';
import { type SchedulePlan, schedulePlan } from '../schedule/schedule-plan.ts';
import {
  newScheduleRecord,
  type ScheduleRecord,
  scheduleRecord,
} from '../schedule/schedule-record.ts';
import {
  type Advance,
  advance,
  nextFireMs,
  type ScheduleInput,
} from '../schedule/schedule-state.ts';
import type { BatchJobHost, BatchJobs } from './batch-jobs.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { byFire, Fires } from './fires.ts';
import { keys } from './job-record.ts';
import { eventRow } from './run-reports.ts';
import type { RunSet } from './run-set.ts';
import { SkipEvents } from './skip-events.ts';
import type { UpstreamFailures } from './upstream-failures.ts';

export interface SchedulesOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly runs: RunSet;
  readonly clock: Clock;
  readonly time: EngineTime;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly upstream: UpstreamFailures;
  readonly agent: string;
  readonly diskShare: () => number | null;
}

interface Scheduled {
  readonly host: BatchJobHost;
  readonly plan: SchedulePlan;
  record: ScheduleRecord;
}

const CLOCK_CONDITION = 'batch/clock';

export class Schedules {
  readonly #options: SchedulesOptions;
  readonly #time: EngineTime;
  readonly #scheduled = new Map<string, Scheduled>();
  readonly #skips: SkipEvents;
  readonly #fires: Fires;
  #cancelTimer: (() => void) | undefined;
  #isStarted = false;
  #timeStored = 0;

  constructor(options: SchedulesOptions) {
    this.#options = options;
    this.#time = options.time;
    this.#skips = new SkipEvents();
    this.#fires = new Fires(options);
  }

  /** A job came, changed or went. */
  jobChanged(name: string, host: BatchJobHost | undefined): void {
    const known = this.#scheduled.get(name);
    const facts = host?.facts;
    if (host === undefined || facts == null || facts.schedule === null) {
      this.#scheduled.delete(name);
      return;
    }
    const { schedule, partition } = facts;
    const plan = schedulePlan({ schedule, partition, agent: this.#options.agent, job: name });
    const record = known?.record ?? this.#stored(name);
    const scheduled = { host, plan, record };
    this.#scheduled.set(name, scheduled);
    if (host.record.paused !== record.paused) {
      this.#take(scheduled, { kind: host.record.paused ? 'pause' : 'resume' });
    }
    if (!this.#isStarted) return;
    if (known === undefined) this.#take(scheduled, { kind: 'started' });
    this.#arm();
  }

  start(): void {
    this.#isStarted = true;
    for (const scheduled of this.#scheduled.values()) this.#take(scheduled, { kind: 'started' });
    this.look();
  }

  stop(): void {
    this.#isStarted = false;
    this.#cancelTimer?.();
  }

  /** Every schedule hears the time, and those that ask for it how full the disk is. */
  look(): void {
    const time = this.#time.look();
    this.#tellClock();
    const share = this.#options.diskShare();
    for (const scheduled of this.#scheduled.values()) {
      this.#take(scheduled, { kind: 'tick' }, time);
      if (share !== null && scheduled.plan.disk.length > 0) {
        this.#take(scheduled, { kind: 'disk', share }, time);
      }
    }
    this.#arm(time);
  }

  /** A dataset was updated; `tx` is the commit that holds the update. */
  datasetUpdated(tx: BatchTx, name: string, endMs: number | null): void {
    for (const scheduled of this.#scheduled.values()) {
      if (!scheduled.plan.datasets.some(({ names }) => names.includes(name))) continue;
      this.#options.upstream.over(tx, scheduled.host.name);
      const input = { kind: 'dataset', name, endMs } as const;
      this.#apply(tx, scheduled, this.#advance(scheduled, input, this.#time.read()));
    }
  }

  nextAt(name: string): number | null {
    const scheduled = this.#scheduled.get(name);
    if (scheduled === undefined) return null;
    return nextFireMs(scheduled.plan, scheduled.record, this.#time.read());
  }

  #stored(name: string): ScheduleRecord {
    const { store, log } = this.#options;
    const parsed = scheduleRecord.safeParse(store.get(keys.schedule(name)));
    if (parsed.success) return parsed.data;
    log.debug({ job: name }, 'a schedule begins');
    return newScheduleRecord(this.#time.read().nowMs);
  }

  #advance({ plan, record }: Scheduled, input: ScheduleInput, time: BatchTime): Advance {
    return advance(plan, record, input, time);
  }

  #take(scheduled: Scheduled, input: ScheduleInput, time = this.#time.read()): void {
    const result = this.#advance(scheduled, input, time);
    if (!isWorthStoring(scheduled.record, result)) {
      scheduled.record = result.record;
      return;
    }
    const { store, log } = this.#options;
    const done = store.commit((tx) => this.#apply(tx, scheduled, result));
    done.catch((error: unknown) => log.debug({ error: messageOf(error) }, 'not committed'));
  }

  #apply(tx: BatchTx, scheduled: Scheduled, result: Advance): void {
    const { host } = scheduled;
    const now = this.#time.now();
    const before = scheduled.record;
    tx.undo(() => (scheduled.record = before));
    scheduled.record = result.record;
    tx.put(keys.schedule(host.name), result.record);
    this.#storeTime(tx);
    const skipped: Record<string, number> = { ...result.skipped };
    for (const due of byFire(result.due)) this.#fires.fire(tx, host, due, skipped);
    if (Object.keys(skipped).length > 0) host.skip(tx, skipped);
    const { name: job } = host;
    const { version } = host.record;
    for (const event of this.#skips.of(job, version, result.notes, skipped, now)) {
      tx.row(host.origin, eventRow(event, now));
    }
  }

  /** So that a device without a clock of its own knows after a start when it was last on. */
  #storeTime(tx: BatchTx): void {
    if (this.#time.kind !== 'known') return;
    this.#timeStored = this.#time.read().nowMs;
    tx.put(keys.time, this.#timeStored);
  }

  #tellClock(): void {
    const { conditions } = this.#options;
    const { kind } = this.#time;
    const isOdd = kind === 'held' || kind === 'unknown';
    if (!isOdd || this.#scheduled.size === 0) {
      conditions.clear(CLOCK_CONDITION);
      return;
    }
    const message =
      kind === 'unknown'
        ? 'The device does not know the time: schedules that need the calendar wait.'
        : 'The clock is behind the last known time: schedules go on from that.';
    const reason = kind === 'unknown' ? 'TimeUnknown' : 'ClockBehind';
    conditions.set({ type: CLOCK_CONDITION, axis: 'jobs', severity: 'warning', reason, message });
  }

  #arm(time = this.#time.read()): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (!this.#isStarted || this.#scheduled.size === 0) return;
    let next = Infinity;
    for (const { plan, record } of this.#scheduled.values()) {
      next = Math.min(next, nextFireMs(plan, record, time) ?? Infinity);
    }
    const delayMs = Math.min(Math.max(next - time.nowMs, 0), CLOCK_READ_EVERY_MS);
    this.#cancelTimer = this.#options.clock.after(delayMs, () => this.look());
  }
}

/** How far a schedule came is only worth a commit when that made a difference. */
function isWorthStoring(before: ScheduleRecord, { record, due, notes, skipped }: Advance): boolean {
  if (due.length > 0 || notes.length > 0 || Object.keys(skipped).length > 0) return true;
  if (before.accounted.kind !== record.accounted.kind) return true;
  const rest = (of: ScheduleRecord): string => JSON.stringify({ ...of, accounted: null });
  return rest(before) !== rest(record);
}
