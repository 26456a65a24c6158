/** The task `archive`: what is old goes to verified files, each record once, late ones too. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { taskContract } from '../../contracts/task-contract.ts';
import { ifThere } from '../../support/if-there.ts';
import { DAY_MS, DAY_START, taskSite, type TaskSite } from '../../support/task-context.ts';

const HOUR = 3_600_000;
const sources = { readings: { mqtt: { topic: 'press/+/vibration' } } };

function job(site: TaskSite, archive: Record<string, unknown>): BatchProgram {
  const to = 'archive/{{ partition.date }}.parquet';
  return site.program({ sources, tasks: [{ id: 'a', archive: { to, ...archive } }] });
}

/** A job over the lines of compressed files, which tests read without DuckDB. */
function lines(site: TaskSite, more: Record<string, unknown> = {}): BatchProgram {
  const to = 'archive/{{ partition.date }}.jsonl.gz';
  return job(site, { journal: 'readings', to, format: 'jsonl', ...more });
}

function read(site: TaskSite, file: string): unknown[] {
  const text = gunzipSync(readFileSync(join(site.dataDir, file))).toString();
  return text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { n: unknown }).n);
}

function names(site: TaskSite): string[] {
  const dir = join(site.dataDir, 'archive');
  return existsSync(dir) ? readdirSync(dir).toSorted() : [];
}

/** Records `n` at these hours from the start of the day that runs cover. */
async function arrive(
  site: TaskSite,
  hours: readonly number[],
  payload: object = {},
): Promise<void> {
  const records = hours.map((hour) => ({
    arrivalMs: DAY_START + hour * HOUR,
    payload: { n: hour, ...payload },
  }));
  await site.append(site.sources[0]!, records);
}

/** The run of the day `days` after; goes on from the cursor. */
async function run(site: TaskSite, program: BatchProgram, cursor: Json = null, days = 0) {
  const start = (DAY_START + days * DAY_MS) as never;
  const { success, context } = await site.attempt(program, 'a', { cursor, partition: { start } });
  return { success, context, cursor: success.cursor ?? null, output: success.output as never };
}

taskContract({
  kind: 'archive',
  child: true,
  setup: async (site) => {
    const program = job(site, { journal: 'readings' });
    await arrive(site, [0, 1, 23]);
    const target = join(site.dataDir, 'archive/2026-11-22.parquet');
    return { program, task: 'a', effects: () => ifThere(target)?.length };
  },
});

describe('the journal', () => {
  it('goes into a file for each period that ended long enough ago, each record once', async () => {
    const site = taskSite();
    const program = lines(site);
    await arrive(site, [-25, -24, -1, 0, 23, 24, 30]);
    const first = await run(site, program);
    expect(names(site)).toEqual([
      '2026-11-20.jsonl.gz',
      '2026-11-21.jsonl.gz',
      '2026-11-22.jsonl.gz',
    ]);
    expect(read(site, 'archive/2026-11-21.jsonl.gz')).toEqual([-24, -1]);
    expect(read(site, 'archive/2026-11-22.jsonl.gz')).toEqual([0, 23]);
    expect(first.output).toMatchObject({ rowCount: 5, archivedUpTo: DAY_START + DAY_MS });
    const again = await run(site, program, first.cursor);
    expect(again.output).toMatchObject({ fileCount: 0, rowCount: 0 });
    await arrive(site, [47]);
    const next = await run(site, program, again.cursor, 1);
    expect(next.output).toMatchObject({ fileCount: 1, rowCount: 3 });
    expect(read(site, 'archive/2026-11-23.jsonl.gz')).toEqual([24, 30, 47]);
    expect(read(site, 'archive/2026-11-22.jsonl.gz')).toEqual([0, 23]);
  });

  it('keeps back what is younger than olderThan', async () => {
    const site = taskSite();
    const program = lines(site, { olderThan: '1d' });
    await arrive(site, [-1, 1]);
    await run(site, program);
    expect(names(site)).toEqual(['2026-11-21.jsonl.gz']);
  });

  const late = { sources: { readings: { mqtt: { topic: 'x' }, time: 'payload.t' } } };

  function lateJob(site: TaskSite): BatchProgram {
    const to = 'archive/{{ partition.date }}.jsonl.gz';
    const archive = { journal: 'readings', format: 'jsonl', to };
    return site.program({ ...late, tasks: [{ id: 'a', archive }] });
  }

  it('writes a file anew for late records, while the journal has the period', async () => {
    const site = taskSite();
    const program = lateJob(site);
    await arrive(site, [1], { t: DAY_START + 1 });
    const first = await run(site, program);
    await arrive(site, [50], { t: DAY_START + 2 });
    const second = await run(site, program, first.cursor, 1);
    expect(read(site, 'archive/2026-11-22.jsonl.gz')).toEqual([1, 50]);
    expect(names(site)).toEqual(['2026-11-22.jsonl.gz']);
    const third = await run(site, program, second.cursor, 1);
    expect(third.output).toMatchObject({ fileCount: 0 });
  });

  it('writes late records beside it when the journal has lost the period', async () => {
    const site = taskSite();
    const program = lateJob(site);
    await arrive(site, [1], { t: DAY_START + 1 });
    const first = await run(site, program);
    await site.dropBlocksBefore(2);
    await arrive(site, [50], { t: DAY_START + 2 });
    const second = await run(site, program, first.cursor, 1);
    await arrive(site, [51], { t: DAY_START + 3 });
    await run(site, program, second.cursor, 1);
    expect(names(site)).toEqual([
      '2026-11-22.jsonl.gz',
      '2026-11-22.r1.jsonl.gz',
      '2026-11-22.r2.jsonl.gz',
    ]);
    expect(read(site, 'archive/2026-11-22.jsonl.gz')).toEqual([1]);
    expect(read(site, 'archive/2026-11-22.r1.jsonl.gz')).toEqual([50]);
    expect(read(site, 'archive/2026-11-22.r2.jsonl.gz')).toEqual([51]);
  });

  it('says that it was cut too early, and not when only archived blocks went', async () => {
    const site = taskSite();
    const program = lines(site);
    await arrive(site, [1]);
    await arrive(site, [25]);
    const first = await run(site, program);
    await site.dropBlocksBefore(2);
    const second = await run(site, program, first.cursor);
    await arrive(site, [30]);
    await site.dropBlocksBefore(3);
    const error = await site.failure(program, 'a', { cursor: second.cursor });
    expect(error.class).toBe('journal_incomplete');
  });

  it('with fullRefresh writes over no file that holds more than the journal', async () => {
    const site = taskSite();
    const program = lines(site);
    const refresh = () =>
      site.attempt(program, 'a', { fullRefresh: true }).then(
        ({ success }) => success.output,
        (error: unknown) => error,
      );
    await arrive(site, [1]);
    await arrive(site, [2]);
    await run(site, program);
    expect(await refresh()).toMatchObject({ rowCount: 2 });
    await site.dropBlocksBefore(2);
    expect(await refresh()).toMatchObject({ code: 'archive_partial' });
    expect(read(site, 'archive/2026-11-22.jsonl.gz')).toEqual([1, 2]);
  });

  it('refuses to go on with other periods over the same files', async () => {
    const site = taskSite();
    const { cursor } = await run(site, lines(site));
    const error = await site.failure(lines(site, { period: '1w' }), 'a', { cursor });
    expect(error.code).toBe('archive_changed');
  });

  it('is Parquet with the types of the rows, read back through SQL', async () => {
    const site = taskSite();
    const program = job(site, { journal: 'readings' });
    await site.append(site.sources[0]!, [
      {
        arrivalMs: DAY_START + 1,
        payload: { n: 1, text: 'ä', mixed: 1, list: [1], nothing: null },
      },
      { arrivalMs: DAY_START + 2, payload: { n: 2.5, text: '2026-01-01', mixed: 'x' } },
    ]);
    await run(site, program);
    const query = "SELECT * FROM file('archive/*.parquet') ORDER BY _time";
    const reading = site.program({ tasks: [{ id: 'q', sql: { query } }] });
    const { success } = await site.attempt(reading, 'q');
    expect(await site.rows(success.table)).toEqual([
      {
        _time: DAY_START + 1,
        _topic: 'line/1',
        n: 1,
        text: 'ä',
        mixed: '1',
        list: [1],
        nothing: null,
      },
      {
        _time: DAY_START + 2,
        _topic: 'line/1',
        n: 2.5,
        text: '2026-01-01',
        mixed: '"x"',
        list: null,
        nothing: null,
      },
    ]);
  });
});

describe('a dataset', () => {
  it('goes a file a partition, again only when its rows changed', async () => {
    const site = taskSite();
    const to = 'archive/{{ partition.id }}.jsonl.gz';
    const program = job(site, { dataset: 'daily', to, format: 'jsonl' });
    const put = async (partition: string, n: number, start: number): Promise<void> => {
      const table = await site.table([{ n }]);
      await site.publishDataset(
        { dataset: 'daily', table },
        { partition, start, end: start + DAY_MS },
      );
    };
    await put('2026-11-21', 1, DAY_START - DAY_MS);
    await put('2026-11-22', 2, DAY_START);
    await put('2026-11-23', 3, DAY_START + DAY_MS);
    const first = await run(site, program);
    expect(names(site)).toEqual(['2026-11-21.jsonl.gz', '2026-11-22.jsonl.gz']);
    await put('2026-11-22', 4, DAY_START);
    const second = await run(site, program, first.cursor);
    expect(second.output).toMatchObject({ fileCount: 1 });
    expect(read(site, 'archive/2026-11-22.jsonl.gz')).toEqual([4]);
    expect(await site.rows(second.success.table)).toMatchObject([
      { partition: '2026-11-21', rows: 1 },
      { partition: '2026-11-22', rows: 1 },
    ]);
  });

  it('is Parquet too, an empty partition with its columns', async () => {
    const site = taskSite();
    const program = job(site, { dataset: 'daily', to: 'archive/{{ partition.id }}.parquet' });
    for (const [n, rows] of [[{ a: 1, b: { c: [1] } }], []].entries()) {
      const table = await site.table(rows);
      const start = DAY_START - (n + 1) * DAY_MS;
      const partition = { partition: `p${n}`, start, end: start + DAY_MS };
      await site.publishDataset({ dataset: 'daily', table }, partition);
    }
    const { output } = await run(site, program);
    expect(output).toMatchObject({ fileCount: 2, rowCount: 1 });
    const query = "SELECT a, b.c AS c FROM file('archive/p0.parquet')";
    const reading = site.program({ tasks: [{ id: 'q', sql: { query } }] });
    const { success } = await site.attempt(reading, 'q');
    expect(await site.rows(success.table)).toEqual([{ a: 1, c: [1] }]);
  });

  it('goes where policy allows, and nowhere else', async () => {
    const site = taskSite();
    const program = lines(site, { to: '/etc/{{ partition.id }}.jsonl.gz' });
    await arrive(site, [1]);
    expect((await site.failure(program, 'a')).class).toBe('policy');
  });
});
