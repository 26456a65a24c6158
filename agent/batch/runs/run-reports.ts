/** Runs and tasks as outbox rows (protocol/runs.ts): each holds the whole of what is known. */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import { hasEnded, type RunReport, type TaskReport } from '@runnel/shared/protocol/runs.ts';
import { runKey } from '../dag/task-scope.ts';
import type { RunRecord, TaskRecord } from '../records.ts';
import type { RunParametersRecord } from './job-record.ts';

export type RowText = Omit<Row, 'seq'>;

export function runRow(
  run: RunRecord,
  given: RunParametersRecord,
  affected: RunReport['affected'],
  at: number,
): string {
  const { partition } = run;
  const report: RunReport = {
    run: run.id,
    key: runKey(run),
    partition: partition.id,
    partitionStart: partition.start,
    partitionEnd: partition.end,
    trigger: run.trigger,
    state: run.state,
    at: run.at,
    queuedAt: run.queuedAt,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    tries: run.tries,
    parameters: given.values,
    origins: given.origins,
    tasks: [...given.tasks],
    error: run.error,
    ...(isBeingCancelled(run) && { cancelling: true }),
    affected,
  };
  const text = row(run, 'run', report, at);
  if (Buffer.byteLength(text) <= limits.runReportBytesMax) return text;
  // A run whose graph is not drawn is better than one that is not heard of.
  const tasks = report.tasks.map((task) => ({ ...task, needs: [] }));
  return row(run, 'run', { ...report, tasks }, at);
}

function isBeingCancelled({ cancelling, state }: RunRecord): boolean {
  return cancelling !== null && !hasEnded(state);
}

export function taskRow(run: RunRecord, task: TaskRecord, at: number): string {
  const report: TaskReport = {
    run: run.id,
    task: task.task,
    index: task.index,
    state: task.state,
    attempt: task.attempt,
    startedAt: task.startedAt,
    endedAt: task.endedAt,
    nextAttemptAt: task.nextAttemptAt,
    output: boundedOutput(task.output),
    error: task.error,
  };
  return row(run, 'task', report, at);
}

function boundedOutput(output: Json): Json {
  const bytes = Buffer.byteLength(JSON.stringify(output));
  return bytes <= limits.taskOutputReportedBytesMax ? output : { truncated: true, bytes };
}

function row(
  run: RunRecord,
  kind: 'run' | 'task',
  value: RunReport | TaskReport,
  at: number,
): string {
  const text: RowText = {
    kind,
    job: run.job,
    version: run.version,
    step: 'task' in value ? value.task : '',
    dataset: run.id,
    key: run.partition.key,
    windowStart: run.partition.start,
    windowEnd: run.partition.end,
    time: run.at,
    revision: run.tries,
    value,
    at,
  };
  return JSON.stringify(text);
}

export interface BatchEvent {
  readonly job: string;
  readonly version: number;
  /** Type of the event: `run_failed`, `schedule_skipped`, … */
  readonly type: string;
  readonly severity: 'info' | 'warning' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function eventRow(event: BatchEvent, at: number): string {
  const { job, version, type, severity, message, fields } = event;
  const text: RowText = {
    kind: 'event',
    job,
    version,
    step: '',
    dataset: type,
    key: null,
    windowStart: null,
    windowEnd: null,
    time: at,
    revision: 1,
    value: { severity, message, ...fields },
    at,
  };
  return JSON.stringify(text);
}
