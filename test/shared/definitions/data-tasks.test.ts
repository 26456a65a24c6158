/** Settings of the tasks on data: what is refused at submit, and where it is said to be. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { DefinitionIssue } from '@runnel/shared/errors.ts';
import { parseAt, strict } from '@runnel/shared/definitions/strict.ts';
import { tasks } from '@runnel/shared/definitions/tasks/registry.ts';
import { pathText } from '@runnel/shared/definitions/path.ts';

const KINDS = ['transform', 'quality', 'rollup', 'purge', 'compact'];

/** `path: message` of all that is wrong with settings. */
function wrong(kind: string, yaml: string): string[] {
  const spec = tasks.find((each) => each.kind === kind)!;
  const issues: DefinitionIssue[] = [];
  const config = parseAt(strict(spec.fields), parse(yaml), [], issues);
  if (config === undefined) return issues.map(({ path, message }) => `${path}: ${message}`);
  const problem = spec.problem?.(config as never);
  if (problem !== undefined) return [problem.join(': ')];
  const found = spec.issues?.(config as never, { limit: 1 }) ?? [];
  return found.map(({ path, message }) => `${pathText(path)}: ${message}`);
}

describe('settings of tasks on data', () => {
  for (const spec of tasks.filter(({ kind }) => KINDS.includes(kind))) {
    for (const example of spec.examples) {
      it(`${spec.kind} takes its example: ${example.title}`, () => {
        const list = parse(example.yaml) as Readonly<Record<string, unknown>>[];
        for (const task of list) {
          expect(wrong(spec.kind, JSON.stringify(task[spec.kind]))).toEqual([]);
        }
      });
    }
  }

  const refused: readonly [kind: string, yaml: string, issues: readonly string[]][] = [
    [
      'transform',
      'steps: [{ filter: "true" }]',
      ['input: is missing: one of input, journal, dataset is needed'],
    ],
    [
      'transform',
      '{ journal: a, input: b, steps: [{ filter: "true" }] }',
      ['journal: stands beside input: only one of input, journal, dataset'],
    ],
    [
      'transform',
      '{ journal: r, steps: [{ filter: "payload.x >" }, { fliter: x }], from: nope, time: "a +" }',
      ['time: the expression ends too early', 'steps[1].fliter: unknown operator "fliter"'],
    ],
    [
      'transform',
      '{ journal: r, steps: [{ filter: "payload.x > params.nope" }] }',
      ['steps[0].filter: unknown parameter "nope"'],
    ],
    [
      'transform',
      '{ journal: r, steps: [{ filter: "payload.x > params.limit" }], from: filtre }',
      ['from: no step is named "filtre"'],
    ],
    [
      'quality',
      '{ input: d, checks: [{ rowCount: { min: 1 }, severity: drop }] }',
      ['checks[0].severity: rowCount judges the whole table, of which no row can be left out'],
    ],
    [
      'quality',
      '{ input: d, checks: [{ notNul: a }, { severity: warn }] }',
      [
        'checks[0].notNul: unknown key "notNul"',
        'checks[0]: the item has no check',
        'checks[1]: the item has no check',
      ],
    ],
    [
      'quality',
      '{ input: d, checks: [{ notNull: a }, { notNull: a }] }',
      ['checks[1]: a second check called "notNull a": give it a name of its own'],
    ],
    [
      'quality',
      '{ input: d, checks: [{ expression: "row.a < rw.b" }, { anomaly: { measure: "avg(x +)" }}] }',
      [
        'checks[0].expression: unknown name "rw"',
        'checks[1].anomaly.measure: the expression ends too early',
      ],
    ],
    [
      'rollup',
      '{ journal: r, period: 1d, aggregate: { rms: "mean(rms)", _time: "count()" }, dataset: d }',
      [
        'aggregate._time: "_time" is a column of the rollup already',
        'aggregate.rms: "mean(rms)" has no aggregate',
      ],
    ],
    [
      'rollup',
      '{ from: d, period: 1h, timezone: UTC, aggregate: { n: "count()" }, dataset: e }',
      ['timezone: needs a calendar period: 1d, 1w or 1mo (24h is a fixed length)'],
    ],
    [
      'rollup',
      '{ from: d, period: 1h, aggregate: { n: "count()" }, dataset: d }',
      ['dataset: is the one that is read: give it a name of its own'],
    ],
    [
      'purge',
      'dataset: d',
      ['olderThan: is missing: one of olderThan, keep, archivedBy says what goes'],
    ],
    [
      'purge',
      '{ files: "a/*", archivedBy: a }',
      ['archivedBy: goes with dataset or journal: it says what may go of the original'],
    ],
    ['compact', 'now: true', ['now: unknown key "now"']],
  ];
  for (const [kind, yaml, issues] of refused) {
    it(`${kind} refuses ${yaml}`, () => {
      expect(wrong(kind, yaml)).toEqual(issues);
    });
  }
});
