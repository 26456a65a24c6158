/**
 * The grid of runs × tasks: runs as columns with the newest at the right, tasks as rows in the
 * order of the document. Pure.
 */
import type { RunItem, RunTaskItem } from '../../http/run-messages.ts';
import { depthsOf, type TaskNeeds } from './task-order.ts';

export interface GridRow {
  readonly task: string;
  /** `none` for a task that only joins or branches. */
  readonly kind: string;
  readonly depth: number;
  /** One a column; null where that run has no such task. */
  readonly cells: readonly (RunTaskItem | null)[];
}

export interface GridColumn {
  readonly run: RunItem;
  /** Null before it started. */
  readonly durationMs: number | null;
  /**
   * Height of its bar, 0 to 1: the square root of its part of the longest, so that one run that
   * hangs does not make all others look alike.
   */
  readonly share: number;
}

export interface RunGrid {
  readonly columns: readonly GridColumn[];
  readonly rows: readonly GridRow[];
  readonly durationMsMax: number;
}

/**
 * `runs` newest first. `document`: the tasks of the job as it is now, whose order and depth hold;
 * tasks that only older runs have come after them. At `now` a run that goes on is as long as it
 * has taken.
 */
export function gridOf(
  runs: readonly RunItem[],
  document: readonly TaskNeeds[],
  now: number,
): RunGrid {
  const ordered = [...runs].reverse();
  const durations = ordered.map((run) => runDurationMs(run, now));
  const durationMsMax = Math.max(0, ...durations.map((ms) => ms ?? 0));
  const depths = depthsOf(document);
  const byRun = ordered.map(({ tasks }) => new Map(tasks.map((task) => [task.id, task])));
  const ids = new Set(document.map(({ id }) => id));
  for (const { tasks } of runs) for (const { id } of tasks) ids.add(id);
  const rows = [...ids].map((task): GridRow => {
    const cells = byRun.map((tasks) => tasks.get(task) ?? null);
    const kind = cells.findLast((cell) => cell !== null)?.kind ?? '';
    return { task, kind, depth: depths.get(task) ?? 0, cells };
  });
  return {
    durationMsMax,
    // A task that is new in the document and in none of these runs is nothing to look at.
    rows: rows.filter(({ cells }) => cells.some((cell) => cell !== null)),
    columns: ordered.map((run, index) => {
      const durationMs = durations[index] ?? null;
      const share =
        durationMs === null || durationMsMax === 0 ? 0 : Math.sqrt(durationMs / durationMsMax);
      return { run, durationMs, share };
    }),
  };
}

/** From its start to its end, or to `now` while it goes on; null before it started. */
export function runDurationMs(
  run: { readonly startedAt: number | null; readonly endedAt: number | null },
  now: number,
): number | null {
  if (run.startedAt === null) return null;
  return Math.max(0, (run.endedAt ?? now) - run.startedAt);
}

/** `3/4` of a task with `forEach`, else nothing. */
export function instanceWords({ instances }: RunTaskItem): string {
  return instances === null ? '' : `${instances.succeeded}/${instances.reported}`;
}
