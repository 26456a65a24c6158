/**
 * Alerts about runs of batch jobs: one per job and device, open while a partition of the last week
 * failed and has not succeeded since. A later success of the partition ends it, as does a person
 * who marks its run as succeeded. What is wrong is read from the store, where the runs are, so that
 * a crash between a run's report and its alert costs nothing.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Kysely } from 'kysely';
import type { RunChange } from '../intake/apply-runs.ts';
import type { AgentRecord } from '../store/agents.ts';
import { agentsWithFailedRuns, failedRuns, isRunAgain, type RunRecord } from '../store/runs.ts';
import type { Schema } from '../store/schema.ts';
import type { AlertBook } from './alert-book.ts';
import { agentLabels, type Finding, fingerprintOf } from './finding.ts';
import { isReconciled, type Judged, reconcile } from './reconcile.ts';

export interface RunWatchParts {
  readonly db: Kysely<Schema>;
  readonly book: AlertBook;
  readonly clock: Clock;
  readonly agent: (id: string) => AgentRecord | undefined;
}

interface Pair {
  readonly agent: string;
  readonly job: string;
}

const ALL_EVERY_MS = 3_600_000;
/** Failed partitions that are counted; more are told as so many or more. */
const COUNTED_MAX = 100;

export class RunWatch {
  readonly #parts: RunWatchParts;
  readonly #touched = new Map<string, Pair>();
  #allAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: RunWatchParts) {
    this.#parts = parts;
  }

  /** After the commit that holds them. */
  stored(changes: readonly RunChange[]): void {
    for (const change of changes) if (change.ended !== null) this.#touch(change);
  }

  async look(): Promise<void> {
    const { db, book, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const since = clock.now() - limits.failedRunsAlertMsMax;
    // At the start: what ended while nobody looked. Later: what has grown too old.
    if (nowMs - this.#allAtMs >= ALL_EVERY_MS) {
      for (const pair of await agentsWithFailedRuns(db, since)) this.#touch(pair);
      for (const { source, agent, job } of book.openAlerts()) {
        if (source === 'run' && agent !== null && job !== null) this.#touch({ agent, job });
      }
      this.#allAtMs = nowMs;
    }
    for (const [key, pair] of [...this.#touched]) {
      // What is stored from here on may not be in what is read below.
      this.#touched.delete(key);
      try {
        await this.#lookAt(pair, since);
      } catch (error) {
        this.#touch(pair);
        throw error;
      }
    }
  }

  async #lookAt(pair: Pair, since: number): Promise<void> {
    const { book, clock } = this.#parts;
    const at = clock.now();
    const open = book.openOf(fingerprintOf('run', pair.job, pair.agent));
    const judged = await this.#judge(pair, since, open !== undefined);
    const alerts = open === undefined ? [] : [open];
    if (judged !== undefined && !isReconciled(alerts, judged, at)) {
      await book.commit((draft) => reconcile(draft, alerts, judged, at));
    }
  }

  #touch({ agent, job }: Pair): void {
    this.#touched.set(`${agent} ${job}`, { agent, job });
  }

  /** Undefined: a rerun is under way, which will tell. */
  async #judge(pair: Pair, since: number, isOpen: boolean): Promise<Judged | undefined> {
    const { db } = this.#parts;
    const agent = this.#parts.agent(pair.agent);
    if (agent === undefined || agent.status === 'revoked') return { findings: [] };
    const runs = await failedRuns(db, pair, since, COUNTED_MAX);
    if (runs.length > 0) return { findings: [runFinding(runs, agent)] };
    return isOpen && (await isRunAgain(db, pair)) ? undefined : { findings: [] };
  }
}

/** `runs` failed, the newest first, of one job on this device. */
export function runFinding(runs: readonly RunRecord[], agent: AgentRecord): Finding {
  const [{ job, error, partition, run }] = runs as readonly [RunRecord];
  const count = runs.length >= COUNTED_MAX ? `${COUNTED_MAX} or more` : `${runs.length}`;
  const others = runs.length === 1 ? '' : `${count} partitions failed; the newest: `;
  const mend = `runnel rerun ${run.slice(0, 8)}`;
  return {
    fingerprint: fingerprintOf('run', job, agent.id),
    source: 'run',
    severity: 'error',
    title: `${job} failed on ${agent.name}`,
    message: `${others}${partition}: ${error?.message ?? 'no cause was reported'} (${mend})`,
    labels: { ...agentLabels(agent), job },
    agent: agent.id,
    job,
    link: `/runs/${encodeURIComponent(run)}?agent=${encodeURIComponent(agent.id)}`,
  };
}
