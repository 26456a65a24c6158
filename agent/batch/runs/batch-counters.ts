/**
 * What the batch engine counts, for heartbeat, `status` and metrics. Times of schedules that
 * started no run are counted by job and reason (batch-job-report.ts).
 */
import type { BatchStore } from './batch-store.ts';
import type { BatchSpace } from './batch-space.ts';
import type { Commands } from './commands.ts';
import type { Retention } from './retention.ts';
import type { RunLogs } from './run-logs.ts';
import type { RunSet } from './run-set.ts';
import type { TaskStarter } from './task-starter.ts';
import type { Upkeep } from './upkeep.ts';

export interface Counted {
  readonly store: BatchStore;
  readonly runs: RunSet;
  readonly starter: TaskStarter;
  readonly logs: RunLogs;
  readonly space: BatchSpace;
  readonly retention: Retention;
  readonly upkeep: Upkeep;
  readonly commands: Commands;
}

/** Since the start of the process, but for what runs, waits or is held now. */
export function batchCounters(of: Counted): Record<string, number> {
  const { store, runs, starter, logs, space, retention, upkeep, commands } = of;
  const open = runs.open().map((each) => runs.runOf(each));
  return {
    batch_runs_queued: open.filter(({ state }) => state === 'queued').length,
    batch_runs_running: open.filter(({ state }) => state === 'running').length,
    // Runs whose cheap window did not open in time.
    batch_windows_missed: starter.runs.missedWindows,
    batch_attempts_running: starter.running,
    batch_attempts: starter.attemptsTotal,
    batch_attempts_failed: starter.failedAttemptsTotal,
    // Attempts that did not begin since the breaker of their task was open.
    batch_breaker_refusals: starter.breakerRefusals,
    batch_cursors_forgotten: starter.cursorsForgotten,
    batch_log_lines_lost: logs.lostTotal,
    batch_log_lines_dropped: logs.droppedTotal,
    batch_logs_trimmed: retention.logsTrimmed,
    // Over their age or number; for want of room.
    batch_runs_expired: retention.runsTrimmed,
    batch_runs_trimmed: space.runsTrimmed,
    batch_partitions_forgotten: retention.partitionsTrimmed,
    batch_answers_forgotten: commands.answersForgotten,
    // Programs that an earlier agent left behind.
    batch_orphans_ended: upkeep.orphansEnded,
    batch_store_bytes: store.usedBytes,
    batch_files_bytes: space.filesBytes,
  };
}
