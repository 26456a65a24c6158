/** The task `sql`: what a query reads, what comes out, and what fails in which class. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import { sqlAvailable } from '@runnel/agent/batch/child/sql-available.ts';
import type { TaskSuccess } from '@runnel/agent/batch/tasks/task.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { taskContract } from '../../contracts/task-contract.ts';
import { ifThere } from '../../support/if-there.ts';
import { DAY_MS, DAY_START, taskSite, type TaskSite } from '../../support/task-context.ts';
import { waitFor } from '../../support/wait-for.ts';

const HOUR = 3_600_000;
const sources = { readings: { mqtt: { topic: 'press/+/vibration' } } };

function job(site: TaskSite, query: string, more: Record<string, unknown> = {}): BatchProgram {
  return site.program({ sources, tasks: [{ id: 'q', sql: { query, ...more } }] });
}

interface Answer {
  readonly rows: Row[];
  readonly success: TaskSuccess;
}

async function ask(site: TaskSite, text: string, more: Record<string, unknown> = {}) {
  const { success } = await site.attempt(job(site, text, more), 'q');
  const answer: Answer = { rows: await site.rows(success.table), success };
  return answer;
}

/** One record an hour, each a block of its own, before, in and after the day of the run. */
async function hours(site: TaskSite, from = -10, to = 34): Promise<void> {
  for (let hour = from; hour < to; hour++) {
    const arrivalMs = DAY_START + hour * HOUR;
    await site.append(site.sources[0]!, [{ arrivalMs, payload: { hour, machine: hour % 3 } }]);
  }
}

taskContract({
  kind: 'sql',
  child: true,
  setup: async (site) => {
    const query = "SELECT machine, count(*) AS n FROM journal('readings') GROUP BY 1 ORDER BY 1";
    const program = job(site, query, { output: { parquet: 'out/{{ partition.date }}.parquet' } });
    await hours(site, 0, 5);
    const target = join(site.dataDir, 'out/2026-11-22.parquet');
    return { program, task: 'q', effects: () => ifThere(target)?.length };
  },
  endless: async (site) => {
    const query = 'SELECT count(*) FROM range(1000000000) a, range(1000000000) b';
    return { program: job(site, query), task: 'q', started: () => childOf(process.pid) };
  },
});

describe('a query over the journal', () => {
  it('sees the fields of the payload, _time and _topic', async () => {
    const site = taskSite();
    const program = job(site, "SELECT * FROM journal('readings') ORDER BY _time");
    await site.append(site.sources[0]!, [
      { arrivalMs: DAY_START, payload: { machine: 'a', rms: 1 }, topic: 'press/a/vibration' },
      { arrivalMs: DAY_START + 1, payload: { machine: '2026-01-01', rms: 1.5 } },
    ]);
    const { success } = await site.attempt(program, 'q');
    expect(await site.rows(success.table)).toEqual([
      { _time: DAY_START, _topic: 'press/a/vibration', machine: 'a', rms: 1 },
      { _time: DAY_START + 1, _topic: 'line/1', machine: '2026-01-01', rms: 1.5 },
    ]);
    expect(success.output).toMatchObject({ rowCount: 2, inputs: { readings: { rows: 2 } } });
  });

  it('reads only the blocks that the range of times can touch', async () => {
    const site = taskSite();
    const program = job(
      site,
      "SELECT count(*) AS n FROM journal('readings') AS r WHERE r._time >= {{ partition.start }} " +
        'AND _time < {{ partition.end }}',
    );
    await hours(site);
    const { success } = await site.attempt(program, 'q');
    expect(await site.rows(success.table)).toEqual([{ n: 24 }]);
    expect(site.journal.lastReading).toMatchObject({ blocksRead: 24, blocksSkipped: 20 });
  });

  it('reads the range that its arguments say', async () => {
    const site = taskSite();
    const query =
      'SELECT count(*) AS n ' +
      "FROM journal('readings', {{ partition.start }}, '2026-11-22T06:00:00Z') " +
      'WHERE hour < {{ 4 }}';
    const program = job(site, query);
    await hours(site);
    const { success } = await site.attempt(program, 'q');
    expect(await site.rows(success.table)).toEqual([{ n: 4 }]);
    expect(site.journal.lastReading.blocksRead).toBe(6);
  });

  it('does not fail on an empty journal, whatever columns it names', async () => {
    const site = taskSite();
    const query =
      'SELECT machine, avg(rms) AS rms, max(part.x) AS x, count(*) AS n, upper(status) AS s ' +
      "FROM journal('readings') WHERE rms > 3 AND len(list) > 1 GROUP BY machine, s ORDER BY rms";
    expect((await ask(site, query)).rows).toEqual([]);
    const total = "SELECT sum(r.rms) AS rms, count(*) AS n FROM journal('readings') r";
    expect((await ask(site, total)).rows).toEqual([{ rms: null, n: 0 }]);
  });

  it('takes a field that is null in every row', async () => {
    const site = taskSite();
    const program = job(site, "SELECT avg(rms) AS rms, count(*) AS n FROM journal('readings')");
    await site.append(site.sources[0]!, [{ arrivalMs: 1, payload: { rms: null } }]);
    const { success } = await site.attempt(program, 'q', { partition: { start: 0 as never } });
    expect(await site.rows(success.table)).toEqual([{ rms: null, n: 1 }]);
  });

  it('keeps fields apart whose names differ in case only', async () => {
    const site = taskSite();
    const program = job(site, "SELECT * FROM journal('readings')");
    await site.append(site.sources[0]!, [{ arrivalMs: DAY_START, payload: { a: 1, A: 2 } }]);
    const { success } = await site.attempt(program, 'q');
    const [row] = await site.rows(success.table);
    expect(Object.values(row ?? {})).toEqual([DAY_START, 'line/1', 1, 2]);
  });

  it('fails as journal_incomplete when its partition was cut, and says what helps', async () => {
    const site = taskSite();
    const program = job(site, "SELECT count(*) FROM journal('readings')");
    await hours(site, 0, 24);
    await site.dropBlocksBefore(5);
    const error = await site.failure(program, 'q');
    expect(error).toMatchObject({ class: 'journal_incomplete' });
    expect(error.hint).toContain('allowPartial');
  });
});

describe('other inputs of a query', () => {
  it('are tables of needed tasks, by task() and by their own names', async () => {
    const site = taskSite();
    const tasks = [
      { id: 'a', value: { value: 1 } },
      {
        id: 'q',
        needs: ['a'],
        sql: {
          query:
            "WITH b AS (SELECT n + 1 AS n FROM task('a')) SELECT a.n, b.n AS m " +
            'FROM a JOIN b ON true ' +
            'ORDER BY a.n, m -- FROM journal(nothing)',
        },
      },
    ];
    const program = site.program({ tasks });
    const table = await site.table([{ n: 1 }, { n: 2 }]);
    const { success } = await site.attempt(program, 'q', { tables: { a: table } });
    expect(await site.rows(success.table)).toEqual([
      { n: 1, m: 2 },
      { n: 1, m: 3 },
      { n: 2, m: 2 },
      { n: 2, m: 3 },
    ]);
    const error = await site.failure(program, 'q');
    expect(error).toMatchObject({ class: 'definition', code: 'no_table' });
  });

  it('are all partitions of a dataset, with _partition and _start', async () => {
    const site = taskSite();
    for (const day of [0, 1]) {
      const table = await site.table(day === 0 ? [{ n: 1 }] : [{ n: 2.5, extra: 'x' }]);
      const start = DAY_START + day * DAY_MS;
      const partition = { partition: `2026-11-2${2 + day}`, start, end: start + DAY_MS };
      await site.publishDataset({ dataset: 'daily', table }, partition);
    }
    const { rows } = await ask(site, "SELECT * FROM dataset('daily') ORDER BY _start");
    expect(rows).toEqual([
      { n: 1, extra: null, _partition: '2026-11-22', _start: DAY_START },
      { n: 2.5, extra: 'x', _partition: '2026-11-23', _start: DAY_START + DAY_MS },
    ]);
    const none = "SELECT count(n) AS n, max(_start) AS at FROM dataset('nothing')";
    expect((await ask(site, none)).rows).toEqual([{ n: 0, at: null }]);
  });

  it('are files that policy allows, several by a pattern', async () => {
    const site = taskSite();
    mkdirSync(join(site.dataDir, 'in'));
    writeFileSync(join(site.dataDir, 'in/limits-1.csv'), 'machine,limit\na,1.5\n');
    writeFileSync(join(site.dataDir, 'in/limits-2.csv'), 'limit,machine\n2,b\n');
    writeFileSync(join(site.dataDir, 'in/list.json'), '[{"x": 1}, {"x": null, "y": [1]}]');
    const csv = await ask(site, "SELECT * FROM file('in/limits-*.csv') ORDER BY machine");
    expect(csv.rows).toEqual([
      { machine: 'a', limit: 1.5 },
      { machine: 'b', limit: 2 },
    ]);
    expect((await ask(site, "SELECT * FROM file('in/list.json')")).rows).toEqual([
      { x: 1, y: null },
      { x: null, y: [1] },
    ]);
    const missing = await site.failure(job(site, "SELECT * FROM file('in/no.csv')"), 'q');
    expect(missing.code).toBe('file_missing');
    const refused = await site.failure(job(site, "SELECT * FROM file('/etc/hosts.csv')"), 'q');
    expect(refused.class).toBe('policy');
    const strange = await site.failure(job(site, "SELECT * FROM file('in/x.exe')"), 'q');
    expect(strange.code).toBe('file_format');
  });
});

describe('what comes out of a query', () => {
  it('is JSON by stated rules', async () => {
    const site = taskSite();
    const { rows, success } = await ask(
      site,
      `SELECT 9007199254740991::BIGINT AS safe, 9007199254740993::BIGINT AS big, 1::HUGEINT AS huge,
        1.50::DECIMAL(9,2) AS money, 'NaN'::DOUBLE AS nan, TIMESTAMP '2026-11-22 01:02:03' AS at,
        TIMESTAMPTZ '2026-11-22 01:02:03.123456+01' AS zoned, DATE '2026-11-22' AS day,
        [1, NULL] AS list, {'a': {'b': '[1]'::JSON}} AS struct, MAP {'k': 1} AS map,
        '{"x": [1, 2]}'::JSON AS json, 'ab'::BLOB AS bytes, NULL AS nothing, true AS yes`,
    );
    expect(rows).toEqual([
      {
        safe: 9007199254740991,
        big: '9007199254740993',
        huge: 1,
        money: 1.5,
        nan: null,
        at: '2026-11-22T01:02:03.000Z',
        zoned: '2026-11-22T00:02:03.123456Z',
        day: '2026-11-22',
        list: [1, null],
        struct: { a: { b: [1] } },
        map: { k: 1 },
        json: { x: [1, 2] },
        bytes: 'YWI=',
        nothing: null,
        yes: true,
      },
    ]);
    expect(success.table?.columns[0]).toEqual({ name: 'safe', type: 'number' });
  });

  it('has its columns even without rows', async () => {
    const { success } = await ask(taskSite(), 'SELECT 1 AS a, 2 AS b WHERE false');
    expect(success.output).toMatchObject({ rowCount: 0, columns: ['a', 'b'], rows: [] });
  });

  it('goes to files, a dataset and results as the task says', async () => {
    const site = taskSite();
    const query = "SELECT 'm1' AS machine, 1.5 AS rms UNION ALL SELECT 'm2', 2 ORDER BY 1";
    const csv = await ask(site, query, { output: { csv: 'out/a.csv' } });
    expect(readFileSync(join(site.dataDir, 'out/a.csv'), 'utf8')).toBe(
      'machine,rms\nm1,1.5\nm2,2.0\n',
    );
    expect(csv.success.output).toMatchObject({ file: 'out/a.csv', bytes: 26 });
    const lines = await ask(site, query, { output: { jsonl: 'out/a.jsonl' } });
    const written = readFileSync(join(site.dataDir, 'out/a.jsonl'), 'utf8').trim().split('\n');
    expect(written.map((line) => JSON.parse(line) as unknown)).toEqual(lines.rows);
    const dataset = { dataset: 'rms', key: 'machine', deliver: true };
    const published = await ask(site, query, { output: dataset });
    const { table } = published.success;
    expect(published.success.datasets).toEqual([{ ...dataset, table }]);
    const results = await ask(site, query, { output: { results: 'rms', key: 'machine' } });
    const time = DAY_START + DAY_MS - 1;
    expect(results.success.results).toEqual([
      { dataset: 'rms', key: 'm1', time, value: { machine: 'm1', rms: 1.5 } },
      { dataset: 'rms', key: 'm2', time, value: { machine: 'm2', rms: 2 } },
    ]);
  });
});

describe('a query that cannot be run', () => {
  it('is not offered by an agent that was installed without DuckDB', () => {
    expect(sqlAvailable()).toBe(true);
    expect(sqlAvailable('file:///tmp/nowhere/agent.js')).toBe(false);
  });

  it('is refused at submit where its references say nothing', () => {
    const site = taskSite();
    expect(() => job(site, 'SELECT * FROM journal(readings)')).toThrow(/write the name as a text/);
    expect(() => job(site, "SELECT * FROM task('other')")).toThrow(/other/);
    expect(() => job(site, 'SELECT 1', { memory: '1MiB' })).toThrow(/at least 128MiB/);
    expect(() => job(site, 'SELECT 1', { output: {} })).toThrow(/needs one of parquet/);
  });

  it('fails in the class of what is wrong with it', async () => {
    const site = taskSite();
    const errors: Record<string, [query: string, message: RegExp]> = {
      definition: ['SELECT nothing', /"nothing" was not found/],
      data: ["SELECT 'x'::INTEGER", /Could not convert/],
    };
    for (const [errorClass, [query, message]] of Object.entries(errors)) {
      const error = await site.failure(job(site, query), 'q');
      expect(error.class).toBe(errorClass);
      expect(error.message).toMatch(message);
    }
  });

  it('for want of memory fails as resources, and the agent goes on', async () => {
    const site = taskSite();
    const query =
      'SELECT list(x ORDER BY x DESC) AS all FROM (SELECT random() AS x FROM range(30000000))';
    const error = await site.failure(job(site, query, { memory: '160MiB', temp: '1MiB' }), 'q');
    expect(error.class).toBe('resources');
    expect(`${error.message} ${error.hint}`).toMatch(/memory/i);
    expect((await ask(site, 'SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
  });

  it('whose process is killed in the middle is a failed attempt', async () => {
    const site = taskSite();
    const query = 'SELECT count(*) FROM range(1000000000) a, range(1000000000) b';
    const program = job(site, query);
    const failed = site.failure(program, 'q');
    const pid = await waitFor('the child', () => childOf(process.pid));
    process.kill(pid, 'SIGKILL');
    expect((await failed).class).toBe('process');
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });
});

function childOf(parent: number): number | undefined {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
  const pids = children.trim().split(/\s+/).filter(Boolean).map(Number);
  return pids.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('task-child'));
}
