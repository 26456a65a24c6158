/**
 * Promises in the running control plane: tells the board what placement, heartbeats and intake say,
 * and keeps its timer and its writer.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { ResultBlock, Row } from '@runnel/shared/protocol/results.ts';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { MetricFamily, MetricSample } from '../http/metrics.ts';
import type { Applied } from '../intake/apply-block.ts';
import type { HealthReport } from '../intake/fleet-health.ts';
import { getVersion, type JobRecord } from '../store/jobs.ts';
import type { Schema } from '../store/schema.ts';
import { openSlaIntervals, type SlaIntervalRecord } from '../store/slas.ts';
import { Turns } from '../turns.ts';
import type { Arrived } from './arrived.ts';
import { SlaBoard } from './sla-board.ts';
import type { Contact } from './sla-entry.ts';
import { type SlaJob, slaJob } from './sla-jobs.ts';
import { SlaWriter } from './sla-writer.ts';

export interface SlasParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly hearingSince: () => number | null;
  readonly report: (agent: string) => HealthReport;
  readonly forgetReports: (agent: string) => void;
  readonly agentName: (agent: string) => string | null;
  /** Job name → version that the agent is to run. */
  readonly versionsOf: (agent: string) => ReadonlyMap<string, number>;
  readonly job: (name: string) => JobRecord | undefined;
}

/** Versions of jobs whose promises are kept in memory; the oldest are read again. */
const JOBS_KEPT = 1000;

export class Slas {
  readonly board: SlaBoard;
  readonly writer: SlaWriter;
  readonly #parts: SlasParts;
  readonly #jobs = new Map<string, SlaJob | null>();
  readonly #turns = new Turns();

  static async open(parts: SlasParts, agents: readonly string[]): Promise<Slas> {
    const slas = new Slas(parts, await openSlaIntervals(parts.db, 'own'));
    await slas.placed(agents);
    slas.board.placed();
    slas.board.start();
    return slas;
  }

  private constructor(parts: SlasParts, standing: readonly SlaIntervalRecord[]) {
    this.#parts = parts;
    const { clock, hearingSince, agentName } = parts;
    this.writer = new SlaWriter(parts);
    const write = this.writer.append.bind(this.writer);
    const contact = (agent: string): Contact => contactOf(parts.report(agent));
    this.board = new SlaBoard({ clock, hearingSince, contact, agentName, write }, standing);
  }

  /** What is desired of these agents changed. */
  placed(agents: readonly string[]): Promise<void> {
    const { log } = this.#parts;
    return this.#turns.take(async () => {
      for (const agent of agents) {
        try {
          this.board.place(agent, await this.#jobsOf(agent));
          this.heard(agent);
        } catch (error) {
          log.error({ agent, error: messageOf(error) }, 'promises of an agent were not read');
        }
      }
    });
  }

  /** A heartbeat came, or the verdict on its connection changed. */
  heard(agent: string): void {
    this.board.heard(agent, this.#parts.report(agent).heartbeat?.slas);
  }

  /** The agent was deleted: nothing is promised of it, and what it reported goes. */
  forget(agent: string): void {
    this.#parts.forgetReports(agent);
    this.board.place(agent, []);
  }

  /** After the commit: rows that are new in the store. */
  stored({ agent }: ResultBlock, { rows }: Applied): void {
    const { clock, report } = this.#parts;
    const now = clock.now();
    this.board.arrived(agent, arrivedOf(rows, now - skewOf(report(agent))), now);
    for (const row of rows) if (row.kind === 'run') this.#runEnded(agent, row);
  }

  async stop(): Promise<void> {
    this.board.stop();
    await this.#turns.settled();
    await this.writer.stop();
  }

  families(): MetricFamily[] {
    const counts = new Map<string, MetricSample>();
    for (const { job, sla, verdict } of this.board.list()) {
      const key = `${job}/${sla}/${verdict}`;
      const value = (counts.get(key)?.value ?? 0) + 1;
      counts.set(key, { labels: { job, sla, verdict }, value });
    }
    const { written, dropped } = this.writer.counters;
    return [
      {
        name: 'runnel_sla_verdict',
        help: 'Promises by job, name and verdict.',
        type: 'gauge',
        samples: [...counts.values()],
      },
      {
        name: 'runnel_sla_changes_total',
        help: 'Changes of verdicts, by what became of them.',
        type: 'counter',
        samples: [
          { labels: { outcome: 'written' }, value: written },
          { labels: { outcome: 'dropped' }, value: dropped },
        ],
      },
    ];
  }

  async #jobsOf(agent: string): Promise<SlaJob[]> {
    const jobs: SlaJob[] = [];
    for (const [name, version] of this.#parts.versionsOf(agent)) {
      const current = this.#parts.job(name);
      if (current?.paused === true) continue;
      const job = await this.#jobOf(name, version, current);
      if (job !== null) jobs.push(job);
    }
    return jobs;
  }

  async #jobOf(
    name: string,
    version: number,
    current: JobRecord | undefined,
  ): Promise<SlaJob | null> {
    const key = `${name}@${version}`;
    const known = this.#jobs.get(key);
    if (known !== undefined) return known;
    const stored =
      current?.version === version ? current : await getVersion(this.#parts.db, name, version);
    const job =
      stored === undefined
        ? null
        : slaJob({ name, version, document: stored.document, paused: false });
    const [oldest] = this.#jobs.keys();
    if (this.#jobs.size >= JOBS_KEPT && oldest !== undefined) this.#jobs.delete(oldest);
    this.#jobs.set(key, job);
    return job;
  }

  #runEnded(agent: string, { job, value }: Row): void {
    const { state, at, endedAt, partitionStart, partitionEnd, error } = value as Partial<RunReport>;
    if (state !== 'success' && state !== 'failed') return;
    const times = [at, endedAt, partitionStart, partitionEnd].map(Number);
    if (!times.every((each) => Number.isFinite(each))) return;
    const [runAt = 0, ended = 0, start = 0, end = 0] = times;
    const failure = state === 'success' ? null : (error?.message ?? 'without a cause');
    const partition = { partitionStart: start, partitionEnd: end };
    this.board.ended(agent, { job, at: runAt, ...partition, failure, endedAt: ended });
  }
}

function contactOf(report: HealthReport): Contact {
  const { connection, lastSeenAt, heardUpTo, heartbeat } = report;
  const oldestAt = heartbeat?.outbox.oldestAt ?? null;
  const waitingMs =
    heartbeat === undefined || oldestAt === null ? null : Math.max(0, heartbeat.sentAt - oldestAt);
  return { connection, lastSeenAt, heardUpTo, waitingMs, skewMs: skewOf(report) };
}

/** By how much our clock is ahead of the device's, and what its last heartbeat took. */
function skewOf({ lastSeenAt, heartbeat }: HealthReport): number {
  return lastSeenAt === null || heartbeat === undefined ? 0 : lastSeenAt - heartbeat.sentAt;
}

/** One for each job and dataset: its slowest row and its newest window. */
function arrivedOf(rows: readonly Row[], deviceNow: number): Arrived[] {
  const found = new Map<string, Arrived>();
  for (const { kind, job, dataset, windowStart, windowEnd, at } of rows) {
    if (kind !== 'result') continue;
    const key = `${job}/${dataset}`;
    const before = found.get(key);
    const newer = (windowEnd ?? -Infinity) > (before?.windowEnd ?? -Infinity);
    const lagMs = Math.max(0, deviceNow - at, before?.lagMs ?? 0);
    const window = newer ? { windowStart, windowEnd } : before;
    found.set(key, {
      job,
      dataset,
      lagMs,
      windowStart: window?.windowStart ?? null,
      windowEnd: window?.windowEnd ?? null,
    });
  }
  return [...found.values()];
}
