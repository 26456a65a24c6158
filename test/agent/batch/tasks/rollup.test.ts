/** The task `rollup`: periods by the calendar, late records, and rollups of rollups. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { TaskSuccess } from '@runnel/agent/batch/tasks/task.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import {
  type ContextOptions,
  DAY_START,
  type TaskSite,
  taskSite,
} from '../../../support/task-context.ts';

const HOUR = 3_600_000;
const AGGREGATE = {
  n: 'count()',
  total: 'sum(v)',
  mean: 'avg(v)',
  least: 'min(v)',
  most: 'max(v)',
  spread: 'stddev(v)',
  high: 'quantile(v, 0.9)',
  newest: 'last(v)',
  ratio: 'max(v) - min(v)',
};

function job(rollup: Readonly<Record<string, unknown>>, more: object = {}) {
  return {
    ...more,
    tasks: [
      { id: 'made', value: { value: 1 } },
      { id: 'task', needs: ['made'], rollup },
    ],
  };
}

/** Makes an attempt and keeps what it wrote, as the commit of its success does. */
async function roll(
  site: TaskSite,
  program: BatchProgram,
  options: ContextOptions = {},
): Promise<TaskSuccess> {
  const { success } = await site.attempt(program, 'task', options);
  for (const { dataset, table, partition } of success.datasets ?? []) {
    const { id, start, end } = partition!;
    await site.publishDataset({ dataset, table }, { partition: id, start, end });
  }
  return success;
}

async function stored(site: TaskSite, name: string): Promise<Record<string, Row[]>> {
  const found: Record<string, Row[]> = {};
  for (const { name: each, partition, table } of site.datasets) {
    if (each === name) found[partition] = await site.rows(table ?? undefined);
  }
  return found;
}

/** A run that stands for an instant, of a job without periods. */
function at(timeMs: number): NonNullable<ContextOptions['partition']> {
  return { id: `at-${timeMs}`, start: epochMs(timeMs), end: epochMs(timeMs) };
}

function values(count: number, spanMs: number, fromMs = DAY_START): Row[] {
  let seed = 11;
  const next = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648);
  return Array.from({ length: count }, () => ({
    _time: fromMs + (next() % spanMs),
    machine: `m${next() % 3}`,
    v: (next() % 100_000) / 7 - 5000,
  }));
}

taskContract({
  kind: 'rollup',
  setup: async (site) => {
    const made = await site.table(values(200, 3 * HOUR));
    const rollup = {
      input: 'made',
      period: '1h',
      by: 'machine',
      aggregate: AGGREGATE,
      dataset: 'd',
    };
    return {
      program: site.program(job(rollup)),
      task: 'task',
      options: { tables: { made } },
      effects: null,
    };
  },
});

/** Numbers to nine digits; what is beside them (`_partial`) left out. */
function rounded(rows: readonly Row[]): unknown[] {
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row)
        .filter(([name]) => name !== '_partial')
        .map(([name, value]) => [
          name,
          typeof value === 'number' ? Number(value.toPrecision(9)) : value,
        ]),
    ),
  );
}

describe('a rollup of rollups', () => {
  // Summer time ends on 25 October 2026 in Paris and begins on 29 March: 25 and 23 hours.
  for (const [what, fromMs, hours] of [
    ['with a day of 25 hours', Date.UTC(2026, 9, 23, 22), [24, 25, 24]],
    ['with a day of 23 hours', Date.UTC(2026, 2, 27, 23), [24, 23, 24]],
  ] as const) {
    it(`is the rollup of the rows, ${what}`, async () => {
      const site = taskSite();
      const made = await site.table(values(4000, 72 * HOUR, fromMs));
      const shared = { by: 'machine', aggregate: AGGREGATE };
      const day = { ...shared, period: '1d', timezone: 'Europe/Paris' };
      const options = { tables: { made }, partition: at(fromMs + 400 * HOUR) };
      const run = (rollup: object): Promise<TaskSuccess> =>
        roll(site, site.program(job(rollup as never)), options);
      await run({ ...shared, input: 'made', period: '1h', dataset: 'hours' });
      await run({ ...day, input: 'made', dataset: 'raw' });
      await run({ ...day, from: 'hours', dataset: 'days' });
      await run({
        ...shared,
        by: undefined,
        from: 'days',
        period: '1mo',
        dataset: 'months',
        timezone: 'Europe/Paris',
      });
      await run({
        ...shared,
        by: undefined,
        input: 'made',
        period: '1mo',
        dataset: 'raw-months',
        timezone: 'Europe/Paris',
      });

      const [raw, days] = [await stored(site, 'raw'), await stored(site, 'days')];
      expect(Object.keys(days)).toEqual(Object.keys(raw));
      for (const [partition, rows] of Object.entries(raw)) {
        expect(rounded(days[partition]!), partition).toEqual(rounded(rows));
      }
      const lengths = Object.values(days).map(
        ([row]) => (Number(row!['_end']) - Number(row!['_time'])) / HOUR,
      );
      expect(lengths.slice(0, 3)).toEqual(hours);
      const months = Object.values(await stored(site, 'months')).flat();
      const expected = Object.values(await stored(site, 'raw-months')).flat();
      expect(months).toHaveLength(expected.length);
      for (const [index, { high, ...row }] of months.entries()) {
        const { high: exact, ...same } = expected[index]!;
        expect(rounded([row])).toEqual(rounded([same]));
        // Beyond 128 values quantiles are sketches, which do not depend on how they were merged.
        expect(Number(high)).toBeCloseTo(Number(exact), 6);
      }
    }, 30_000);
  }

  it('is computed again when a finer partition changes, and stays when one is gone', async () => {
    const site = taskSite();
    const hours = job({
      input: 'made',
      period: '1h',
      aggregate: { n: 'count()' },
      dataset: 'hours',
    });
    const days = site.program(
      job({ from: 'hours', period: '1d', aggregate: { n: 'count()' }, dataset: 'days' }),
    );
    const partition = at(DAY_START + 48 * HOUR);
    const put = async (rows: readonly Row[]): Promise<void> => {
      const made = await site.table(rows);
      await roll(site, site.program(hours), { tables: { made }, partition });
    };
    const rows = [
      { _time: DAY_START },
      { _time: DAY_START + HOUR },
      { _time: DAY_START + 30 * HOUR },
    ];
    await put(rows);
    const first = await roll(site, days, { partition });
    expect(first.output).toMatchObject({ periods: 2, skipped: 0 });
    const again = await roll(site, days, { partition, cursor: first.cursor! });
    expect(again.output).toMatchObject({ periods: 0 });

    await put([...rows, { _time: DAY_START + 5 }]);
    const third = await roll(site, days, { partition, cursor: again.cursor! });
    expect(third.output).toMatchObject({ periods: 1 });
    const n = async (id: string): Promise<unknown> => (await stored(site, 'days'))[id]![0]!['n'];
    expect([await n('2026-11-22'), await n('2026-11-23')]).toEqual([3, 1]);

    site.datasets.splice(
      site.datasets.findIndex(({ partition: id }) => id === '2026-11-22T01'),
      1,
    );
    const last = await roll(site, days, { partition, cursor: third.cursor! });
    expect(last.output).toMatchObject({ periods: 0, skipped: 1 });
    expect(await n('2026-11-22')).toBe(3);
  });

  it('refuses a call that the finer one has not, and periods that cross', async () => {
    const site = taskSite();
    const made = await site.table(values(10, HOUR));
    const options = { tables: { made }, partition: at(DAY_START + 48 * HOUR) };
    const hours = { input: 'made', period: '1h', aggregate: { n: 'count()' }, dataset: 'hours' };
    await roll(site, site.program(job(hours)), options);
    const day = { from: 'hours', period: '1d', dataset: 'days' };
    const other = site.program(job({ ...day, aggregate: { mean: 'avg(v)' } }));
    expect(await site.failure(other, 'task', options)).toMatchObject({ code: 'call_missing' });
    const india = { ...day, timezone: 'Asia/Kolkata', aggregate: { n: 'count()' } };
    const made2 = await site.table([{ _time: Date.UTC(2026, 10, 22, 18, 40), v: 1 }]);
    await roll(site, site.program(job(hours)), { ...options, tables: { made: made2 } });
    const error = await site.failure(site.program(job(india)), 'task', options);
    expect(error).toMatchObject({ code: 'periods_cross' });
  });
});

const SOURCES = { readings: { file: { path: 'r.jsonl' }, time: 'payload.ts' } };
const HOURLY = {
  journal: 'readings',
  period: '1h',
  by: 'machine',
  aggregate: { n: 'count()', total: 'sum(v)', newest: 'last(v)' },
  dataset: 'hours',
};

describe('a rollup of the journal', () => {
  it('with random late records is what a computation from scratch gives', async () => {
    const arrival = fc.record({
      hour: fc.integer({ min: 0, max: 5 }),
      minute: fc.integer({ min: 0, max: 59 }),
      machine: fc.constantFrom('a', 'b'),
      v: fc.integer({ min: -100, max: 100 }),
    });
    const batches = fc.array(fc.array(arrival, { maxLength: 6 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(batches, async (list) => {
        const site = taskSite();
        const program = site.program(job(HOURLY, { sources: SOURCES }));
        const [source] = site.sources;
        let cursor: Json = null;
        let revisions = 0;
        for (const [index, batch] of list.entries()) {
          await site.append(
            source!,
            batch.map(({ hour, minute, machine, v }) => ({
              arrivalMs: DAY_START + index * HOUR,
              payload: { ts: DAY_START + hour * HOUR + minute * 60_000, machine, v },
            })),
          );
          // Each run sees one more hour as ended; what came for later ones waits.
          const partition = at(DAY_START + (index + 2) * HOUR);
          const success: TaskSuccess = await roll(site, program, { partition, cursor });
          cursor = success.cursor!;
          revisions += success.datasets!.length;
        }
        const partition = at(DAY_START + (list.length + 1) * HOUR);
        const kept = await stored(site, 'hours');
        site.datasets.length = 0;
        const fresh = await roll(site, program, { partition, fullRefresh: true });
        expect(await stored(site, 'hours')).toEqual(kept);
        expect(revisions).toBeGreaterThanOrEqual(fresh.datasets!.length);
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it('computes the periods of its partition, and those that late records are of', async () => {
    const site = taskSite();
    const program = site.program(
      job(HOURLY, { sources: SOURCES, schedule: { every: '1h' }, partition: { every: '1h' } }),
    );
    const [source] = site.sources;
    const put = (hour: number, v: number) => ({
      arrivalMs: DAY_START + 10 * HOUR,
      payload: { ts: DAY_START + hour * HOUR, machine: 'a', v },
    });
    const hour = (start: number) => ({
      partition: {
        start: epochMs(DAY_START + start * HOUR),
        end: epochMs(DAY_START + (start + 1) * HOUR),
      },
    });
    await site.append(source!, [put(0, 1), put(1, 2), put(2, 3)]);
    const first = await roll(site, program, hour(1));
    expect(first.datasets!.map(({ partition }) => partition!.id)).toEqual(['2026-11-22T01']);
    await site.append(source!, [put(0, 4), put(3, 5)]);
    const second = await roll(site, program, { ...hour(2), cursor: first.cursor! });
    expect(second.datasets!.map(({ partition }) => partition!.id)).toEqual([
      '2026-11-22T02',
      '2026-11-22T00',
    ]);
    // The record of hour 3 came before that hour had ended: it is not forgotten.
    const third = await roll(site, program, { ...hour(4), cursor: second.cursor! });
    expect(third.datasets!.map(({ partition }) => partition!.id)).toEqual(['2026-11-22T03']);
    expect((await stored(site, 'hours'))['2026-11-22T00']).toMatchObject([{ n: 2, total: 5 }]);
  });

  it('leaves a period that the journal no longer has all of, and fails for its own', async () => {
    const site = taskSite();
    const program = site.program(
      job(HOURLY, { sources: SOURCES, schedule: { every: '1h' }, partition: { every: '1h' } }),
    );
    const [source] = site.sources;
    const late = {
      arrivalMs: DAY_START + 3 * HOUR,
      payload: { ts: DAY_START, machine: 'a', v: 1 },
    };
    await site.append(source!, [{ ...late, arrivalMs: DAY_START }]);
    await site.append(source!, [late]);
    await site.dropBlocksBefore(2);
    const partition = { start: epochMs(DAY_START + 4 * HOUR), end: epochMs(DAY_START + 5 * HOUR) };
    const cursor = { '[null,null]': { journal: { block: 1, pending: [] } } };
    const { success, context } = await site.attempt(program, 'task', { partition, cursor });
    expect(success.output).toMatchObject({ periods: 0, skipped: 1 });
    expect(context.lines[0]).toContain('stay: the journal lacks records');
    const own = { start: epochMs(DAY_START), end: epochMs(DAY_START + HOUR) };
    expect(await site.failure(program, 'task', { partition: own })).toMatchObject({
      class: 'journal_incomplete',
    });
  });

  it('that is made again writes the same bytes, and tells who is left out', async () => {
    const site = taskSite();
    const program = site.program(job(HOURLY, { sources: SOURCES }));
    const [source] = site.sources;
    await site.append(source!, [
      { arrivalMs: DAY_START, payload: { ts: DAY_START, machine: 'a', v: 0.1 } },
      { arrivalMs: DAY_START, payload: { ts: DAY_START + 1, machine: 'a', v: 0.2 } },
      { arrivalMs: DAY_START, payload: { ts: DAY_START + 2, machine: 'a' } },
    ]);
    const partition = at(DAY_START + HOUR);
    const first = await roll(site, program, { partition });
    const second = await roll(site, program, { partition });
    expect(first.output).toMatchObject({ periods: 1, rowCount: 1, deadLetters: 1 });
    expect(first.deadRows).toMatchObject([
      { reason: 'missing_key', value: { _time: DAY_START + 2 } },
    ]);
    const [left, right] = [first.datasets![0]!.table, second.datasets![0]!.table];
    expect(await site.tables.hash(left)).toBe(await site.tables.hash(right));
    expect(first.datasets![0]!.withheld).toEqual(['_partial']);
  });
});

describe('a rollup of a dataset', () => {
  it('sums up whole periods of its rows, and removes one that has none any more', async () => {
    const site = taskSite();
    const rollup = { rows: 'events', period: '1h', aggregate: { n: 'count()' }, dataset: 'hours' };
    const program = site.program(
      job(rollup, { schedule: { every: '1d' }, partition: { every: '1d' } }),
    );
    const day = { partition: '2026-11-22', start: DAY_START, end: DAY_START + 24 * HOUR };
    const put = async (rows: readonly Row[]): Promise<unknown> =>
      site.publishDataset({ dataset: 'events', table: await site.table(rows) }, day);
    await put([{ _time: DAY_START }, { _time: DAY_START + 1 }, { _time: DAY_START + 2 * HOUR }]);
    await roll(site, program);
    expect(await stored(site, 'hours')).toMatchObject({
      '2026-11-22T00': [{ n: 2 }],
      '2026-11-22T02': [{ n: 1 }],
    });
    await put([{ _time: DAY_START }]);
    const { removedDatasets, output } = await roll(site, program);
    const hash = expect.any(String) as string;
    const gone = { name: 'hours', partition: '2026-11-22T02', hash };
    expect(removedDatasets).toEqual([gone]);
    expect(output).toMatchObject({ periods: 1 });
  });
});

it('rows of which none has the column are told with the reason', async () => {
  const site = taskSite();
  const made = await site.table(values(10, HOUR));
  const rollup = { input: 'made', period: '1h', aggregate: { x: 'avg(vv)' }, dataset: 'd' };
  const { success, context } = await site.attempt(site.program(job(rollup)), 'task', {
    tables: { made },
  });
  expect(success).toMatchObject({ output: { deadLetters: 10 }, deadRowCount: 10 });
  expect(context.lines).toEqual([
    expect.stringMatching(/^warn 10 rows went to the dead letters; the first: \w+: .*vv/),
  ]);
});
