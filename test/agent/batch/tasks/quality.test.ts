/** The task `quality`: what each check finds, and what becomes of the rows. */
import { describe, expect, it } from 'vitest';
import type { Json } from '@runnel/shared/engine/record.ts';
import { HashSet } from '@runnel/agent/batch/quality/hash-set.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import { DAY_MS, DAY_START, type ContextOptions, taskSite } from '../../../support/task-context.ts';

const ROWS: readonly Row[] = [
  { _time: DAY_START + 1, machine: 'm1', rms: 2, status: 'ok', tag: null },
  { _time: DAY_START + 3_600_000, machine: 'm2', rms: 99, status: 'ok', tag: 'a' },
  { _time: DAY_START + 2, machine: 'm1', rms: null, status: 'off', tag: 'a' },
  { _time: DAY_START + 3, machine: null, rms: -1, status: 'lost', tag: 'b' },
  { _time: DAY_START + 4, machine: 'x9', rms: 'hot', status: 'ok' },
];

type Check = Readonly<Record<string, unknown>>;

const job = (checks: readonly Check[]) => ({
  parameters: { low: { type: 'number', default: 0 } },
  tasks: [
    { id: 'made', value: { value: 1 } },
    { id: 'check', needs: ['made'], quality: { input: 'made', checks } },
  ],
});

async function judge(checks: readonly Check[], rows = ROWS, options: ContextOptions = {}) {
  const site = taskSite();
  const made = await site.table(rows);
  const program = site.program(job(checks));
  const given = { ...options, tables: { made } };
  const { success, context } = await site.attempt(program, 'check', given);
  const output = success.output as Readonly<Record<string, Json>>;
  return {
    output,
    lines: context.lines,
    success,
    rows: await site.rows(success.table),
    checks: output['checks'] as readonly Readonly<Record<string, Json>>[],
  };
}

taskContract({
  kind: 'quality',
  setup: async (site) => {
    const made = await site.table(ROWS);
    const program = site.program(
      job([
        { notNull: 'machine', severity: 'quarantine' },
        { unique: 'machine', severity: 'drop' },
        { anomaly: { measure: 'rowCount' }, severity: 'warn' },
      ]),
    );
    return { program, task: 'check', options: { tables: { made } }, effects: null };
  },
});

describe('a check of rows', () => {
  const cases: readonly [check: Check, violating: readonly number[]][] = [
    [{ notNull: 'machine' }, [4]],
    [{ notNull: ['machine', 'tag'] }, [1, 4, 5]],
    [{ unique: 'machine' }, [3]],
    [{ unique: ['status', 'machine'] }, []],
    [{ unique: 'tag' }, [3]],
    [{ range: { column: 'rms', min: '{{ params.low }}', max: 50 } }, [2, 4, 5]],
    [{ set: { column: 'status', values: ['ok', 'off'] } }, [4]],
    [{ pattern: { column: 'machine', matches: '^m[0-9]+$' } }, [5]],
    [{ expression: 'row.rms > 1 || row.status == "lost"' }, [3, 5]],
    [{ schema: { columns: { machine: 'string', rms: 'number?' } } }, [4, 5]],
    [
      { schema: { columns: { machine: 'string?', rms: 'json?' }, extra: 'refuse' } },
      [1, 2, 3, 4, 5],
    ],
    [
      { schema: { row: { type: 'object', properties: { rms: { type: ['number', 'null'] } } } } },
      [5],
    ],
  ];
  for (const [check, violating] of cases) {
    it(`${JSON.stringify(check)} finds the rows ${violating.join(', ')}`, async () => {
      const { checks, rows, output } = await judge([{ ...check, severity: 'warn' }]);
      expect(checks[0]).toMatchObject({
        passed: violating.length === 0,
        violations: violating.length,
        examples: violating.map((row) => ({ row })),
      });
      expect(rows).toEqual(ROWS);
      expect(output).toMatchObject({ rowCount: 5, dropped: 0, quarantined: 0 });
    });
  }

  it('drops, or quarantines with its name; unique and the table see what is left', async () => {
    const { checks, output, rows, success } = await judge([
      { rowCount: { max: 2 } },
      { unique: 'machine', severity: 'drop' },
      { notNull: 'machine', severity: 'quarantine', name: 'has a machine' },
      { range: { column: 'rms', max: 50 }, severity: 'drop' },
    ]);
    expect(rows.map(({ _time }) => Number(_time) - DAY_START)).toEqual([1]);
    expect(output).toMatchObject({ passed: false, rowCount: 1, dropped: 3, quarantined: 1 });
    expect(checks.map(({ name, passed, violations }) => [name, passed, violations])).toEqual([
      ['rowCount', true, 0],
      ['unique machine', false, 1],
      ['has a machine', false, 1],
      ['range rms', false, 2],
    ]);
    expect(success.deadRows).toEqual([
      { reason: 'has a machine', message: 'row 4 fails the check has a machine', value: ROWS[3] },
    ]);
  });

  it('that blocks fails the task, and names every check that does with examples', async () => {
    const site = taskSite();
    const made = await site.table(ROWS);
    const program = site.program(
      job([{ notNull: 'machine' }, { range: { column: 'rms', min: 0 } }, { rowCount: { min: 1 } }]),
    );
    const error = await site.failure(program, 'check', { tables: { made } });
    expect(error).toMatchObject({ class: 'data', code: 'quality_blocked' });
    expect(error.message).toBe(
      'notNull machine: 1 row (row 4: machine is null); range rms: 2 rows (row 4: -1; row 5: hot)',
    );
  });

  it('says that a column is not there, and not that it is null', async () => {
    const { lines } = await judge([{ notNull: 'machin', severity: 'warn' }]);
    expect(lines[0]).toContain('row 1: machin is not there');
  });

  it('that warns is logged', async () => {
    const { lines } = await judge([{ notNull: 'machine', severity: 'warn' }]);
    expect(lines).toEqual(['warn warn: notNull machine: 1 row (row 4: machine is null)']);
  });
});

describe('a check of the table', () => {
  it('counts rows', async () => {
    const { checks } = await judge([{ rowCount: { min: 6 }, severity: 'warn' }]);
    expect(checks[0]).toMatchObject({
      measured: 5,
      violations: 1,
      problem: 'there are 5 rows, less than 6',
    });
  });

  it('knows how old the newest row is at the end of the partition', async () => {
    const within = (text: string) => ({
      freshness: { within: text },
      severity: 'warn',
      name: text,
    });
    const { checks } = await judge([within('23h'), within('22h')]);
    expect(checks.map(({ passed }) => passed)).toEqual([true, false]);
    expect(checks[1]).toMatchObject({
      measured: { newest: DAY_START + 3_600_000, ageMs: DAY_MS - 3_600_000 },
      problem: 'the newest row is 23h old, more than 22h',
    });
    const empty = await judge([{ ...within('1h'), severity: 'warn' }], []);
    expect(empty.checks[0]).toMatchObject({ passed: false, problem: 'no row has a time in _time' });
  });
});

describe('an anomaly', () => {
  const history = (values: readonly number[]): Json[] =>
    values.map((value, at) => ({
      partition: `2026-11-0${at + 1}`,
      values: { 'anomaly avg(rms)': value },
    }));
  const rows = (rms: number): Row[] => [{ rms }, { rms: rms + 2 }];
  const check = (more: Check = {}) => ({
    anomaly: { measure: 'avg(rms)', minRuns: 4, ...more },
    severity: 'warn',
  });

  it('passes, and says so, while the history is too short', async () => {
    const { checks, success } = await judge([check()], rows(9), { history: history([1, 1, 1]) });
    expect(checks[0]).toMatchObject({
      passed: true,
      measured: { value: 10, middle: null, runs: 3 },
    });
    expect(success.history?.at(-1)).toEqual({
      partition: '2026-11-22',
      values: { 'anomaly avg(rms)': 10 },
    });
  });

  it('is a value more than three deviations from the mean of the history', async () => {
    const past = { history: history([9, 11, 9, 11, 10]) };
    expect((await judge([check()], rows(12), past)).checks[0]).toMatchObject({ passed: true });
    const { checks } = await judge([check()], rows(13), past);
    expect(checks[0]).toMatchObject({
      passed: false,
      measured: { value: 14, middle: 10, deviation: 1, runs: 5 },
      problem: 'avg(rms) is 14, and was 10 ± 1 over 5 runs',
    });
  });

  it('by mad is not hidden by one odd value in the history', async () => {
    const past = { history: history([9, 11, 9, 11, 10, 500]) };
    expect((await judge([check()], rows(29), past)).checks[0]).toMatchObject({ passed: true });
    const { checks } = await judge([check({ method: 'mad' })], rows(29), past);
    expect(checks[0]).toMatchObject({ passed: false, measured: { value: 30, middle: 10.5 } });
  });

  it('does not compare a partition with itself, and keeps it once', async () => {
    const past = [
      ...history([9, 11, 9, 11]),
      { partition: '2026-11-22', values: { 'anomaly avg(rms)': 9999 } },
    ];
    const { checks, success } = await judge([check()], rows(9), { history: past });
    expect(checks[0]).toMatchObject({ passed: true, measured: { runs: 4 } });
    expect(success.history).toHaveLength(5);
  });
});

describe('a check in SQL', () => {
  it('takes every row of its query for a violation, with bound values', async () => {
    const sql =
      'SELECT machine, count(*) AS n FROM rows GROUP BY 1 HAVING n > {{ params.low + 1.0 }};';
    const { checks } = await judge([{ sql, severity: 'warn', name: 'twice' }]);
    expect(checks[0]).toMatchObject({
      passed: false,
      violations: 1,
      examples: [{ value: { machine: 'm1', n: 2 } }],
    });
  }, 30_000);
});

describe('a set of hashes', () => {
  it('knows what it was given, however much that is', () => {
    const set = new HashSet();
    for (let n = 0; n < 20_000; n += 1) expect(set.add(`key ${n}`)).toBe(true);
    for (let n = 0; n < 20_000; n += 1) expect(set.add(`key ${n}`)).toBe(false);
    expect(set.size).toBe(20_000);
  });
});
