/** What a load owes its database, for SQLite and PostgreSQL alike. */
import { expect, it } from 'vitest';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { type ContextOptions, taskSite, type TaskSite } from '../../../support/task-context.ts';

export interface DatabaseUnderTest {
  readonly site: TaskSite;
  readonly kind: 'sqlite' | 'postgres';
  /** Settings of the connection. */
  readonly connection: object;
  exec(sql: string): Promise<unknown>;
  query(sql: string): Promise<Row[]>;
}

export const ROWS: readonly Row[] = [
  { machine: 'm1', day: '2026-11-22', rms: 1.5, n: 3 },
  { machine: "m'2", day: '2026-11-22', rms: null, n: 4 },
];

const CREATE =
  'CREATE TABLE daily (machine text, day text, rms float, n integer, UNIQUE (machine, day))';
const ALL = 'SELECT machine, day, rms, n FROM daily ORDER BY machine DESC, n';

export async function load(
  { site, kind, connection }: DatabaseUnderTest,
  settings: object,
  rows: readonly Row[] = ROWS,
  options: ContextOptions = {},
) {
  const to = { [kind]: { ...connection, table: 'daily', ...settings } };
  const program = site.program({
    tasks: [
      { id: 'daily', value: { value: 1 } },
      { id: 't', needs: ['daily'], load: { input: 'daily', ...to } },
    ],
  });
  const tables = { daily: await site.table(rows) };
  return site.attempt(program, 't', { tables, ...options });
}

const otherDay = { partition: { id: '2026-11-23' } };

export function loadContract(open: (site: TaskSite) => Promise<DatabaseUnderTest>): void {
  it('append: rows are added once for a partition, whoever comes again', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE.replace(', UNIQUE (machine, day)', ''));
    expect((await load(database, {})).success.output).toEqual({ rowCount: 2, loaded: true });
    // The order of the rows is not what they are.
    const again = await load(database, {}, ROWS.toReversed(), { attempt: 2, tries: 2 });
    expect(again.success.output).toEqual({ rowCount: 2, loaded: false });
    expect(await database.query(ALL)).toEqual(ROWS);
    await load(database, {}, ROWS, otherDay);
    expect(await database.query(ALL)).toHaveLength(4);
    const runs = await database.query('SELECT job, partition, task, tries, rows FROM runnel_runs');
    expect(runs.map((run) => ({ ...run, rows: Number(run.rows) }))).toEqual([
      { job: 'job', partition: '2026-11-22', task: 't', tries: 1, rows: 2 },
      { job: 'job', partition: '2026-11-23', task: 't', tries: 1, rows: 2 },
    ]);
  });

  it('append: rows that have changed since are refused, and not taken as loaded', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE.replace(', UNIQUE (machine, day)', ''));
    await load(database, {});
    const mended = ROWS.map((row) => ({ ...row, n: Number(row.n) + 1 }));
    const refused = { class: 'data', code: 'already_loaded' };
    for (const rows of [mended, [...ROWS, ROWS[0]!]]) {
      await expect(load(database, {}, rows, { tries: 2 })).rejects.toMatchObject(refused);
    }
    const others = { columns: { machine: 'machine', day: 'machine' } };
    await expect(load(database, others, ROWS, { tries: 2 })).rejects.toThrow(/append takes none/);
    expect(await database.query(ALL)).toEqual(ROWS);
    // What says that it redoes does, and the ledger knows what is there now.
    await load(database, { mode: 'replace' }, mended, { tries: 2 });
    expect(await database.query(ALL)).toEqual(mended);
    const known = await load(database, {}, mended, { tries: 3 });
    expect(known.success.output).toMatchObject({ loaded: false });
  });

  it('a ledger of an earlier version gets its column; what it knows counts by key', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE.replace(', UNIQUE (machine, day)', ''));
    await load(database, {});
    await database.exec('ALTER TABLE runnel_runs DROP COLUMN content');
    const known = await load(database, {}, ROWS.slice(1), { tries: 2 });
    expect(known.success.output).toMatchObject({ loaded: false });
    await load(database, {}, ROWS, otherDay);
    const changed = load(database, {}, ROWS.slice(1), { ...otherDay, tries: 2 });
    await expect(changed).rejects.toMatchObject({ code: 'already_loaded' });
  });

  it('upsert: a row with the same key is replaced, the last of a batch counts', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE);
    const upsert = { mode: 'upsert', key: ['machine', 'day'] };
    const changed = ROWS.map((row) => ({ ...row, n: Number(row.n) + 10 }));
    await load(database, upsert, [...changed, ...ROWS]);
    expect(await database.query(ALL)).toEqual(ROWS);
    await load(database, upsert, changed, { tries: 2 });
    expect(await database.query(ALL)).toEqual(changed);
    const runs = await database.query('SELECT tries FROM runnel_runs');
    expect(runs).toEqual([{ tries: 2 }]);
  });

  it('replace: what where finds is deleted first, all without it', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE);
    const mode = { mode: 'replace', where: { day: '{{ partition.date }}' } };
    await load(database, mode);
    const old = [{ machine: 'm0', day: '2026-11-21', rms: 1, n: 1 }];
    await load(database, {}, old, { partition: { id: '2026-11-21' } });
    await load(database, mode, ROWS.slice(0, 1), { tries: 2 });
    expect(await database.query(ALL)).toEqual([ROWS[0], ...old]);
    await load(database, { mode: 'replace' }, ROWS.slice(1), { tries: 3 });
    expect(await database.query(ALL)).toEqual([ROWS[1]]);
  });

  it('nothing is there when a row in the middle cannot be', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE);
    const many = Array.from({ length: 3000 }, (_, n) => ({ ...ROWS[0], day: `d${n}`, n }));
    const broken = [...many, { ...ROWS[0], day: 'd7', n: 1 }];
    await expect(load(database, {}, broken)).rejects.toMatchObject({ class: 'data' });
    expect(await database.query(ALL)).toEqual([]);
    expect((await load(database, {}, many)).success.output).toMatchObject({ loaded: true });
    expect(await database.query(ALL)).toHaveLength(3000);
  });

  it('a table or column that is missing is told with what is there', async () => {
    const database = await open(taskSite());
    const missing = { class: 'rejected', code: 'load_table' };
    await expect(load(database, {})).rejects.toMatchObject(missing);
    await database.exec('CREATE TABLE daily (machine text, amount integer)');
    await expect(load(database, {})).rejects.toThrow(/has no day, rms, n; it has machine, amount/);
    await load(database, { columns: { machine: 'machine', amount: 'n' } });
    expect(await database.query('SELECT * FROM daily ORDER BY amount')).toEqual([
      { machine: 'm1', amount: 3 },
      { machine: "m'2", amount: 4 },
    ]);
    const wrong = load(database, { columns: { machine: 'engine' } }, ROWS, otherDay);
    await expect(wrong).rejects.toThrow(/no column engine/);
  });

  it('create makes the table by the types of the input, with its key', async () => {
    const database = await open(taskSite());
    const settings = { table: 'new "table"', create: true, mode: 'upsert', key: ['id'] };
    const rows = [{ id: 'a', n: 1.5, ok: true, tags: ['x', { y: 1 }], 'odd "name"': 'q' }];
    for (const tries of [1, 2]) await load(database, settings, rows, { tries });
    const [row] = await database.query('SELECT * FROM "new ""table"""');
    expect(row).toMatchObject({ id: 'a', n: 1.5, 'odd "name"': 'q' });
    const tags: unknown = typeof row?.tags === 'string' ? JSON.parse(row.tags) : row?.tags;
    expect(tags).toEqual(['x', { y: 1 }]);
    expect(Boolean(row?.ok)).toBe(true);
  });

  it('an empty input is a load too', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE);
    expect((await load(database, {}, [])).success.output).toEqual({ rowCount: 0, loaded: true });
    const later = await load(database, {}, [], { tries: 2 });
    expect(later.success.output).toEqual({ rowCount: 0, loaded: false });
  });

  it('an empty input makes no table; the first one with rows does', async () => {
    const database = await open(taskSite());
    const settings = { create: true, mode: 'upsert', key: ['machine'] };
    const nothing = await load(database, settings, []);
    expect(nothing.success.output).toEqual({ rowCount: 0, loaded: true });
    await load(database, settings, ROWS, otherDay);
    expect(await database.query(ALL)).toEqual(ROWS);
  });
}
