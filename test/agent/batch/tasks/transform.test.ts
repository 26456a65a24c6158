/** The task `transform`: the steps of a stream job over rows that are all there. */
import { describe, expect, it } from 'vitest';
import { dryRun } from '@runnel/shared/engine/dry-run.ts';
import { MemoryState } from '@runnel/shared/engine/memory-state.ts';
import { compileStreamJob } from '@runnel/shared/engine/compile-stream-job.ts';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';
import type { StreamJob } from '@runnel/shared/definitions/stream-job.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { stringify } from 'yaml';
import { taskContract } from '../../../contracts/task-contract.ts';
import { DAY_START, taskSite } from '../../../support/task-context.ts';

const MINUTE = 60_000;
const readings = { file: { path: 'readings.jsonl' } };
const windows = [
  { filter: "payload.status == 'ok'" },
  {
    id: 'minutes',
    window: { tumbling: '1m', by: 'payload.machine' },
    aggregate: { rms: 'avg(payload.rms)', n: 'count()' },
  },
];

taskContract({
  kind: 'transform',
  setup: async (site) => {
    const made = await site.table([
      { _time: DAY_START, machine: 'm1', rms: 2, status: 'ok' },
      { _time: DAY_START + 10, machine: 'm1', rms: 4, status: 'ok' },
    ]);
    const program = site.program({
      tasks: [
        { id: 'made', value: { value: 1 } },
        { id: 'task', needs: ['made'], transform: { input: 'made', steps: windows } },
      ],
    });
    return { program, task: 'task', options: { tables: { made } }, effects: null };
  },
});

/** Deterministic and not in order. */
function scattered(
  count: number,
): { _time: number; machine: string; rms: number; status: string }[] {
  let seed = 7;
  return Array.from({ length: count }, () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return {
      _time: DAY_START + (seed % (1000 * MINUTE)),
      machine: `m${seed % 3}`,
      rms: (seed % 1000) / 10,
      status: seed % 7 === 0 ? 'off' : 'ok',
    };
  });
}

describe('a transform', () => {
  it('gives what a stream job gives that gets the same records in order', async () => {
    const site = taskSite();
    const rows = scattered(3000);
    const made = await site.table(rows);
    const program = site.program({
      tasks: [
        { id: 'made', value: { value: 1 } },
        { id: 'task', needs: ['made'], transform: { input: 'made', steps: windows } },
      ],
    });
    const { success } = await site.attempt(program, 'task', { tables: { made } });

    const head = { apiVersion: 'runnel/v1', kind: 'StreamJob', metadata: { name: 'job' } };
    const job = parseJob(stringify({ ...head, sources: { readings }, steps: windows }));
    const stream = compileStreamJob(job.job as StreamJob, {});
    const inOrder = rows.toSorted((left, right) => left._time - right._time);
    const entries = inOrder.map(({ _time, ...payload }) => ({
      kind: 'record' as const,
      timeMs: epochMs(_time),
      record: { topic: '', payload, meta: {} },
    }));
    const expected: unknown[] = [];
    const chunks = (async function* () {
      yield entries;
    })();
    const options = { state: new MemoryState(), flush: true, deadLetter: () => undefined };
    for await (const outputs of dryRun(stream, [{ source: 'readings', chunks }], options)) {
      for (const { time, key, windowStart, windowEnd, value } of outputs) {
        expected.push({ _time: time, key, windowStart, windowEnd, ...(value as object) });
      }
    }
    expect(expected.length).toBeGreaterThan(500);
    expect(await site.rows(success.table)).toEqual(expected);
    expect(success.output).toMatchObject({ recordsIn: 3000, late: 0, deadLetters: 0 });
  });

  it('reads the partition of the journal, and everything with all: true', async () => {
    const site = taskSite();
    const transform = { journal: 'readings', time: 'payload.ts', steps: [{ filter: 'true' }] };
    const program = site.program({
      schedule: { every: '1d' },
      partition: { every: '1d' },
      sources: { readings: { ...readings, time: 'payload.ts' } },
      tasks: [
        { id: 'day', transform },
        { id: 'all', transform: { ...transform, all: true } },
      ],
    });
    const [source] = site.sources;
    await site.append(source!, [
      { arrivalMs: DAY_START - 5, payload: { ts: DAY_START - 10, v: 0 } },
      { arrivalMs: DAY_START + 5, payload: { ts: DAY_START, v: 1 }, topic: 'line/2' },
      { arrivalMs: DAY_START + 6, payload: { ts: DAY_START - 1, v: 2 } },
    ]);
    const day = await site.attempt(program, 'day');
    expect(await site.rows(day.success.table)).toEqual([{ _time: DAY_START, ts: DAY_START, v: 1 }]);
    const all = await site.attempt(program, 'all');
    expect((await site.rows(all.success.table)).map(({ v }) => v)).toEqual([0, 2, 1]);
  });

  it('reads a dataset, keeps its rows as dataset, results and file', async () => {
    const site = taskSite();
    const table = await site.table([
      { machine: 'm1', rms: 3 },
      { machine: 'm2', rms: 9 },
    ]);
    const partition = { partition: '2026-11-22', start: DAY_START, end: DAY_START + 86_400_000 };
    await site.publishDataset({ dataset: 'daily', table }, partition);
    const steps = [{ filter: 'payload.rms > params.limit' }];
    const from = { dataset: 'daily', steps };
    const program = site.program({
      parameters: { limit: { type: 'number', default: 5 } },
      tasks: [
        { id: 'a', transform: { ...from, output: { dataset: 'hot', deliver: true } } },
        { id: 'b', transform: { ...from, output: { results: 'hot', key: 'machine' } } },
        { id: 'c', transform: { ...from, output: { jsonl: 'out/{{ partition.date }}.jsonl' } } },
      ],
    });
    const row = { _time: DAY_START, machine: 'm2', rms: 9 };
    const a = await site.attempt(program, 'a');
    expect(a.success.datasets).toMatchObject([{ dataset: 'hot', deliver: true }]);
    const b = await site.attempt(program, 'b');
    expect(b.success.results).toEqual([{ dataset: 'hot', key: 'm2', time: DAY_START, value: row }]);
    const c = await site.attempt(program, 'c');
    expect(c.success.output).toMatchObject({ file: 'out/2026-11-22.jsonl', rows: [row] });
  });

  it('makes dead letters of rows that a step cannot take, and of rows without a time', async () => {
    const site = taskSite();
    const made = await site.table([
      { at: DAY_START, v: 1 },
      { at: 'soon', v: 2 },
      { at: DAY_START, w: 3 },
    ]);
    const transform = { input: 'made', time: 'payload.at', steps: [{ filter: 'payload.v > 0' }] };
    const program = site.program({
      tasks: [
        { id: 'made', value: { value: 1 } },
        { id: 'task', needs: ['made'], transform },
      ],
    });
    const { success, context } = await site.attempt(program, 'task', { tables: { made } });
    expect(success.output).toMatchObject({ rowCount: 1, recordsIn: 2, deadLetters: 2 });
    expect(success.deadRows).toEqual([
      {
        reason: 'bad_format',
        message: expect.stringContaining('soon') as string,
        value: { at: 'soon', v: 2 },
      },
      {
        reason: 'missing_key',
        message: expect.stringContaining('filter') as string,
        value: { at: DAY_START, w: 3 },
      },
    ]);
    expect(context.lines).toEqual(['warn 2 rows went to the dead letters']);
  });

  it('in the order of the input has the late records of a stream job', async () => {
    const site = taskSite();
    const made = await site.table(
      [0, 130_000, 1000, 200_000].map((ms) => ({
        _time: DAY_START + ms,
        machine: 'm',
        rms: 1,
        status: 'ok',
      })),
    );
    const transform = { input: 'made', order: 'input', steps: windows };
    const program = site.program({
      tasks: [
        { id: 'made', value: { value: 1 } },
        { id: 'task', needs: ['made'], transform },
        { id: 'late', needs: ['made'], transform: { ...transform, from: 'late' } },
      ],
    });
    const { success } = await site.attempt(program, 'task', { tables: { made } });
    expect(success.output).toMatchObject({ rowCount: 3, late: 1 });
    const late = await site.attempt(program, 'late', { tables: { made } });
    expect(await site.rows(late.success.table)).toMatchObject([{ _time: DAY_START + 1000 }]);
  });
});
