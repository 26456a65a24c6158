/** What a load of change events owes its database, for SQLite and PostgreSQL alike. */
import { expect, it } from 'vitest';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import type { ContextOptions, TaskSite } from '../../../support/task-context.ts';
import { taskSite } from '../../../support/task-context.ts';
import { mysqlEvent, postgresEvent } from '../changes/connector-events.ts';
import { type DatabaseUnderTest, load, ROWS } from './load-databases.ts';

const CREATE = 'CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, note text)';
const ALL = 'SELECT id, name, note FROM customers ORDER BY id';

const row = (id: number, name: string, note: string | null = null): Row => ({ id, name, note });
const put = (lsn: number, after: Row, op = 'u') => postgresEvent(op, lsn, { after });
const gone = (lsn: number, id: number) => postgresEvent('d', lsn, { before: { id } });
const partition = (id: number) => ({ partition: { id: String(id) } });

/** Of the table `daily`, with nothing but their mode said. */
export const CHANGES = { mode: 'changes', key: ['machine'] };
export const EVENTS = ROWS.map((after, n) => postgresEvent('c', n + 1, { after }));

interface Applied {
  readonly output: Row;
  readonly dead: readonly unknown[];
}

async function apply(
  database: DatabaseUnderTest,
  events: readonly Row[],
  options: ContextOptions = {},
  settings: object = {},
): Promise<Applied> {
  const to = { table: 'customers', mode: 'changes', key: ['id'], ...settings };
  const { success } = await load(database, to, events, options);
  return { output: success.output as Row, dead: success.deadRows ?? [] };
}

export function changesContract(open: (site: TaskSite) => Promise<DatabaseUnderTest>): void {
  async function customers(): Promise<DatabaseUnderTest> {
    const database = await open(taskSite());
    await database.exec(CREATE);
    return database;
  }

  it('puts, deletes and moves rows in the order of the events', async () => {
    const database = await customers();
    const events = [
      put(1, row(1, 'Anne'), 'r'),
      put(2, row(2, 'Bob'), 'c'),
      put(3, row(1, 'Anne', 'changed')),
      gone(4, 2),
      { payload: null },
      { ...postgresEvent('m', 5), message: { prefix: 'foo', content: '' } },
      put(6, row(2, 'Bea'), 'c'),
      postgresEvent('u', 7, { before: row(1, 'Anne', 'changed'), after: row(5, 'Anne') }),
    ];
    const { output } = await apply(database, events);
    expect(output).toEqual({
      rowCount: 8,
      loaded: true,
      applied: 5,
      deleted: 1,
      truncated: 0,
      removed: 0,
      stale: 0,
      tombstones: 1,
      messages: 1,
      deadLetters: 0,
    });
    expect(await database.query(ALL)).toEqual([row(2, 'Bea'), row(5, 'Anne')]);
  });

  it('an event that comes late changes nothing, and does not bring a row back', async () => {
    const database = await customers();
    const first = [put(1, row(1, 'Anne'), 'c'), put(5, row(1, 'Ann')), put(2, row(2, 'Bob'), 'c')];
    await apply(database, [...first, gone(6, 2)]);
    const again = await apply(database, [...first, put(3, row(1, 'old'))], partition(2));
    expect(again.output).toMatchObject({ applied: 0, deleted: 0, stale: 4 });
    expect(await database.query(ALL)).toEqual([row(1, 'Ann')]);
    const next = await apply(database, [put(7, row(2, 'Bea'), 'c')], partition(3));
    expect(next.output).toMatchObject({ applied: 1, stale: 0 });
    expect(await database.query(ALL)).toEqual([row(1, 'Ann'), row(2, 'Bea')]);
  });

  it('an attempt after a crash finds the key, and tells what the events came to', async () => {
    const database = await customers();
    const events = [put(1, row(1, 'Anne'), 'c'), { id: 7 }, gone(2, 9), put(1, row(1, 'Anne'))];
    const { output, dead } = await apply(database, events);
    expect(output).toMatchObject({ applied: 1, deleted: 1, stale: 1, deadLetters: 1 });
    const again = await apply(database, events, { attempt: 2, tries: 2 });
    expect(again).toEqual({ output: { ...output, loaded: false }, dead });
  });

  it('what is no event is a dead letter, and the rest is applied', async () => {
    const database = await customers();
    const events = [{ id: 7 }, gone(1, 1), postgresEvent('c', 2), put(3, row(1, 'Anne'), 'c')];
    const { output, dead } = await apply(database, events);
    expect(output).toMatchObject({ applied: 1, deleted: 1, deadLetters: 2 });
    expect(dead).toMatchObject([
      { reason: 'bad_format', value: { id: 7 } },
      { reason: 'bad_format', message: 'op is c, and after is no map' },
    ]);
    expect(await database.query(ALL)).toEqual([row(1, 'Anne')]);
  });

  it('a column that an event does not tell keeps its value', async () => {
    const database = await customers();
    await apply(database, [put(1, row(1, 'Anne', 'large'), 'c')]);
    const large = { id: 1, name: 'Ann', note: '__debezium_unavailable_value' };
    await apply(database, [put(2, large), put(3, { id: 1, note: 'larger' })], partition(2));
    expect(await database.query(ALL)).toEqual([row(1, 'Ann', 'larger')]);
    const fresh = [gone(4, 1), put(5, { id: 1, name: 'Amy' }, 'c')];
    await apply(database, fresh, partition(3));
    expect(await database.query(ALL)).toEqual([row(1, 'Amy')]);
  });

  it('a truncation is refused unless it is allowed, and spares what is newer', async () => {
    const database = await customers();
    await apply(database, [put(1, row(1, 'Anne'), 'c'), put(9, row(2, 'Bob'), 'c')]);
    await database.exec("INSERT INTO customers (id, name) VALUES (3, 'nobody knows')");
    const events = [postgresEvent('t', 5), put(4, row(1, 'late')), put(6, row(4, 'Eve'), 'c')];
    const refused = { class: 'data', code: 'truncate_refused' };
    await expect(apply(database, events, partition(2))).rejects.toMatchObject(refused);
    expect(await database.query(ALL)).toHaveLength(3);
    const { output } = await apply(database, events, partition(2), { truncate: true });
    expect(output).toMatchObject({ applied: 1, truncated: 1, stale: 1 });
    expect(await database.query(ALL)).toEqual([row(2, 'Bob'), row(4, 'Eve')]);
    const again = await apply(database, events, partition(3), { truncate: true });
    expect(again.output).toMatchObject({ applied: 0, truncated: 0, stale: 3 });
    const emptied = [postgresEvent('t', 20)];
    await apply(database, emptied, partition(4), { truncate: true });
    expect(await database.query(ALL)).toEqual([]);
  });

  it('events of another source are refused, until a full refresh forgets the first', async () => {
    const database = await customers();
    await apply(database, [put(1000, row(1, 'Anne'), 'c'), put(1001, row(2, 'Bob'), 'c')]);
    const events = [mysqlEvent('r', ['mysql-bin.000003', 4, 0], { after: row(1, 'Ann') })];
    const refused = { class: 'data', code: 'source_changed' };
    await expect(apply(database, events, partition(2))).rejects.toMatchObject(refused);
    const { output } = await apply(database, events, { ...partition(2), fullRefresh: true });
    expect(output).toMatchObject({ applied: 1, stale: 0 });
    // Set up anew the connector begins at lower positions.
    const anew = [put(5, row(2, 'Bea'), 'r')];
    await apply(database, anew, { ...partition(3), fullRefresh: true });
    expect(await database.query(ALL)).toEqual([row(1, 'Ann'), row(2, 'Bea')]);
  });

  it('a full refresh deletes what its whole snapshot lacks, and nothing else does', async () => {
    const database = await customers();
    const names = ['Anne', "B'ob ü", 'Cy'];
    const seen = names.map((name, n) => put(n + 1, row(n + 1, name), 'c'));
    await apply(database, seen);
    await database.exec("INSERT INTO customers (id, name) VALUES (9, 'of nobody')");
    const snapshot = (marks: readonly (string | boolean)[]): Row[] =>
      marks.map((mark, n) => {
        const event = put(50, row(n + 1, `${names[n]} again`), 'r');
        return { ...event, source: { ...(event['source'] as Row), snapshot: mark } };
      });
    const refresh = (id: number) => ({ ...partition(id), fullRefresh: true });
    const all = async () => (await database.query(ALL)).map(({ id }) => id);

    // Its end alone, or its begin alone, may be a part of it; a row that is none may be any.
    for (const [n, marks] of [
      [true, 'last'],
      ['first', 'true'],
    ].entries()) {
      const { output } = await apply(database, snapshot(marks), refresh(n + 2));
      expect(output).toMatchObject({ applied: 2, removed: 0 });
    }
    const dead = await apply(database, [...snapshot(['first', 'last']), { id: 7 }], refresh(4));
    expect(dead.output).toMatchObject({ applied: 2, removed: 0, deadLetters: 1 });
    const usual = await apply(database, snapshot(['first', 'last']), partition(5));
    expect(usual.output).toMatchObject({ removed: 0 });
    expect(await all()).toEqual([1, 2, 3, 9]);

    const events = [...snapshot(['first', 'last']), gone(60, 1), put(61, row(4, 'Dee'), 'c')];
    const { output } = await apply(database, events, refresh(6));
    expect(output).toMatchObject({ applied: 3, deleted: 1, removed: 2, stale: 0 });
    expect(await database.query(ALL)).toEqual([row(2, "B'ob ü again"), row(4, 'Dee')]);
    // What it had removed comes back with a change, as any row would.
    await apply(database, [put(70, row(3, 'Cy'), 'c')], partition(7));
    expect(await all()).toEqual([2, 3, 4]);
  });

  it('a full refresh removes by a key of several columns, with quotes in it', async () => {
    const database = await open(taskSite());
    await database.exec('CREATE TABLE parts (site text, id integer, PRIMARY KEY (site, id))');
    const to = { table: 'parts', mode: 'changes', key: ['site', 'id'] };
    const part = (site: string, id: number, mark = 'true') => {
      const event = postgresEvent('r', 5, { after: { site, id } });
      return { ...event, source: { ...(event['source'] as Row), snapshot: mark } };
    };
    await load(database, to, [part('a', 1), part(`l'y"on ü`, 1), part('a', 2)], partition(1));
    const whole = [part(`l'y"on ü`, 1, 'first'), part('b', 2, 'last')];
    await load(database, to, whole, { ...partition(2), fullRefresh: true });
    expect(await database.query('SELECT site, id FROM parts ORDER BY site')).toEqual([
      { site: 'b', id: 2 },
      { site: `l'y"on ü`, id: 1 },
    ]);
  });

  it('a change that was committed after a snapshot wins, though written before', async () => {
    const database = await customers();
    await apply(database, [put(50, row(1, 'Anne'), 'r'), put(50, row(2, 'Bob'), 'r')]);
    await apply(database, [put(40, row(1, 'Ann')), gone(41, 2)], partition(2));
    expect(await database.query(ALL)).toEqual([row(1, 'Ann')]);
    const again = [put(50, row(1, 'Anne'), 'r'), put(50, row(2, 'Bob'), 'r'), put(40, row(1, 'x'))];
    expect((await apply(database, again, partition(3))).output).toMatchObject({ stale: 3 });
    expect(await database.query(ALL)).toEqual([row(1, 'Ann')]);
  });

  it('a deleted key is forgotten after a while, one that is there never', async () => {
    const database = await customers();
    const keep = { forgetDeleted: '1h' };
    await apply(database, [put(1, row(1, 'Anne'), 'c'), gone(2, 2)], {}, keep);
    await database.exec("UPDATE runnel_positions SET applied_at = '2020-01-01T00:00:00.000Z'");
    await apply(database, [gone(3, 3)], partition(2), keep);
    const left = await database.query('SELECT key FROM runnel_positions ORDER BY key');
    expect(left).toEqual([{ key: '[1]' }, { key: '[3]' }]);
  });

  it('a value that must be unique moves to another row, and two rows swap theirs', async () => {
    const database = await open(taskSite());
    const unique = CREATE.replace('name text NOT NULL', 'name text NOT NULL UNIQUE');
    await database.exec(unique.replace('note text', "note text, made text DEFAULT 'here'"));
    const names = ['a', 'b', 'c'].map((name, n) => put(n + 1, row(n + 1, name, name), 'c'));
    await apply(database, names);
    const moved = [put(11, row(3, 'free', 'c')), put(12, row(2, 'c', 'b')), put(13, row(4, 'b'))];
    await apply(database, moved, partition(2));
    // Of a swap each event is told without what is large.
    const swap = [put(21, { id: 1, name: 'c' }), put(22, { id: 2, name: 'a' })];
    await apply(database, swap, partition(3));
    expect(await database.query(ALL.replace('note', 'note, made'))).toEqual(
      [row(1, 'c', 'a'), row(2, 'a', 'b'), row(3, 'free', 'c'), row(4, 'b')].map((each) => ({
        ...each,
        made: 'here',
      })),
    );
    const taken = apply(database, [put(31, row(9, 'a'), 'c')], partition(4));
    await expect(taken).rejects.toMatchObject({ class: 'data' });
    expect(await database.query(ALL)).toHaveLength(4);
  });

  it('a swap that would take rows of another table with it is refused', async () => {
    const database = await open(taskSite());
    await database.exec(CREATE.replace('name text NOT NULL', 'name text NOT NULL UNIQUE'));
    await database.exec(
      'CREATE TABLE orders (id integer PRIMARY KEY, ' +
        'customer integer REFERENCES customers (id) ON DELETE CASCADE)',
    );
    await apply(database, [put(1, row(1, 'Anne'), 'c'), put(2, row(2, 'Bob'), 'c')]);
    await database.exec('INSERT INTO orders (id, customer) VALUES (10, 1)');
    const swap = [put(3, row(1, 'tmp')), put(4, row(2, 'Anne')), put(5, row(1, 'Bob'))];
    await expect(apply(database, swap, partition(2))).rejects.toMatchObject({
      class: 'data',
      code: 'swap_refused',
      message: expect.stringContaining('orders') as string,
    });
    expect(await database.query('SELECT id, customer FROM orders')).toEqual([
      { id: 10, customer: 1 },
    ]);
    expect(await database.query(ALL)).toEqual([row(1, 'Anne'), row(2, 'Bob')]);
    // Changes that need no swap go on.
    await apply(database, [put(6, row(1, 'Ann'))], partition(3));
    expect(await database.query(ALL)).toEqual([row(1, 'Ann'), row(2, 'Bob')]);
  });

  it('many events are applied in batches; one that cannot be leaves none of them', async () => {
    const database = await customers();
    const many = Array.from({ length: 3500 }, (_, n) => put(n + 1, row(n % 1700, `n${n}`)));
    const broken = [...many, put(9000, { id: 5, name: null })];
    await expect(apply(database, broken)).rejects.toMatchObject({ class: 'data' });
    expect(await database.query(ALL)).toEqual([]);
    const { output } = await apply(database, many);
    expect(output).toMatchObject({ applied: 3500, stale: 0 });
    const rows = await database.query(ALL);
    expect(rows).toHaveLength(1700);
    expect(rows.slice(98, 101)).toEqual([98, 99, 100].map((id) => row(id, `n${lastOf(id)}`)));
  });

  it('create makes the table by what events put; those that only delete wait for it', async () => {
    const database = await open(taskSite());
    const settings = { create: true };
    const first = await apply(database, [gone(7, 1)], {}, settings);
    expect(first.output).toMatchObject({ deleted: 1 });
    const events = [put(3, row(1, 'late'), 'c'), put(8, row(2, 'Bob', 'x'), 'c')];
    const second = await apply(database, events, partition(2), settings);
    expect(second.output).toMatchObject({ applied: 1, stale: 1 });
    expect(await database.query(ALL)).toEqual([row(2, 'Bob', 'x')]);
  });

  it('a key of several columns, and a column that the table has not', async () => {
    const database = await open(taskSite());
    await database.exec('CREATE TABLE customers (site text, n integer, PRIMARY KEY (site, n))');
    const key = { key: ['site', 'n'], columns: { site: 'plant', n: 'id' } };
    const events = [1, 2].map((id) => put(id, { plant: "l'yon", id, name: 'x' }, 'c'));
    const more = [...events, postgresEvent('d', 3, { before: { plant: "l'yon", id: 1 } })];
    await apply(database, more, {}, key);
    expect(await database.query('SELECT * FROM customers')).toEqual([{ site: "l'yon", n: 2 }]);
    const unknown = apply(database, more, partition(2), { key: ['site', 'n'], columns: undefined });
    expect((await unknown).output).toMatchObject({ deadLetters: 3 });
    const missing = apply(database, events, partition(3), { key: ['plant', 'id'] });
    await expect(missing).rejects.toThrow(/has no plant, id, name/);
  });
}

/** The last of the many whose id it is. */
function lastOf(id: number): number {
  return id + 1700 * Math.floor((3499 - id) / 1700);
}
