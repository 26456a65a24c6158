/**
 * Random histories of a table, told as change events at least once, against a copy: after every
 * load the copy is the table, whatever came again.
 *
 *     new events of the step   events of any step before, again
 *     ├───────────────────────┼─────────────────────────────────┤  one load
 */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Row, TaskServices } from '@runnel/agent/batch/tasks/task-services.ts';
import { DAY_MS, DAY_START, taskSite, type TaskSite } from '../../../support/task-context.ts';
import { type DatabaseUnderTest, load } from '../tasks/load-databases.ts';
import { postgresEvent } from './connector-events.ts';

const CREATE =
  'CREATE TABLE copy (site text, id integer, name text, n float, PRIMARY KEY (site, id))';
const ALL = 'SELECT site, id, name, n FROM copy ORDER BY site, id';
const KEY = ['site', 'id'];

const key = fc.record({ site: fc.constantFrom('a', "b'ü"), id: fc.integer({ min: 1, max: 4 }) });
const values = fc.record({
  name: fc.option(fc.constantFrom('', 'x', 'y "z"')),
  n: fc.option(fc.constantFrom(0, 1.5, -2)),
});

/** A row is put, moved to another key, or deleted. */
const operation = fc.record({ key, to: fc.option(key, { freq: 3 }), values: fc.option(values) });
const step = fc.record({
  operations: fc.array(operation, { maxLength: 6 }),
  /** Which part of the log comes again: from where, to where. */
  again: fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  ),
});
const history = fc.array(step, { minLength: 2, maxLength: 5 });

type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

export function roundTripContract(
  open: (site: TaskSite) => Promise<DatabaseUnderTest>,
  { numRuns, services }: { readonly numRuns: number; readonly services?: Partial<TaskServices> },
): void {
  const deliver = async (database: DatabaseUnderTest, n: number, events: readonly Row[]) => {
    const settings = { table: 'copy', mode: 'changes', key: KEY };
    const partition = { id: `load-${n}` };
    const options = { partition, ...(services !== undefined && { services }) };
    const { success } = await load(database, settings, events, options);
    expect(success.output).toMatchObject({ loaded: true, deadLetters: 0 });
  };

  async function copyOf(): Promise<DatabaseUnderTest> {
    const database = await open(taskSite());
    await database.exec(CREATE);
    return database;
  }

  it('table → changes → load → table: the copy is the table after every run', async () => {
    const property = fc.asyncProperty(history, async (steps) => {
      const database = await copyOf();
      const table = new Map<string, Row>();
      const log: Row[] = [];
      for (const [n, { operations, again }] of steps.entries()) {
        for (const each of operations) apply(table, each);
        const events = await changesOfDay(database.site, n, [...table.values()]);
        log.push(...events);
        await deliver(database, n, [...events, ...partOf(log, again)]);
        expect(await database.query(ALL)).toEqual(inOrder(table));
      }
    });
    await fc.assert(property, { numRuns });
  });

  it('events of a connector: key changes, deletes, tombstones, whatever comes again', async () => {
    const property = fc.asyncProperty(history, async (steps) => {
      const database = await copyOf();
      const table = new Map<string, Row>();
      const log: Row[] = [];
      for (const [n, { operations, again }] of steps.entries()) {
        const before = log.length;
        for (const each of operations) log.push(...told(each, table, log.length + 1));
        await deliver(database, n, [...log.slice(before), ...partOf(log, again)]);
        expect(await database.query(ALL)).toEqual(inOrder(table));
      }
    });
    await fc.assert(property, { numRuns });
  });
}

const textOf = ({ site, id }: Row): string => `${JSON.stringify(site)} ${JSON.stringify(id)}`;

function apply(table: Map<string, Row>, { key: at, to, values: put }: Operation): void {
  if (put === null) return void table.delete(textOf(at));
  if (to !== null) table.delete(textOf(at));
  const row = { ...(to ?? at), ...put };
  table.set(textOf(row), row);
}

/** What the log of a database says of it; a key that is taken cannot be moved to. */
function told(change: Operation, table: Map<string, Row>, lsn: number): Row[] {
  const { key: at, to, values: put } = change;
  const before = table.get(textOf(at)) ?? null;
  if (put === null && before === null) return [];
  const isTaken = to !== null && table.has(textOf(to)) && textOf(to) !== textOf(at);
  const made = isTaken || before === null ? { ...change, to: null } : change;
  apply(table, made);
  if (put === null) return [postgresEvent('d', lsn, { before }), { payload: null }];
  const after = { ...(made.to ?? at), ...put };
  return [postgresEvent(before === null ? 'c' : 'u', lsn, { before, after })];
}

function partOf(log: readonly Row[], [from, length]: Step['again']): readonly Row[] {
  const start = Math.floor(from * log.length);
  return log.slice(start, start + Math.ceil(length * (log.length - start)));
}

function inOrder(table: ReadonlyMap<string, Row>): Row[] {
  const rows = [...table.values()].map(({ site, id, name, n }) => ({ site, id, name, n }) as Row);
  return rows.sort((left, right) => (textOf(left) < textOf(right) ? -1 : 1));
}

/** The events of a run on the day, and its state as the dataset that the next compares with. */
async function changesOfDay(site: TaskSite, n: number, rows: readonly Row[]): Promise<Row[]> {
  const changes = { input: 'now', key: KEY, against: { dataset: 'state' } };
  const program = site.program({
    tasks: [
      { id: 'now', value: { value: 1 } },
      { id: 't', needs: ['now'], changes },
    ],
  });
  const start = DAY_START + n * DAY_MS;
  const period = { start, end: start + DAY_MS };
  const now = await site.table(rows);
  const partition = { id: `day-${n}`, ...period } as never;
  const { success } = await site.attempt(program, 't', { tables: { now }, partition });
  for (const write of success.datasets ?? []) {
    await site.publishDataset(write, { partition: `day-${n}`, ...period });
  }
  return site.rows(success.table);
}
