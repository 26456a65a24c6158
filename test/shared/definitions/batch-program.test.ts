/** Templates, bound SQL and the expressions of a compiled batch job. */
import { describe, expect, test } from 'vitest';
import type { BatchProgram, TaskScope } from '@runnel/shared/definitions/batch-program.ts';
import { compileBatchJob } from '@runnel/shared/definitions/compile-batch-job.ts';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { sampleScope } from '@runnel/shared/definitions/sample-scope.ts';
import { sqlPieces } from '@runnel/shared/definitions/sql-binding.ts';
import { limits } from '@runnel/shared/limits.ts';

const HEAD = `apiVersion: runnel/v1
kind: BatchJob
metadata: { name: x }
parameters:
  n: { type: number, default: 1 }
  name: { type: string, default: a }
  list: { type: list, default: [1, 2] }
  on: { type: boolean, default: true }
`;

function compiled(tasks: string, parameters: Record<string, unknown> = {}): BatchProgram {
  const { job } = parseJob(`${HEAD}tasks:\n${tasks.replaceAll(/^/gm, '  ')}\n`);
  if (job.kind !== 'BatchJob') throw new Error('no batch job');
  return compileBatchJob(job, { n: 1, name: 'a', list: [1, 2], on: true, ...parameters });
}

const scope: TaskScope = {
  ...sampleScope('x', { kind: 'period', every: '1d', timezone: 'UTC' }),
  tasks: { a: { state: 'success', output: { rows: [{ id: 7 }], none: null } } },
  item: { id: 7 },
  index: 3,
};

const program = compiled('- { id: a, value: { value: 1 } }');
const rendered = (text: string, at: TaskScope = scope) => program.render(text, at);

describe('a template', () => {
  test.each([
    ['plain', 'plain'],
    ['{{ params.n }}', 1],
    ['{{ params.n }} ', '1 '],
    ['n={{ params.n + 0.5 }}, {{ params.on }}', 'n=1.5, true'],
    ['{{ params.list }}', [1, 2]],
    ['{{ tasks.a.output.rows[0] }}', { id: 7 }],
    ['{{ tasks.a.output.none }}', null],
    ['{{ item.id }}-{{ index }}', '7-3'],
    ['rollup/{{ partition.date }}.parquet', 'rollup/2026-01-01.parquet'],
    ['{{ partition.endAt }}', '2026-01-02T00:00:00.000Z'],
    ['{{ {"a": {"b": 1}}.a.b }}', 1],
    ['{{ "}}" }}{{ "{{" }}', '}}{{'],
    ["{{ 'it\\'s }}' }}", "it's }}"],
    ['{{ r"a\\b}}" }}', 'a\\b}}'],
    ['{ "a": {{ params.n }} }', '{ "a": 1 }'],
    ['}} {{ params.n }}', '}} 1'],
    ['{{ params.list.map(item, item + 1) }}', [2, 3]],
  ])('%j gives %j', (text, value) => {
    expect(rendered(text)).toEqual(value);
  });

  test.each([
    ['x{{ tasks.a.output.none }}', 'tasks.a.output.none }} is null'],
    ['x{{ params.list }}', 'is a list'],
    ['x{{ tasks.a.output }}', 'is a map'],
    ['{{ tasks.a.output.rows[1] }}', 'tasks.a.output.rows[1]'],
    ['{{ tasks.b.output }}', 'has no "b"'],
    ['{{ tasks.a.output.none + 1 }}', 'null'],
  ])('%j is an error that names it', (text, message) => {
    expect(() => rendered(text)).toThrow(message);
    expect(() => rendered(text)).toThrow(expect.objectContaining({ code: 'template_value' }));
  });

  test('gives no more than its bound', () => {
    const output = 'x'.repeat(64 * 1024);
    const wide = { ...scope, tasks: { a: { state: 'success', output } } };
    const many = '{{ tasks.a.output }}'.repeat(limits.renderedConfigCharsMax / output.length + 1);
    expect(() => rendered(many, wide)).toThrow('characters');
  });
});

describe('the settings of a task', () => {
  test('are rendered and parsed for each instance', () => {
    const { tasks } = compiled(`- { id: a, value: { value: 1 } }
- id: b
  needs: a
  forEach: tasks.a.output.rows
  value: { value: { id: "{{ item.id }}", text: "{{ item.id }}/{{ index }}", n: 5 } }`);
    const [, b] = tasks;
    expect(b?.config(scope)).toEqual({ value: { id: 7, text: '7/3', n: 5 } });
    expect(b?.config({ ...scope, item: { id: 'x' }, index: 0 })).toEqual({
      value: { id: 'x', text: 'x/0', n: 5 },
    });
  });

  test('that a value makes wrong fail as the definition, with the place', () => {
    const { tasks } = compiled(
      '- { id: a, forEach: [1], http: { url: "http://h/", expect: "{{ item }}" } }',
    );
    expect(() => tasks[0]?.config({ ...scope, item: 'never' })).toThrow(
      expect.objectContaining({ code: 'definition_invalid' }),
    );
    expect(() => tasks[0]?.config({ ...scope, item: 'never' })).toThrow('tasks[0].http.expect');
  });

  test('without templates are parsed once', () => {
    const { tasks } = compiled('- { id: a, value: { value: { n: 1 } } }');
    expect(tasks[0]?.config(scope)).toBe(tasks[0]?.config(scope));
  });

  test('are compiled with the parameters of the run', () => {
    const text = '- { id: a, value: { value: "{{ params.n }}" } }';
    expect(compiled(text, { n: 42 }).tasks[0]?.config(scope)).toEqual({ value: 42 });
  });
});

describe('SQL', () => {
  test.each([
    ['SELECT 1', 'SELECT 1', []],
    [
      'WHERE a >= {{ partition.start }} AND b = {{ params.name }}',
      'WHERE a >= $1 AND b = $2',
      [Date.UTC(2026, 0, 1), 'a'],
    ],
    ['{{ params.n }} + {{params.n}} + {{ index }}', '$1 + $1 + $2', [1, 3]],
    [`'it''s' || "a""b" || {{ params.n }}`, `'it''s' || "a""b" || $1`, [1]],
    [`E'\\'' || {{ params.n }}`, `E'\\'' || $1`, [1]],
    ['/* a /* b */ */ {{ "}}" }} -- c', '/* a /* b */ */ $1 -- c', ['}}']],
    ['$q$ $1 ; $q$ || {{ params.n }}', '$q$ $1 ; $q$ || $1', [1]],
    ['{{ tasks.a.output.none }}, {{ params.list }}', '$1, $2', [null, [1, 2]]],
  ])('%s binds its values', (text, sql, values) => {
    expect(program.bind(text, scope)).toEqual({ text: sql, values });
  });

  test.each([
    [`WHERE a = '{{ params.name }}'`, 'a text literal'],
    [`WHERE a = E'\\'{{ params.name }}'`, 'a text literal'],
    ['FROM "{{ params.name }}"', 'a quoted name'],
    ['-- {{ params.name }}\nSELECT 1', 'a comment'],
    ['/* {{ params.name }} */ SELECT 1', 'a comment'],
    ['SELECT $$ {{ params.name }} $$', 'a text literal'],
    ['SELECT $1 + {{ params.n }}', '$1 stands beside'],
    ['SELECT {{ params.n', 'without }}'],
  ])('%s is refused, because a bound value cannot stand there', (text, message) => {
    expect(sqlPieces(text)).toMatchObject({ problem: expect.stringContaining(message) as string });
    expect(() => program.bind(text, scope)).toThrow(message);
    const yaml = `- { id: a, sql: { query: ${JSON.stringify(text)} } }`;
    expect(() => compiled(yaml)).toThrow(message);
  });

  test('is checked at submit like every expression', () => {
    const yaml = '- { id: a, sql: { query: "SELECT {{ prams.n }}" } }';
    expect(() => compiled(yaml)).toThrow('unknown name "prams"');
  });
});

describe('the expressions of a task', () => {
  const tasks = `- { id: a, value: { value: 1 } }
- { id: b, needs: a, when: "params.on && tasks.a.output.rows.size() > 0" }
- { id: c, needs: [a, b], trigger: all_done, forEach: "tasks.a.output.rows" }
- { id: d, needs: c, forEach: [1, "{{ params.name }}"], branch: "params.n > 0 ? 'e' : ['e', 'f']" }
- { id: e, needs: d }
- { id: f, needs: [d, c] }
- { id: g, needs: [e, f], teardown: a }`;

  test('see the run', () => {
    const [, b, c, d] = compiled(tasks).tasks;
    expect(b?.when?.(scope)).toBe(true);
    expect(compiled(tasks, { on: false }).tasks[1]?.when?.(scope)).toBe(false);
    expect(c?.forEach?.from).toEqual(['a']);
    expect(c?.forEach?.items(scope)).toEqual([{ id: 7 }]);
    expect(d?.forEach?.from).toEqual([]);
    expect(d?.forEach?.items(scope)).toEqual([1, 'a']);
    expect(d?.branch?.(scope)).toEqual(['e']);
    expect(compiled(tasks, { n: 0 }).tasks[3]?.branch?.(scope)).toEqual(['e', 'f']);
  });

  test('that fail say which one it is', () => {
    const [, b, c] = compiled(tasks).tasks;
    const empty = { ...scope, tasks: { a: { state: 'failed', output: null } } };
    expect(() => b?.when?.(empty)).toThrow('when "params.on && tasks.a.output.rows.size() > 0"');
    const text = { ...scope, tasks: { a: { state: 'success', output: { rows: 'none' } } } };
    expect(() => c?.forEach?.items(text)).toThrow('forEach "tasks.a.output.rows" gives a string');
  });

  test('a branch may use the output of its own task', () => {
    const own = `- { id: a, branch: "tasks.a.output ? 'b' : 'c'", value: { value: true } }
- { id: b, needs: a }
- { id: c, needs: a }`;
    const done = { ...scope, tasks: { a: { state: 'success', output: false } } };
    expect(compiled(own).tasks[0]?.branch?.(done)).toEqual(['c']);
    expect(() => compiled(own.replace('branch:', 'when:'))).toThrow('not done before');
  });

  test('the graph is there as indexes, and the leaves are the last ordinary tasks', () => {
    const program_ = compiled(tasks);
    expect(program_.tasks.map(({ needs }) => needs)).toEqual([
      [],
      [0],
      [0, 1],
      [2],
      [3],
      [2, 3],
      [4, 5],
    ]);
    expect(program_.tasks.map(({ dependents }) => dependents)).toEqual([
      [1, 2],
      [2],
      [3, 5],
      [4, 5],
      [6],
      [6],
      [],
    ]);
    const leaves = program_.tasks.filter(({ isLeaf }) => isLeaf);
    expect(leaves.map(({ definition }) => definition.id)).toEqual(['e', 'f']);
  });
});

test('a program for a thousand tasks is small work', () => {
  const tasks = Array.from({ length: 1000 }, (_, n) =>
    n === 0
      ? '- { id: t0, value: { value: 0 } }'
      : `- { id: t${n}, needs: t${n - 1}, value: { value: "{{ tasks.t${n - 1}.output + 1 }}" } }`,
  );
  expect(compiled(tasks.join('\n')).tasks).toHaveLength(1000);
});
