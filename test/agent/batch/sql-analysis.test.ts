/**
 * What is read off a query's tree: rows outside of the range that it names can be left out without
 * anybody noticing.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '@runnel/shared/engine/record.ts';
import { analyseQuery } from '@runnel/agent/batch/child/sql-analysis.ts';
import type { SqlWishes } from '@runnel/agent/batch/child/sql-messages.ts';

type Connection = Awaited<ReturnType<DuckDBInstance['connect']>>;
let db: Connection;

beforeAll(async () => {
  db = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  await db.run('CREATE TABLE every AS SELECT i AS n, i * 10 AS _time FROM range(10) t(i)');
});

async function wishes(query: string, values: readonly Json[] = []): Promise<SqlWishes> {
  const text = query.replaceAll("'", "''");
  const found = await db.runAndReadAll(`SELECT json_serialize_sql('${text}')`);
  const tree = JSON.parse(String(found.getRows()[0]?.[0])) as { statements: unknown[] };
  return analyseQuery(tree.statements[0], ['r0'], values);
}

async function range(where: string, values: readonly Json[] = [], from = 'r0'): Promise<unknown> {
  const { tables } = await wishes(`SELECT n FROM ${from} WHERE ${where}`, values);
  return [tables[0]?.fromMs, tables[0]?.toMs];
}

describe('a range of _time', () => {
  it.each<[where: string, expected: [number | null, number | null], values?: Json[]]>([
    ['_time >= 5 AND _time < 9', [5, 9]],
    ['_time > 5 AND _time <= 9', [6, 10]],
    ['5 <= _time AND 9 > _time', [5, 9]],
    ['_time = 5', [5, 6]],
    ['_time BETWEEN 5 AND 9', [5, 10]],
    ['_time >= $1 AND _time < $2', [5, 9], [5, 9]],
    ['_time >= $1 - 2 * 3', [-1, null], [5]],
    ['_time > $1', [6, null], [5.5]],
    ['_time >= 1700000000000', [1_700_000_000_000, null]],
    ['r0._time >= 5 AND n = 3 AND _time >= 7', [7, null]],
    ['_TIME >= 5', [5, null]],
    ['_time >= -5', [-5, null]],
    ['NOT _time >= 5', [null, 5]],
  ])('is told by %s', async (where, expected, values = []) => {
    expect(await range(where, values)).toEqual(expected);
  });

  it.each<[where: string, values?: Json[]]>([
    ['_time >= 5 OR n = 3'],
    ['NOT (_time >= 5 AND n = 3)'],
    ['_time + 1 >= 5'],
    ['_time <> 5'],
    ['_time NOT BETWEEN 5 AND 9'],
    ['n >= 5'],
    ['_time >= n'],
    ['_time >= $1', ['2026-11-22']],
    ['_time >= $1', [null]],
    ['_time IS NULL'],
    ['x._time >= 5'],
  ])('is not told by %s', async (where, values = []) => {
    expect(await range(where, values)).toEqual([null, null]);
  });

  it.each([
    ['r0 AS r(a, b)', '_time > 5'],
    ['r0 TABLESAMPLE 50%', '_time > 5'],
    ['r0, (SELECT 1 AS x) s', '_time > 5'],
    ['(SELECT 1 AS _time) s ASOF JOIN r0 ON s._time >= r0._time', 'r0._time > 5'],
    ['(SELECT 1 AS x) s POSITIONAL JOIN r0', 'r0._time > 5'],
    ['(SELECT * FROM r0) r0', 'r0._time > 5'],
  ])('is not taken where FROM is %s', async (from, where) => {
    expect(await range(where, [], from)).toEqual([null, null]);
  });

  it('belongs to the SELECT that reads the table', async () => {
    const inner =
      'SELECT 1 FROM x WHERE _time > 5 AND EXISTS (SELECT 1 FROM r0 WHERE r0._time > 7)';
    expect((await wishes(inner)).tables[0]).toMatchObject({ fromMs: 8, toMs: null });
    const outer = 'WITH c AS (SELECT * FROM r0) SELECT * FROM c WHERE _time > 5';
    expect((await wishes(outer)).tables[0]).toMatchObject({ fromMs: null });
  });
});

describe('rows outside of the range', () => {
  const bound = fc.integer({ min: -2, max: 12 }).map((n) => n * 10);
  const comparison = fc
    .tuple(fc.constantFrom('<', '<=', '>', '>=', '=', '<>'), bound, fc.boolean())
    .map(([sign, at, mirrored]) => (mirrored ? `${at} ${sign} r._time` : `r._time ${sign} ${at}`));
  const between = fc.tuple(bound, bound).map(([a, b]) => `r._time BETWEEN ${a} AND ${b} + 1`);
  const either = fc.tuple(comparison, comparison).map(([a, b]) => `(${a} OR ${b})`);
  const other = fc.constantFrom('NOT r._time > 5', 'r.n % 2 = 0', 'r._time + 0 > 1', 'r.n IS NULL');
  const where = fc
    .array(fc.oneof({ weight: 3, arbitrary: comparison }, between, either, other), {
      minLength: 1,
      maxLength: 3,
    })
    .map((parts) => parts.join(' AND '));
  const x = '(VALUES (1), (2), (30)) x(h)';
  const from = fc.constantFrom(
    'r0 r',
    `r0 r, ${x}`,
    `r0 r JOIN ${x} ON x.h = r.n`,
    `r0 r LEFT JOIN ${x} ON x.h = r.n`,
    `${x} LEFT JOIN r0 r ON x.h = r.n`,
    `${x} FULL JOIN r0 r ON x.h = r.n`,
    `${x} RIGHT JOIN r0 r ON x.h = r.n`,
    `(SELECT 25 AS _time) s ASOF JOIN r0 r ON s._time >= r._time`,
  );

  it('change nothing of what comes out', async () => {
    let narrowed = 0;
    await fc.assert(
      fc.asyncProperty(where, from, async (condition, tables) => {
        const query = `SELECT r.n FROM ${tables} WHERE ${condition} ORDER BY ALL`;
        const [wish] = (await wishes(query)).tables;
        const { fromMs, toMs } = wish ?? { fromMs: null, toMs: null };
        if (fromMs !== null || toMs !== null) narrowed += 1;
        const inside = `_time >= ${fromMs ?? -1e9} AND _time < ${toMs ?? 1e9}`;
        const over = async (rows: string): Promise<unknown> => {
          await db.run(`CREATE OR REPLACE TEMP VIEW r0 AS ${rows}`);
          return (await db.runAndReadAll(query)).getRowsJson();
        };
        const all = await over('SELECT * FROM every');
        expect(await over(`SELECT * FROM every WHERE ${inside}`)).toEqual(all);
      }),
      { numRuns: 300 },
    );
    expect(narrowed).toBeGreaterThan(50);
  });
});

describe('columns that a query names', () => {
  const cases: readonly [query: string, columns: string[]][] = [
    [
      'SELECT a, avg(b) AS b, c + 1 AS d, d FROM r0 WHERE e > 1 GROUP BY a, d ORDER BY f',
      ['a', 'b', 'c', 'e', 'f'],
    ],
    ['SELECT r.a, b.c FROM r0 r', ['a', 'b']],
    ['SELECT a, r.b, x.c FROM r0 r JOIN x ON r.d = x.d', ['b', 'd']],
    ['SELECT list_transform(l, lambda v: v + w) FROM r0', ['l', 'w']],
    ['SELECT current_date, a FROM r0', ['a']],
    ['SELECT 1 FROM x WHERE EXISTS (SELECT 1 FROM r0 WHERE a = 1 AND r0.b = 2)', ['b']],
    ['SELECT * FROM r0 QUALIFY row_number() OVER (PARTITION BY a ORDER BY b) = 1', ['a', 'b']],
  ];
  it.each(cases)('%s', async (query, columns) => {
    const { tables } = await wishes(query);
    expect([...(tables[0]?.columns ?? [])].toSorted()).toEqual(columns);
  });

  it('and tables that are none of ours', async () => {
    const { others } = await wishes(
      'SELECT * FROM r0 JOIN daily USING (a) JOIN "main"."x" ON true',
    );
    expect(others.map(({ table }) => table)).toEqual(['daily', 'main.x']);
  });
});
