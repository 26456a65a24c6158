/** The tasks of one run on a line of time, and the list that stands beside it. Pure. */
import type { RunDetail, RunTaskItem, TaskInstanceItem } from '../../http/run-messages.ts';
import { depthsOf } from './task-order.ts';

export interface TimelineBar {
  /** Shares of the whole line, 0 to 1. */
  readonly left: number;
  readonly width: number;
}

export interface TimelineRow {
  readonly task: RunTaskItem & { readonly needs: readonly string[] };
  readonly depth: number;
  /** Of the task itself; null while nothing was reported of it. */
  readonly head: TaskInstanceItem | null;
  /** Of a `forEach`, by position. */
  readonly instances: readonly TaskInstanceItem[];
  readonly durationMs: number | null;
  readonly bar: TimelineBar | null;
}

export interface Timeline {
  readonly startMs: number;
  readonly endMs: number;
  readonly rows: readonly TimelineRow[];
}

/** `now` is the end of what goes on. A bar is never too short to be seen. */
export function timelineOf(run: RunDetail, now: number): Timeline {
  const times = run.instances.flatMap(({ startedAt, endedAt, state }) =>
    startedAt === null ? [] : [startedAt, endedAt ?? (state === 'running' ? now : startedAt)],
  );
  const first = run.startedAt ?? run.queuedAt;
  const startMs = times.reduce((least, at) => Math.min(least, at), first);
  const last = run.endedAt ?? (run.state === 'running' ? now : first);
  const endMs = times.reduce((most, at) => Math.max(most, at), last);
  const depths = depthsOf(run.tasks);
  const byTask = new Map<string, TaskInstanceItem[]>();
  for (const instance of run.instances) {
    const own = byTask.get(instance.task);
    if (own === undefined) byTask.set(instance.task, [instance]);
    else own.push(instance);
  }
  const rows = run.tasks.map((task): TimelineRow => {
    const own = byTask.get(task.id) ?? [];
    const span = spanOf(own, now);
    return {
      task,
      depth: depths.get(task.id) ?? 0,
      head: own.find(({ index }) => index === null) ?? null,
      instances: own.filter(({ index }) => index !== null),
      durationMs: span === null ? null : span.end - span.start,
      bar: span === null ? null : barOf(span, startMs, endMs),
    };
  });
  return { startMs, endMs, rows };
}

export function barOf(
  span: { readonly start: number; readonly end: number },
  startMs: number,
  endMs: number,
): TimelineBar {
  const whole = Math.max(1, endMs - startMs);
  const width = Math.min(1, Math.max(MIN_SHARE, (span.end - span.start) / whole));
  const left = Math.max(0, Math.min(1 - width, (span.start - startMs) / whole));
  return { left, width };
}

const MIN_SHARE = 0.004;

/** From the first start to the last end of these; null when none has started. */
export function spanOf(
  instances: readonly TaskInstanceItem[],
  now: number,
): { readonly start: number; readonly end: number } | null {
  let start = Infinity;
  let end = -Infinity;
  for (const { startedAt, endedAt, state } of instances) {
    if (startedAt === null) continue;
    start = Math.min(start, startedAt);
    end = Math.max(end, startedAt, endedAt ?? (state === 'running' ? now : startedAt));
  }
  return start === Infinity ? null : { start, end };
}
