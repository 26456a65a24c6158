/**
 * Starts queued runs within the bounds of their job (dag/run-admission.ts), and leaves out those
 * whose cheap window did not open in time.
 *
 * Guarantee: a run that is left out ends as cancelled, in one commit with its count (`skipped` of
 * the job, reason `cheap_window`) and the event that tells why.
 */
import type { Logger } from 'pino';
import { messageOf } from '@runnel/shared/errors.ts';
import { admitRuns, type QueuedRun } from '../dag/run-admission.ts';
import type { Surroundings } from '../dag/cheap-window.ts';
import type { RunRecord } from '../records.ts';
import type { EngineTime } from '../schedule/engine-time.ts';
import type { BatchJobHost, BatchJobs } from './batch-jobs.ts';
import type { OpenRun } from './open-run.ts';
import type { QuotaUsage } from './quota-usage.ts';
import { type BatchEvent, eventRow } from './run-reports.ts';
import type { RunSet } from './run-set.ts';

export interface RunStarterOptions {
  readonly jobs: BatchJobs;
  readonly time: EngineTime;
  readonly log: Logger;
  readonly usage: QuotaUsage;
  /** There is no room for what runs leave behind: none starts. */
  readonly isHeld: () => boolean;
  readonly backfillMaxOf: (backfill: string) => number | undefined;
  readonly surroundings: () => Surroundings;
}

interface Queued extends QueuedRun {
  readonly open: OpenRun;
  readonly partition: string;
}

export class RunStarter {
  readonly #options: RunStarterOptions;
  /** Runs that are being left out: their commit is on its way. */
  readonly #leaving = new Set<string>();
  #waiting = new Map<string, string>();
  /** Runs that were left out since the start of the process. */
  missedWindows = 0;

  constructor(options: RunStarterOptions) {
    this.#options = options;
  }

  /** Why the first of the job's runs that wait does, as of the last look; for people. */
  waits(job: string): string | undefined {
    return this.#waiting.get(job);
  }

  admit(runs: RunSet): void {
    const { jobs, usage, backfillMaxOf, isHeld, surroundings, time } = this.#options;
    this.#waiting = new Map();
    if (isHeld()) return;
    const now = time.read();
    const { queued, active } = this.#open(runs);
    if (queued.length === 0) return;
    const { start, missed, waiting } = admitRuns(
      {
        queued,
        active,
        jobOf: (name) => {
          const host = jobs.hosts.get(name);
          if (host === undefined || host.facts === null) return undefined;
          const { cheapWindow, maxActiveRuns, quota } = host.facts;
          const used = quota === null ? [] : usage.of(name, quota.perMs, now.nowMs);
          const isPaused = host.record.paused;
          return { cheapWindow, maxActiveRuns, quota, usage: used, isPaused };
        },
        backfillMaxOf,
        surroundings,
      },
      now,
    );
    for (const { open, id, job } of start) {
      usage.started(job, id, now.nowMs);
      runs.startRun(open);
    }
    for (const { run, reason } of waiting) {
      if (!this.#waiting.has(run.job)) this.#waiting.set(run.job, `${run.partition}: ${reason}`);
    }
    for (const { run, reason } of missed) this.#leaveOut(runs, run, reason);
  }

  #open(runs: RunSet): { queued: Queued[]; active: RunRecord[] } {
    const queued: Queued[] = [];
    const active: RunRecord[] = [];
    for (const open of runs.open()) {
      const run = runs.runOf(open);
      if (run.state === 'running') active.push(run);
      else if (!this.#leaving.has(run.id)) {
        const isAsked = run.asked === true;
        const partition = run.partition.id;
        queued.push({ ...run, since: run.queuedAt, open, isAsked, partition });
      }
    }
    return { queued, active };
  }

  #leaveOut(runs: RunSet, { id, open, partition }: Queued, reason: string): void {
    const { log, time } = this.#options;
    const { host } = open;
    this.#leaving.add(id);
    const message =
      `the run of ${partition} was left out: its cheap window did not open in time, ` +
      `it waited for ${reason}`;
    const left = runs.cancelAll([id], message, (tx, cancel) => {
      // It may have been taken by somebody else meanwhile.
      if (cancel().length === 0) return;
      host.skip(tx, { cheap_window: 1 });
      tx.row(host.origin, eventRow(leftOut(host, partition, message), time.now()));
    });
    left
      .then(() => void (this.missedWindows += 1))
      .catch((error: unknown) => log.debug({ run: id, error: messageOf(error) }, 'not left out'))
      .finally(() => this.#leaving.delete(id));
  }
}

function leftOut({ name, record }: BatchJobHost, partition: string, message: string): BatchEvent {
  return {
    job: name,
    version: record.version,
    type: 'schedule_skipped',
    severity: 'warning',
    message,
    fields: { reason: 'cheap_window', count: 1, partition },
  };
}
