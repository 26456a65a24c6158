/** The pure parts of the connectors: csv, cursors, file patterns, SQL cut into pieces. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareCursors } from '@runnel/agent/batch/io/cursor.ts';
import { csvLine, CsvReader } from '@runnel/agent/batch/io/csv.ts';
import { listFiles } from '@runnel/agent/batch/io/list-files.ts';
import { postgresTypes } from '@runnel/agent/batch/io/postgres-values.ts';
import {
  hasSecondStatement,
  isSelect,
  replaceCursor,
  sqlPieces,
} from '@runnel/shared/definitions/sql-cursor.ts';
import { taskSite } from '../../support/task-context.ts';

describe('csv', () => {
  const field = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é', ';') }),
    fc.string({ unit: 'binary' }),
  );
  const table = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 8 });

  it('that was written is read as it was, wherever the text is cut', () => {
    fc.assert(
      fc.property(table, fc.array(fc.nat(200)), (lines, cuts) => {
        const rows = lines.map((line) => Object.fromEntries(line.entries()));
        const text = rows.map((row) => `${csvLine(row, Object.keys(row), ',')}\n`).join('');
        const reader = new CsvReader(',');
        const read: (readonly string[])[] = [];
        let at = 0;
        for (const end of [...cuts.toSorted((a, b) => a - b), text.length]) {
          for (const { fields } of reader.feed(text.slice(at, end))) read.push(fields);
          at = Math.max(at, end);
        }
        for (const { fields } of reader.feed('', true)) read.push(fields);
        expect(read).toEqual(lines);
      }),
    );
  });

  it('says what is wrong and where, and goes on with the next line', () => {
    const reader = new CsvReader(',');
    const lines = [...reader.feed('a,"b\nc"\n"x"y,1\n\nlast,"open', true)];
    expect(lines).toEqual([
      { line: 1, fields: ['a', 'b\nc'], problem: undefined },
      { line: 3, fields: ['xy', '1'], problem: 'text behind a closing quote' },
      { line: 5, fields: ['last', 'open'], problem: 'a quote that is not closed' },
    ]);
  });
});

describe('cursors compare', () => {
  it('instants by time, whatever their zone and the digits of their fraction', () => {
    const ordered = [
      '2026-11-21',
      '2026-11-22T01:00:00+02:00',
      '2026-11-21 23:00:00.000001Z',
      '2026-11-22T00:00:00.1Z',
      '2026-11-22T00:00:00.12Z',
      '2026-11-22T00:00:01Z',
      '2026-11-22 01:00+0000',
    ];
    for (const [index, later] of ordered.entries()) {
      for (const earlier of ordered.slice(0, index)) {
        expect(compareCursors(earlier, later), `${earlier} < ${later}`).toBeLessThan(0);
        expect(compareCursors(later, earlier)).toBeGreaterThan(0);
      }
    }
    expect(compareCursors('2026-11-22T00:00:00.10Z', '2026-11-22T00:00:00.1')).toBe(0);
    expect(compareCursors('2026-11-22T02:00:00+02', '2026-11-22')).toBe(0);
  });

  it('numbers as numbers, other texts by their characters, and never one with the other', () => {
    expect(compareCursors(9, 10)).toBeLessThan(0);
    expect(compareCursors('b', 'a10')).toBeGreaterThan(0);
    expect(() => compareCursors(9, '10')).toThrow(/two kinds/);
  });
});

it('a pattern names files by *, ? and [], and nothing that policy forbids', async () => {
  const site = taskSite();
  const folder = join(site.dataDir, 'in');
  mkdirSync(join(folder, 'folder.csv'), { recursive: true });
  const names = ['a1.csv', 'a2.csv', 'b1.csv', 'a1.csv.new', '.a3.csv', 'a-*.csv', 'é.csv'];
  for (const name of names) writeFileSync(join(folder, name), 'x');
  const { policy } = site.services();
  const found = async (pattern: string) =>
    (await listFiles(`in/${pattern}`, policy)).map(({ name }) => name);
  expect(await found('a?.csv')).toEqual(['a1.csv', 'a2.csv']);
  expect(await found('*.csv')).toEqual(['a-*.csv', 'a1.csv', 'a2.csv', 'b1.csv', 'é.csv']);
  expect(await found('[!a]?.csv')).toEqual(['b1.csv']);
  expect(await found('[a-b]1.*')).toEqual(['a1.csv', 'a1.csv.new', 'b1.csv']);
  expect(await found('?.csv')).toEqual(['é.csv']);
  expect(await found('a-[*].csv')).toEqual(['a-*.csv']);
  expect(await found('.a*')).toEqual(['.a3.csv']);
  expect(await found(`${'*a'.repeat(30)}*b`)).toEqual([]);
  symlinkSync('/etc/hostname', join(folder, 'link.csv'));
  await expect(found('l*.csv')).rejects.toMatchObject({ class: 'policy' });
  symlinkSync(join(folder, 'gone'), join(folder, 'dangling.csv'));
  expect(await found('dang*.csv')).toEqual([]);
});

it('a file that is there and cannot be looked at fails the listing', async () => {
  const site = taskSite();
  const folder = join(site.dataDir, 'in');
  mkdirSync(folder);
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'file', 'x'), join(folder, 'way.csv'));
  const policy = { ...site.services().policy, path: (path: string) => resolve(site.dataDir, path) };
  await expect(listFiles('in/*.csv', policy)).rejects.toMatchObject({
    class: 'data',
    code: 'file_unreadable',
  });
});

describe('SQL in pieces', () => {
  const token = fc.constantFrom(
    "'",
    '"',
    '$cursor',
    '--',
    '\n',
    '/*',
    '*/',
    '$$',
    '$a$',
    ';',
    ' x ',
  );

  it('is the whole text, in order', () => {
    fc.assert(
      fc.property(fc.array(token), (tokens) => {
        const sql = tokens.join('');
        const pieces = sqlPieces(sql).map(({ text }) => text);
        expect(pieces.join('')).toBe(sql);
      }),
    );
  });

  it('has a cursor only in code', () => {
    const sql = `SELECT '$cursor''$cursor', "$cursor", $$ $cursor $$, $a$ $cursor $$ $a$, $cursor
      -- $cursor
      /* $cursor */ WHERE x > $cursor AND $cursors`;
    expect(replaceCursor(sql, '$1').split('$1')).toHaveLength(3);
    expect(replaceCursor(sql, '$1')).toContain('x > $1 AND $cursors');
  });

  it('tells one statement from two, and a SELECT from others', () => {
    expect(['SELECT 1;', "SELECT ';'; -- ; x", '/* a */ ;'].map(hasSecondStatement)).toEqual([
      false,
      false,
      false,
    ]);
    expect(['SELECT 1; SELECT 2', "SELECT 1; 'x'"].map(hasSecondStatement)).toEqual([true, true]);
    const selects = ['-- a\n/* b */ SELECT 1', 'with a as (select 1) select', 'VALUES (1)'];
    expect(selects.map(isSelect)).toEqual([true, true, true]);
    expect(['DELETE FROM a', '/* SELECT */ DROP', '', 'selected'].map(isSelect)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});

it("PostgreSQL's numbers stay exact: what a double cannot hold is a text", () => {
  const parse = (oid: number, text: string) => postgresTypes.getTypeParser(oid)(text);
  const numeric = ['0.10', '-12.5', '123456789012345.6', '0.000000000000001', 'NaN', '1e400'];
  expect(numeric.map((text) => parse(1700, text))).toEqual([
    0.1,
    -12.5,
    '123456789012345.6',
    1e-15,
    'NaN',
    '1e400',
  ]);
  expect(parse(20, '-9007199254740991')).toBe(-9007199254740991);
  expect(parse(20, '9007199254740992')).toBe('9007199254740992');
  expect(parse(1016, '{1,NULL,{9007199254740993}}')).toEqual([1, null, ['9007199254740993']]);
  expect(parse(1009, '{}')).toEqual([]);
  expect(parse(1009, '{"",NULL,"NULL","a\\\\b\\"c,}"}')).toEqual(['', null, 'NULL', 'a\\b"c,}']);
});
