/**
 * Runs the steps of a stream job over rows that are all there: sorted by event time, pushed through
 * the engine in slices, and at the end every window is closed.
 *
 * The engine's `now` is the event time of the row, so that what waits for time to pass (absence, a
 * hold) sees the time of the rows and not that of the run: the same rows give the same table.
 */
import {
  compileTransform,
  type CompiledTransform,
} from '@runnel/shared/definitions/compile-transform.ts';
import type { TransformTaskConfig } from '@runnel/shared/definitions/tasks/transform.ts';
import { MemoryState } from '@runnel/shared/engine/memory-state.ts';
import type { Json, Output } from '@runnel/shared/engine/record.ts';
import type { JobCounters } from '@runnel/shared/engine/stream-job.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { DeadRows } from '../data/dead-rows.ts';
import { Slices } from '../data/slices.ts';
import { sortRecords, type TimedRecord } from '../data/sort-records.ts';
import { EVERYTHING, rangeOf, rowChunks, timeOfRow } from '../data/timed-rows.ts';
import { writeOutput } from '../data/write-output.ts';
import { tableOutput } from '../tables/table-output.ts';
import { defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';
import type { Row } from './task-services.ts';

const NO_META: Readonly<Record<string, unknown>> = Object.freeze({});

export const transformTask = defineTaskRunner<TransformTaskConfig>({
  kind: 'transform',
  async run(config, context) {
    const compiled = compileTransform(config, context.program.parameters);
    const dead = new DeadRows();
    const slices = new Slices(context);
    const unsorted = recordsOf(config, compiled, context, dead, slices);
    const records =
      config.order === 'input'
        ? unsorted
        : sortRecords(unsorted, { dir: context.scratchDir, slices });
    const counters: JobCounters = {
      recordsIn: 0,
      recordsOut: 0,
      late: 0,
      deadLetters: 0,
      dropped: {},
    };
    const { tables } = context.services;
    const table = await tables.write(
      context,
      rowsThrough(compiled, records, { counters, dead, slices }),
    );
    const { facts, success } = await writeOutput(config.output, table, context);
    if (dead.count > 0) context.log.warn(`${dead.count} rows went to the dead letters`);
    for (const [reason, count] of Object.entries(counters.dropped)) {
      context.log.warn(`${count} rows were dropped: ${reason}`);
    }
    return {
      output: {
        ...(await tableOutput(tables, table)),
        ...facts,
        recordsIn: counters.recordsIn,
        late: counters.late,
        deadLetters: dead.count,
        dropped: counters.dropped,
      },
      table,
      deadRows: dead.kept,
      deadRowCount: dead.count,
      ...success,
    } satisfies TaskSuccess;
  },
});

/** The input as records: `_time` and `_topic` are the record's own, the rest is its payload. */
async function* recordsOf(
  config: TransformTaskConfig,
  { time }: CompiledTransform,
  context: TaskContext,
  dead: DeadRows,
  slices: Slices,
): AsyncGenerator<readonly TimedRecord[]> {
  const range = config.all ? EVERYTHING : rangeOf(context);
  for await (const { rows, presetMs } of rowChunks(config, range, context)) {
    const records: TimedRecord[] = [];
    for (const row of rows) {
      if (slices.isOver()) await slices.rest();
      const { _time, _topic, ...payload } = row;
      const known = _time === undefined ? payload : { ...payload, _time };
      const seen = time === undefined ? known : payload;
      const preset = typeof _time === 'number' ? _time : presetMs;
      const timeMs = timeOfRow(seen, preset, time, dead);
      if (timeMs === undefined) continue;
      records.push({ timeMs, topic: typeof _topic === 'string' ? _topic : '', payload });
    }
    yield records;
  }
}

interface Passage {
  readonly counters: JobCounters;
  readonly dead: DeadRows;
  readonly slices: Slices;
}

/** Rows of the table; `counters` are set when they are through. */
async function* rowsThrough(
  { alias, program }: CompiledTransform,
  records: AsyncIterable<readonly TimedRecord[]>,
  { counters, dead, slices }: Passage,
): AsyncGenerator<Row> {
  const outputs: Output[] = [];
  const instance = program.create(new MemoryState(), {
    // Late records come here too, with no sink when `from` is another step.
    output: (output, sinks) => {
      if (sinks.length > 0) outputs.push(output);
    },
    deadLetter: ({ step, reason, message, record }) =>
      dead.add(reason, `${step}: ${message}`, record.payload),
  });
  for await (const chunk of records) {
    for (const { timeMs, topic, payload } of chunk) {
      instance.record(alias, { topic, payload, meta: NO_META }, epochMs(timeMs));
      if (outputs.length > 0) for (const output of outputs.splice(0)) yield rowOf(output);
      if (slices.isOver()) await slices.rest();
    }
  }
  instance.flush();
  for (const output of outputs.splice(0)) {
    yield rowOf(output);
    if (slices.isOver()) await slices.rest();
  }
  Object.assign(counters, instance.counters);
}

/** Columns of the value win over those that the engine adds. */
function rowOf({ time, key, windowStart, windowEnd, revision, value }: Output): Row {
  const fields = value as Json;
  const isMap = typeof fields === 'object' && fields !== null && !Array.isArray(fields);
  return {
    _time: time,
    ...(windowEnd === null ? key !== null && { key } : { key, windowStart, windowEnd }),
    ...(revision > 1 && { revision }),
    ...(isMap ? (fields as Row) : { value: fields }),
  };
}
