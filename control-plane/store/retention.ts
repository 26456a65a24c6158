/**
 * Bounds what the store keeps (DESIGN.md I5). Policy: the oldest rows go, by age and by number,
 * counted by table and reason; marks, jobs, agents and tokens are never touched. Results and alerts
 * share one table and one bound; a run goes with its tasks; the audit log is bounded by number
 * alone.
 *
 * A sweep deletes in small batches and rests as long after each as it took, so that intake and
 * readers keep at least half of the database; between two sweeps a table may go over its bound by
 * what comes in meanwhile. A failed sweep is logged and counted, and the next one tries again.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { DatasetStats } from './dataset-stats.ts';
import {
  expireAlerts,
  type ExpiredRow,
  expireHistory,
  expireResults,
  expireRuns,
  expireSlaIntervals,
} from './expire-rows.ts';
import type { Schema } from './schema.ts';

const SWEEP_EVERY_MS = 10_000;
const BATCH_ROWS = 500;

export interface Keep {
  /** Since the control plane stored them; alerts are results. */
  readonly resultsMs: number;
  readonly resultsRows: number;
  readonly eventsMs: number;
  readonly eventsRows: number;
  readonly auditRows: number;
  readonly runsMs: number;
  readonly runsRows: number;
  /** Instances of tasks over all runs. */
  readonly runTasksRows: number;
  /** Intervals of verdicts on promises that are over. */
  readonly slaIntervalsMs: number;
  readonly slaIntervalsRows: number;
  /** Since they ended. */
  readonly alertsMs: number;
  readonly alertsRows: number;
  readonly notificationsMs: number;
  readonly notificationsRows: number;
}

export const KEEP_DEFAULT: Keep = {
  resultsMs: limits.resultsKeptMsMax,
  resultsRows: limits.resultsKeptRowsMax,
  eventsMs: limits.eventsKeptMsMax,
  eventsRows: limits.eventsKeptRowsMax,
  auditRows: limits.auditRowsMax,
  runsMs: limits.runsKeptMsMax,
  runsRows: limits.runsKeptRowsMax,
  runTasksRows: limits.runTasksKeptRowsMax,
  slaIntervalsMs: limits.slaIntervalsKeptMsMax,
  slaIntervalsRows: limits.slaIntervalsKeptRowsMax,
  alertsMs: limits.alertsKeptMsMax,
  alertsRows: limits.alertsKeptRowsMax,
  notificationsMs: limits.notificationsKeptMsMax,
  notificationsRows: limits.notificationsKeptRowsMax,
};

export interface RetentionParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts rows by dataset, and must not count those that go. */
  readonly datasets: DatasetStats;
  readonly keep: Keep;
}

type Table = 'results' | 'events' | 'audit' | 'runs' | 'sla_intervals' | 'alerts' | 'notifications';

export class Retention {
  readonly counters = {
    deleted: {
      results: { age: 0, rows: 0, superseded: 0 },
      events: { age: 0, rows: 0, superseded: 0 },
      audit: { age: 0, rows: 0, superseded: 0 },
      runs: { age: 0, rows: 0, superseded: 0 },
      sla_intervals: { age: 0, rows: 0, superseded: 0 },
      alerts: { age: 0, rows: 0, superseded: 0 },
      notifications: { age: 0, rows: 0, superseded: 0 },
    },
    failures: 0,
  };
  readonly #parts: RetentionParts;
  readonly #stopping = new AbortController();
  #cancel: () => void = () => undefined;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** Sweeps now and then on a timer, until `stop`. */
  start(): void {
    this.#sweeping = this.sweep().then(() => {
      if (this.#stopping.signal.aborted) return;
      this.#cancel = this.#parts.clock.after(SWEEP_EVERY_MS, () => this.start());
    });
  }

  /** Resolves when the batch under way is done. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel();
    await this.#sweeping;
  }

  /** Deletes everything that is due; never rejects. */
  async sweep(): Promise<void> {
    const { db, clock, datasets, keep, log } = this.#parts;
    const now = clock.now();
    const results = { beforeMs: now - keep.resultsMs, rowsMax: keep.resultsRows };
    const events = { beforeMs: now - keep.eventsMs, rowsMax: keep.eventsRows };
    const audit = { beforeMs: 0, rowsMax: keep.auditRows };
    const runs = {
      beforeMs: now - keep.runsMs,
      rowsMax: keep.runsRows,
      tasksMax: keep.runTasksRows,
    };
    const slas = { beforeMs: now - keep.slaIntervalsMs, rowsMax: keep.slaIntervalsRows };
    const alerts = { beforeMs: now - keep.alertsMs, rowsMax: keep.alertsRows };
    const told = { beforeMs: now - keep.notificationsMs, rowsMax: keep.notificationsRows };
    try {
      await this.#sweepTable('results', () =>
        datasets.remove(() => expireResults(db, results, BATCH_ROWS)),
      );
      await this.#sweepTable('events', () => expireHistory(db, 'events', events, BATCH_ROWS));
      await this.#sweepTable('audit', () => expireHistory(db, 'audit', audit, BATCH_ROWS));
      await this.#sweepTable('runs', () => expireRuns(db, runs, BATCH_ROWS));
      await this.#sweepTable('sla_intervals', () => expireSlaIntervals(db, slas, BATCH_ROWS));
      await this.#sweepTable('alerts', () => expireAlerts(db, alerts, BATCH_ROWS));
      await this.#sweepTable('notifications', () =>
        expireHistory(db, 'notifications', told, BATCH_ROWS),
      );
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.counters.failures += 1;
      log.error({ error: messageOf(error) }, 'old rows were not deleted; the next sweep tries');
    }
  }

  async #sweepTable(table: Table, batch: () => Promise<readonly ExpiredRow[]>): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = this.#stopping;
    const counters = this.counters.deleted[table];
    const before = { ...counters };
    while (!signal.aborted) {
      const began = clock.monotonicMs();
      const rows = await batch();
      if (rows.length === 0) break;
      for (const { reason } of rows) counters[reason] += 1;
      await clock.sleep(clock.monotonicMs() - began, signal);
    }
    const byAge = counters.age - before.age;
    const byRows = counters.rows - before.rows;
    const superseded = counters.superseded - before.superseded;
    if (byAge + byRows + superseded === 0) return;
    log.info({ table, byAge, byRows, superseded }, 'old rows were deleted');
  }
}
