/** Where a query takes its rows from, found by shape in code and nowhere else. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindReferences, findReferences } from '@runnel/shared/definitions/sql-references.ts';

function found(sql: string): unknown {
  const references = findReferences(sql);
  if ('problem' in references) return references.problem;
  return references.map(({ kind, name, args }) => [kind, name, ...args]);
}

describe('a reference', () => {
  it.each<[sql: string, expected: unknown]>([
    ["FROM journal('a')", [['journal', 'a']]],
    ["from JOURNAL ( 'a' , $1, 5 )", [['journal', 'a', '$1', '5']]],
    [
      "FROM journal('a', {{ f(1, ')') }}, {{ x }})",
      [['journal', 'a', "{{ f(1, ')') }}", '{{ x }}']],
    ],
    [
      "FROM dataset('d') JOIN task('t') ON file('f''s.csv')",
      [
        ['dataset', 'd'],
        ['task', 't'],
        ['file', "f's.csv"],
      ],
    ],
    [
      "FROM journal('a'), (SELECT 1 FROM journal('b'))",
      [
        ['journal', 'a'],
        ['journal', 'b'],
      ],
    ],
    ['SELECT journal, task FROM dataset', []],
    ["SELECT s.journal('a')", []],
    ["SELECT my_journal('a'), journals('b')", []],
    ["SELECT 'FROM journal(''a'')', \"journal('b')\"", []],
    [
      "SELECT 1 -- journal('a')\n FROM task('t') /* file('x') /* dataset('y') */ */",
      [['task', 't']],
    ],
    ["SELECT $$journal('a')$$, $tag$ task('b') $$ $tag$", []],
    ['SELECT {{ "journal(\'a\')" }}', []],
  ])('%s', (sql, expected) => {
    expect(found(sql)).toEqual(expected);
  });

  it.each<[sql: string, problem: RegExp]>([
    ['FROM journal(a)', /does not name what it reads/],
    ['FROM task({{ x }})', /does not name what it reads/],
    ["FROM task('')", /does not name what it reads/],
    ["FROM dataset('a', 1)", /2 arguments, at most 1/],
    ["FROM journal('a'", /has no end/],
  ])('is told to be wrong: %s', (sql, problem) => {
    expect(found(sql)).toMatch(problem);
  });
});

describe('a query with its values', () => {
  it('has tables in the place of references, and only the values that are left, renumbered', () => {
    const sql = "SELECT $3, '$1' FROM journal('a', $1, $2) WHERE x = $3 AND y < $1 AND z = $4";
    expect(bindReferences(sql, [10, 20, 'x', true])).toEqual({
      query: 'SELECT $1, \'$1\' FROM "runnel_0" WHERE x = $1 AND y < $2 AND z = $3',
      values: ['x', 10, true],
      references: [{ kind: 'journal', name: 'a', table: 'runnel_0', fromMs: 10, toMs: 20 }],
    });
  });

  it('takes times as numbers and as ISO texts, and nothing else', () => {
    const range = (args: string, values: (string | number | null)[] = []): unknown => {
      const bound = bindReferences(`FROM journal('a', ${args})`, values);
      if ('problem' in bound) return bound.problem;
      return [bound.references[0]?.fromMs, bound.references[0]?.toMs];
    };
    expect(range('5')).toEqual([5, null]);
    expect(range("'1970-01-01T00:00:01Z', $1", ['1970-01-02'])).toEqual([1000, 86_400_000]);
    expect(range('$1 + 1', [5])).toBe('$1 + 1 is no time to read a journal from or to');
    expect(range('$1', [null])).toBe('null is no time to read a journal from or to');
  });

  it('is the same query where it has no references', () => {
    const text = fc.stringMatching(/^[A-Za-z '"$\-/*(),.;\n]{0,40}$/);
    fc.assert(
      fc.property(text, (sql) => {
        const bound = bindReferences(sql, []);
        if ('problem' in bound || bound.references.length > 0) return;
        expect(bound.query).toBe(sql);
      }),
    );
  });
});
