/** What promises of a batch job are judged by: its runs, as they are stored. Pure. */
import type { DeadlineFacts, DurationFacts, SuccessFacts } from '@runnel/shared/sla/facts.ts';
import type { DeadlineTimes } from '@runnel/shared/sla/deadlines.ts';
import type { RunRecord } from '../batch/records.ts';

export type SlaRun = Pick<
  RunRecord,
  'at' | 'backfill' | 'endedAt' | 'error' | 'startedAt' | 'state'
>;

interface Ended {
  readonly run: SlaRun;
  readonly endedAt: number;
}

/** By when they ended, oldest first. */
function endedRuns(runs: readonly SlaRun[], state: 'success' | 'failed'): Ended[] {
  return runs
    .flatMap((run) =>
      run.state === state && run.endedAt !== null ? [{ run, endedAt: run.endedAt }] : [],
    )
    .toSorted((a, b) => a.endedAt - b.endedAt);
}

export function lastSuccess(runs: readonly SlaRun[]): number | null {
  return endedRuns(runs, 'success').at(-1)?.endedAt ?? null;
}

/** A backfill makes the past anew; it is not what the schedule asks for. */
export function doneUpTo(runs: readonly SlaRun[]): number | null {
  const times = endedRuns(runs, 'success')
    .filter(({ run }) => run.backfill === null)
    .map(({ run }) => run.at);
  return times.length === 0 ? null : Math.max(...times);
}

export function durationFacts(runs: readonly SlaRun[]): DurationFacts {
  const successes = endedRuns(runs, 'success').flatMap(({ run: { startedAt }, endedAt }) =>
    startedAt === null ? [] : [{ endedAt, tookMs: Math.max(0, endedAt - startedAt) }],
  );
  return {
    last: successes.at(-1) ?? null,
    recentMs: successes.slice(0, -1).map(({ tookMs }) => tookMs),
    running: runs.flatMap(({ state, startedAt }) =>
      state === 'running' && startedAt !== null ? [startedAt] : [],
    ),
  };
}

export function successFacts(runs: readonly SlaRun[], overMs: number, now: number): SuccessFacts {
  const within = ({ endedAt }: Ended): boolean => endedAt > now - overMs;
  const failed = endedRuns(runs, 'failed').filter(within).length;
  return { total: failed + endedRuns(runs, 'success').filter(within).length, failed, of: 'runs' };
}

export interface DeadlineNeeds {
  /** Null: no calendar says when a run is due, only that one was asked for. */
  readonly times: DeadlineTimes | null;
  readonly afterMs: number;
  readonly doneUpTo: number;
  readonly lastSuccessAt: number | null;
}

export function deadlineFacts(runs: readonly SlaRun[], needs: DeadlineNeeds): DeadlineFacts {
  const { times, afterMs, lastSuccessAt } = needs;
  const pending = times === null ? oldestOpen(runs, afterMs) : (times.next(needs.doneUpTo) ?? null);
  const failed = endedRuns(runs, 'failed').findLast(
    ({ run }) => pending !== null && run.at >= pending.at,
  );
  const failure = failed === undefined ? null : (failed.run.error?.message ?? 'without a cause');
  return { pending, lastSuccessAt, failure };
}

function oldestOpen(runs: readonly SlaRun[], afterMs: number): DeadlineFacts['pending'] {
  const open = runs.filter(({ state }) => state === 'queued' || state === 'running');
  if (open.length === 0) return null;
  const at = Math.min(...open.map((run) => run.at));
  return { at, dueAt: at + afterMs };
}
