/** Rows as files: what comes back, what is bounded, what a crash leaves. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '@runnel/shared/limits.ts';
import { safeName } from '@runnel/agent/batch/tables/safe-name.ts';
import { tableOutput } from '@runnel/agent/batch/tables/table-output.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import {
  DAY_START,
  taskSite,
  type TaskSite,
  type TestContext,
} from '../../support/task-context.ts';

function contextOf(site: TaskSite, signal?: AbortSignal): TestContext {
  const program = site.program({ tasks: [{ id: 't', value: { value: 1 } }] });
  return site.context(program, 't', signal === undefined ? {} : { signal });
}

describe('a table', () => {
  it('gives back the rows that were written, whatever is in them', async () => {
    const site = taskSite();
    const context = contextOf(site);
    const row = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 6 });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 40 }), async (rows) => {
        const plain = JSON.parse(JSON.stringify(rows)) as Row[];
        const table = await site.tables.write(context, plain);
        expect(table.rows).toBe(plain.length);
        expect(await site.rows(table)).toEqual(plain);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps the names in the order they came, with the type that all values have', async () => {
    const site = taskSite();
    const table = await site.table([
      { b: 1, a: 'x', c: null },
      { a: 'y', b: 2.5, d: true, e: [1], f: 1 },
      { f: 'one', c: null },
    ]);
    expect(table.columns).toEqual([
      { name: 'b', type: 'number' },
      { name: 'a', type: 'string' },
      { name: 'c', type: 'json' },
      { name: 'd', type: 'boolean' },
      { name: 'e', type: 'json' },
      { name: 'f', type: 'json' },
    ]);
  });

  it('is read in chunks, and rows across the ends of chunks are whole', async () => {
    const site = taskSite();
    const rows = Array.from({ length: 20_000 }, (_, n) => ({ n, text: 'äöü€'.repeat(n % 17) }));
    const table = await site.table(rows);
    const sizes: number[] = [];
    for await (const chunk of site.tables.read(table)) sizes.push(chunk.length);
    expect(sizes.length).toBeGreaterThan(3);
    expect(await site.rows(table)).toEqual(rows);
  });

  it('of a child is taken over by name, counted, or counted by the child', async () => {
    const site = taskSite();
    const context = contextOf(site);
    const made = join(context.scratchDir, 'made.jsonl');
    writeFileSync(made, '{"a":1}\n{"a":2,"b":"x"}\n');
    const table = await site.tables.adopt(context, made);
    expect(table).toMatchObject({ rows: 2, bytes: 24 });
    expect(table.columns.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(existsSync(made)).toBe(false);
    expect(await site.rows(table)).toEqual([{ a: 1 }, { a: 2, b: 'x' }]);
  });

  it('with too many columns, or too long a row, fails the attempt and leaves no file', async () => {
    const site = taskSite();
    const context = contextOf(site);
    const wide = Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`c${n}`, n]));
    const long = { text: 'x'.repeat(limits.tableRowBytesMax) };
    for (const row of [wide, long]) {
      const error = await site.tables.write(context, [row]).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ class: 'resources' });
    }
    expect(readdirSync(context.scratchDir)).toEqual([]);
  });

  it('ends when the attempt is told to, and leaves no file', async () => {
    const site = taskSite();
    const control = new AbortController();
    const context = contextOf(site, control.signal);
    function* endless(): Generator<Row> {
      for (let n = 0; ; n++) {
        if (n === 10_000) control.abort(new TaskError('timeout', 'task_timeout', 'too long'));
        yield { text: 'x'.repeat(100) };
      }
    }
    await expect(site.tables.write(context, endless())).rejects.toThrow('too long');
    expect(readdirSync(context.scratchDir)).toEqual([]);
  });

  it('shows its rows in an output only while they are few', async () => {
    const site = taskSite();
    const few = await site.table([{ a: 1 }, { a: 2 }]);
    expect(await tableOutput(site.tables, few)).toEqual({
      rowCount: 2,
      columns: ['a'],
      rows: [{ a: 1 }, { a: 2 }],
    });
    const many = await site.table(Array.from({ length: 1001 }, (_, a) => ({ a })));
    expect(await tableOutput(site.tables, many)).toEqual({ rowCount: 1001, columns: ['a'] });
    const large = await site.table([{ a: 'x'.repeat(limits.outputRowsBytesMax) }]);
    expect(await tableOutput(site.tables, large)).toEqual({ rowCount: 1, columns: ['a'] });
  });
});

describe('files of tables', () => {
  it('that nobody refers to are swept, the others stay', async () => {
    const site = taskSite();
    const kept = await site.table([{ a: 1 }]);
    const lost = await site.table([{ a: 2 }]);
    const record = await site.publishDataset(
      { dataset: 'd', table: kept },
      { partition: '2026-11-22', start: DAY_START, end: DAY_START },
    );
    const referred = new Set([kept.path, record.table?.path]);
    expect(await site.tables.sweep((path) => referred.has(path))).toBe(1);
    expect(existsSync(site.tables.pathOf(kept))).toBe(true);
    expect(existsSync(site.tables.pathOf(lost))).toBe(false);
    expect(await site.tables.sweep(() => false)).toBe(2);
  });

  it('of a dataset outlive the run that made them', async () => {
    const site = taskSite();
    const table = await site.table([{ a: 1 }]);
    const partition = { partition: 'line-1/2026-11-22', start: DAY_START, end: DAY_START };
    const record = await site.publishDataset({ dataset: 'd', table }, partition);
    await site.tables.removeRun('run-1');
    expect(await site.rows(record.table ?? undefined)).toEqual([{ a: 1 }]);
    await expect(site.rows(table)).rejects.toThrow(/ENOENT/);
  });

  it('cannot be named outside of their directory', () => {
    const site = taskSite();
    const table = { path: '../../etc/passwd', rows: 0, bytes: 0, columns: [] };
    expect(() => site.tables.pathOf(table)).toThrow(/no path of a table/);
  });

  it('have names that differ where what they are named for differs', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.string({ maxLength: 300 }), (a, b) => {
        expect(safeName(a)).toMatch(/^[A-Za-z0-9_+%-][A-Za-z0-9_.+%-]{0,159}$/);
        if (a !== b) expect(safeName(a)).not.toBe(safeName(b));
      }),
    );
    expect(safeName('..')).toBe('%2e.');
    expect(safeName('line-1/2026-11-22')).toBe('line-1%2f2026-11-22');
  });
});
