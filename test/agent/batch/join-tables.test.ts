import { describe, expect, it } from 'vitest';
import { joinTables } from '@runnel/agent/batch/tables/join-tables.ts';
import { limits } from '@runnel/shared/limits.ts';
import { taskSite } from '../../support/task-context.ts';

describe('tables that are joined', () => {
  it('hold the rows of each in order, and the columns of all', async () => {
    const site = taskSite();
    const one = await site.table([{ m: 'a', n: 1 }]);
    const none = await site.table([]);
    const two = await site.table([{ n: 'x', o: true }, { n: null }]);
    const joined = joinTables([one, none, two])!;
    expect(joined).toMatchObject({ rows: 3, bytes: one.bytes + two.bytes });
    expect(joined.columns).toEqual([
      { name: 'm', type: 'string' },
      { name: 'n', type: 'json' },
      { name: 'o', type: 'boolean' },
    ]);
    expect(await site.rows(joined)).toEqual([{ m: 'a', n: 1 }, { n: 'x', o: true }, { n: null }]);
    expect(site.tables.pathsOf(joined)).toHaveLength(2);
    expect(() => site.tables.pathOf(joined)).toThrow(/several files/);
  });

  it('are one file where only one has rows, and nothing where there are none', async () => {
    const site = taskSite();
    const none = await site.table([]);
    const one = await site.table([{ n: 1 }]);
    expect(joinTables([])).toBeUndefined();
    expect(joinTables([none, one])).toEqual(one);
    expect(joinTables([none, none])).toMatchObject({ rows: 0, path: none.path });
  });

  it('are one file as a partition of a dataset, with the hash of the same in one', async () => {
    const site = taskSite();
    const joined = joinTables([await site.table([{ n: 1 }]), await site.table([{ n: 2 }])])!;
    const hash = await site.tables.hash(joined);
    expect(hash).toBe(await site.tables.hash(await site.table([{ n: 1 }, { n: 2 }])));
    const partition = await site.tables.toDataset(joined, 'rows', 'day', hash);
    expect(partition).not.toHaveProperty('parts');
    expect(await site.rows(partition)).toEqual([{ n: 1 }, { n: 2 }]);
    const again = await site.tables.toDataset(joined, 'rows', 'day', hash);
    expect({ ...again, path: '' }).toEqual({ ...partition, path: '' });
    expect(again.path).not.toBe(partition.path);
  });

  it('have no more columns than one table may have', async () => {
    const site = taskSite();
    const wide = (prefix: string) =>
      Object.fromEntries(Array.from({ length: limits.tableColumnsMax }, (_, n) => [prefix + n, 1]));
    const tables = [await site.table([wide('a')]), await site.table([wide('b')])];
    expect(() => joinTables(tables)).toThrow(/more than \d+ columns/);
  });
});
