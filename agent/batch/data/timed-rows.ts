/**
 * Rows of a task's input with their event time: a table, the journal, or a dataset.
 */
import { eventTimeOf } from '@runnel/shared/engine/event-time.ts';
import type { EngineRecord } from '@runnel/shared/engine/record.ts';
import { ExpressionError, type Expression } from '@runnel/shared/expressions/expression.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import type { DeadRows } from './dead-rows.ts';

export interface RowsInput {
  readonly input?: string | undefined;
  readonly journal?: string | undefined;
  readonly dataset?: string | undefined;
}

/** Event time `[fromMs, toMs)`; infinite where there is no bound. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

export const EVERYTHING: TimeRange = { fromMs: -Infinity, toMs: Infinity };

/** Rows that came together, with the event time of those that say none. */
export interface RowsChunk {
  readonly rows: readonly Row[];
  readonly presetMs: number;
}

/** The run's partition; everything for a run without a period. */
export function rangeOf({ scope: { partition } }: TaskContext): TimeRange {
  if (partition.end <= partition.start) return EVERYTHING;
  return { fromMs: partition.start, toMs: partition.end };
}

/** Journal and datasets within the range; a task's table is read whole. */
export async function* rowChunks(
  from: RowsInput,
  range: TimeRange,
  context: TaskContext,
): AsyncGenerator<RowsChunk> {
  const { tables, journal, datasets } = context.services;
  const presetMs = context.scope.partition.start;
  if (from.journal !== undefined) {
    for await (const rows of journal.rows(context, { source: from.journal, ...range })) {
      yield { rows, presetMs };
    }
    return;
  }
  if (from.dataset !== undefined) {
    for (const { table, start } of datasets.partitions(from.dataset, range.fromMs, range.toMs)) {
      if (table === null) continue;
      for await (const rows of tables.read(table)) yield { rows, presetMs: start };
    }
    return;
  }
  const table = context.table(from.input ?? '');
  if (table === undefined) {
    throw new TaskError('definition', 'no_table', `task ${from.input} made no table`, {
      hint: 'Name a task that makes rows.',
    });
  }
  for await (const rows of tables.read(table)) yield { rows, presetMs };
}

/** A row as an expression over its columns, or an aggregate, sees it. */
export function rowRecord(row: Row, timeMs: number): EngineRecord {
  return {
    time: epochMs(timeMs),
    payload: row,
    topic: typeof row['_topic'] === 'string' ? row['_topic'] : '',
    meta: {},
    key: null,
    windowStart: null,
    windowEnd: null,
    revision: 1,
  };
}

/** Its `time:`, or its `_time`, or the preset; a row that has no time is dead: undefined. */
export function timeOfRow(
  row: Row,
  presetMs: number,
  time: Expression | undefined,
  dead: DeadRows,
): number | undefined {
  const own = row['_time'];
  try {
    if (time === undefined) {
      return own === undefined || own === null ? presetMs : eventTimeOf(own, '_time');
    }
    const knownMs = typeof own === 'number' ? own : presetMs;
    return eventTimeOf(time.evaluate(rowRecord(row, knownMs)), time.source);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    dead.add(error.reason, error.message, row);
    return undefined;
  }
}
