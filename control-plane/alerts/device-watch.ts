/**
 * Watches devices for what is wrong with them: those that were heard of are judged at once, all of
 * them now and then.
 *
 * Being offline is an alert only after it lasted `offlineAfterMs`, so that a device that starts
 * again pages nobody. The time counts while the control plane can hear devices: after it was deaf
 * it begins anew. An alert that is open stays open until the device is heard.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { HealthReport } from '../intake/fleet-health.ts';
import type { AgentRecord } from '../store/agents.ts';
import type { AlertBook } from './alert-book.ts';
import { conditionFingerprint, deviceFindings, offlineFingerprint } from './device-findings.ts';
import { isReconciled, type Judged, reconcile } from './reconcile.ts';

export interface DeviceWatchParts {
  readonly book: AlertBook;
  readonly clock: Clock;
  readonly agents: () => readonly AgentRecord[];
  readonly agent: (id: string) => AgentRecord | undefined;
  readonly report: (id: string) => HealthReport;
  /** Types of conditions of which nothing can be said yet: their alerts stay as they are. */
  readonly unjudged: (id: string) => readonly string[];
  /** Monotonic time since when devices can be heard; null while they cannot. */
  readonly hearsSinceMs: () => number | null;
  readonly offlineAfterMs: number;
}

const ALL_EVERY_MS = 10_000;
/** A job that a device no longer reports is gone, once its alert is older than this. */
const JOB_GONE_MS = 60_000;

export class DeviceWatch {
  readonly #parts: DeviceWatchParts;
  readonly #touched = new Set<string>();
  /** Monotonic time since when we see a device offline, until that is an alert. */
  readonly #offlineSinceMs = new Map<string, number>();
  #allAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: DeviceWatchParts) {
    this.#parts = parts;
  }

  /** It was heard of, changed, or is gone. */
  touch(agent: string): void {
    this.#touched.add(agent);
  }

  async look(): Promise<void> {
    const { clock, book, agents } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#allAtMs >= ALL_EVERY_MS) {
      this.#allAtMs = nowMs;
      for (const { id } of agents()) this.#touched.add(id);
      for (const { agent } of book.openAlerts()) if (agent !== null) this.#touched.add(agent);
    }
    for (const id of this.#offlineSinceMs.keys()) this.#touched.add(id);
    const touched = [...this.#touched];
    // What is touched from here on was not judged below.
    this.#touched.clear();
    try {
      await this.#lookAt(touched, nowMs);
    } catch (error) {
      for (const id of touched) this.#touched.add(id);
      throw error;
    }
  }

  async #lookAt(touched: readonly string[], nowMs: number): Promise<void> {
    const { clock, book } = this.#parts;
    const at = clock.now();
    const judged = touched
      .map((id) => ({ id, ...this.#judge(id, nowMs) }))
      .filter((each) => !isReconciled(each.open, each, at));
    if (judged.length > 0) {
      await book.commit((draft) => {
        for (const { open, ...each } of judged) reconcile(draft, open, each, at);
      });
    }
  }

  #judge(
    id: string,
    nowMs: number,
  ): Judged & { readonly open: ReturnType<AlertBook['openOfAgent']> } {
    const { agent: find, book, report: reportOf, unjudged } = this.#parts;
    const all = book.openOfAgent(id);
    const agent = find(id);
    if (agent === undefined || agent.status === 'revoked') {
      this.#offlineSinceMs.delete(id);
      return { open: all, findings: [] };
    }
    const report = reportOf(id);
    const offline = this.#isOffline(id, report, nowMs);
    const gone = this.#goneJobs(report);
    const open = all.filter(
      ({ source, job, lastAt }) =>
        source === 'device' || source === 'condition' || gone(source, job, lastAt),
    );
    const unknown = new Set(unjudged(id).map((type) => conditionFingerprint(type, id)));
    return { open, findings: deviceFindings(agent, report, offline), unknown };
  }

  #isOffline(id: string, { connection }: HealthReport, nowMs: number): boolean {
    const { book, hearsSinceMs, offlineAfterMs } = this.#parts;
    if (connection !== 'offline') {
      this.#offlineSinceMs.delete(id);
      return false;
    }
    if (book.openOf(offlineFingerprint(id)) !== undefined) {
      this.#offlineSinceMs.delete(id);
      return true;
    }
    const hearsSince = hearsSinceMs();
    if (hearsSince === null) return false;
    const since = Math.max(this.#offlineSinceMs.get(id) ?? nowMs, hearsSince);
    this.#offlineSinceMs.set(id, since);
    return nowMs - since >= offlineAfterMs;
  }

  /** What a job said of itself ends when its device, which we hear, no longer has that job. */
  #goneJobs({ connection, heartbeat }: HealthReport) {
    const before = this.#parts.clock.now() - JOB_GONE_MS;
    const jobs = new Set(heartbeat?.jobs.map(({ name }) => name));
    const heard = connection === 'online' && (heartbeat?.observedRevision ?? 0) > 0;
    return (source: string, job: string | null, lastAt: number): boolean =>
      (source === 'job' || source === 'run') &&
      heard &&
      job !== null &&
      lastAt < before &&
      !jobs.has(job);
  }
}
