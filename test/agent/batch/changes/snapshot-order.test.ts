/**
 * Rows that a snapshot of PostgreSQL read, among the changes of its log: whatever comes again, and
 * wherever the snapshot stood, the table ends as its source. The source is played as PostgreSQL
 * orders things: a change has its place in the log when it is written, is seen by others when it is
 * committed, and holds the lock of its row in between.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changeEvent } from '@runnel/agent/batch/changes/change-event.ts';
import {
  type ChangeCounts,
  keyText,
  planChanges,
} from '@runnel/agent/batch/changes/change-batch.ts';
import type { EventPosition } from '@runnel/agent/batch/changes/event-position.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { postgresEvent } from './connector-events.ts';

const none = (): ChangeCounts => ({ applied: 0, deleted: 0, truncated: 0, removed: 0, stale: 0 });

/** A table as a database would hold it, by what is planned for it. */
class Table {
  readonly rows = new Map<string, Row>();
  readonly positions = new Map<string, EventPosition>();

  take(events: readonly Row[]): ChangeCounts {
    const counts = none();
    const changes = events.flatMap((event) => {
      const read = changeEvent(event, { key: ['id'] });
      if (read.kind !== 'changes') throw new Error(read.kind);
      return read.changes.flatMap((change) => (change.op === 'truncate' ? [] : [change]));
    });
    const plan = planChanges(changes, this.positions, undefined, counts);
    for (const key of plan.deletes) this.rows.delete(keyText(key));
    for (const row of plan.puts.flatMap(({ rows }) => rows)) {
      this.rows.set(keyText([row['id'] as number]), row);
    }
    for (const { key, isDeleted: _, ...at } of plan.positions) this.positions.set(key, at);
    return counts;
  }

  get content(): Record<string, unknown> {
    return Object.fromEntries([...this.rows].map(([key, { v }]) => [key, v]));
  }
}

const row = (id: number, v: number): Row => ({ id, v });
const read = (lsn: number, id: number, v: number) => postgresEvent('r', lsn, { after: row(id, v) });
const put = (lsn: number, id: number, v: number) => postgresEvent('u', lsn, { after: row(id, v) });
const gone = (lsn: number, id: number) => postgresEvent('d', lsn, { before: { id } });

describe('a row that a snapshot read', () => {
  it('gives way to a change that was written before it and committed after', () => {
    const table = new Table();
    table.take([read(50, 1, 1), put(40, 1, 2)]);
    expect(table.content).toEqual({ '[1]': 2 });
  });

  it('brings back nothing that has changed since, nor what it told before', () => {
    const table = new Table();
    table.take([read(50, 1, 1), put(40, 1, 2)]);
    expect(table.take([read(50, 1, 1)]).stale).toBe(1);
    table.take([put(60, 1, 3)]);
    expect(table.take([read(55, 1, 2), put(40, 1, 2), read(60, 1, 2)]).stale).toBe(3);
    expect(table.content).toEqual({ '[1]': 3 });
    table.take([gone(70, 1)]);
    expect(table.take([read(65, 1, 3)]).stale).toBe(1);
    expect(table.content).toEqual({});
  });

  it('of a later snapshot is news', () => {
    const table = new Table();
    table.take([read(50, 1, 1), put(40, 1, 2), read(80, 1, 5)]);
    expect(table.content).toEqual({ '[1]': 5 });
    // A change that had been taken stays known behind it.
    expect(table.take([put(40, 1, 2)]).stale).toBe(1);
  });
});

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('write' as const), n: fc.nat(2) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('commit' as const), n: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('snapshot' as const), n: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('again' as const), n: fc.nat(6) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What a connector delivers, and the table that it was read from. */
function source(steps: readonly Step[]) {
  const events: Row[] = [];
  const committed = new Map<number, number>();
  /** By key: what holds its lock. */
  const open = new Map<number, { readonly lsn: number; readonly v: number | null }>();
  let lsn = 10;
  let v = 0;
  const commit = (id: number): void => {
    const change = open.get(id);
    if (change === undefined) return;
    open.delete(id);
    lsn += 1;
    if (change.v === null) {
      committed.delete(id);
      events.push(gone(change.lsn, id));
    } else {
      committed.set(id, change.v);
      events.push(put(change.lsn, id, change.v));
    }
  };
  const act: Readonly<Record<Step['do'], (n: number) => void>> = {
    write(id) {
      if (open.has(id)) return;
      v += 1;
      open.set(id, { lsn: ++lsn, v: v % 4 === 0 ? null : v });
    },
    commit,
    snapshot() {
      for (const [id, value] of committed) events.push(read(lsn, id, value));
    },
    // It restarts some events back, and delivers all from there on once more.
    again: (n) => void events.push(...events.slice(Math.max(0, events.length - n))),
  };
  for (const { do: what, n } of steps) act[what](n);
  for (const id of [...open.keys()]) commit(id);
  return {
    events,
    content: Object.fromEntries([...committed].map(([id, value]) => [`[${id}]`, value])),
  };
}

it('the table ends as its source, wherever snapshots stand and whatever comes again', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 5 }),
      (steps, batch) => {
        const { events, content } = source(steps);
        const table = new Table();
        for (let at = 0; at < events.length; at += batch) table.take(events.slice(at, at + batch));
        expect(table.content).toEqual(content);
      },
    ),
    { numRuns: 500 },
  );
});
