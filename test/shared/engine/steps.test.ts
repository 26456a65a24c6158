/** Bounds, errors and corners of the steps that golden cases do not show. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareKeyTexts, keyOfText, keyText } from '@runnel/shared/engine/key.ts';
import { KeyTimers } from '@runnel/shared/engine/key-timers.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { compileYaml, feed, jobYaml, run } from '../../support/engine.ts';

function issuesOf(steps: string, source = ''): string[] {
  try {
    compileYaml(jobYaml(steps, source));
  } catch (error) {
    if (error instanceof DefinitionError) {
      return error.issues.map(({ path, message, hint }) => `${path}: ${message} (${hint ?? ''})`);
    }
    throw error;
  }
  return [];
}

function values(steps: string, lines: readonly unknown[], source = ''): unknown[] {
  return run(compileYaml(jobYaml(steps, source)), feed('in', lines)).outputs.map(
    (output) => output.value,
  );
}

test('a new key beyond the bound is dropped and counted', () => {
  const lines = Array.from({ length: limits.keysPerStepMax + 5 }, (_, index) => ({
    time: 0,
    payload: { k: index },
  }));
  const yaml = jobYaml(
    '- window: { tumbling: 10s, by: "payload.k" }\n  aggregate: { n: "count()" }',
  );
  const result = run(compileYaml(yaml), feed('in', lines));
  expect(result.counters.dropped).toEqual({ keys_max: 5 });
  expect(result.outputs).toHaveLength(limits.keysPerStepMax);
});

test('a record that would open too many windows of a key is dropped and counted', () => {
  const lines = Array.from({ length: limits.windowsPerKeyMax + 3 }, (_, index) => ({
    time: index * 10,
    payload: {},
  }));
  for (const window of ['tumbling: 10ms', 'session: { gap: 5ms }']) {
    const yaml = jobYaml(
      `- window: { ${window} }\n  aggregate: { n: "count()" }`,
      'maxOutOfOrderness: 1d',
    );
    const result = run(compileYaml(yaml), feed('in', lines));
    expect(result.counters.dropped, window).toEqual({ windows_max: 3 });
    expect(result.outputs, window).toHaveLength(limits.windowsPerKeyMax);
  }
});

test('a window takes exactly one kind, and sizes that make sense', () => {
  const window = (config: string): string[] =>
    issuesOf(`- window: ${config}\n  aggregate: { n: "count()" }`);
  expect(window('{}').join()).toContain('exactly one of tumbling, hopping, session');
  expect(window('{ tumbling: 1s, session: { gap: 1s } }').join()).toContain('exactly one');
  expect(window('{ hopping: { size: 10s, every: 20s } }').join()).toContain('must not exceed');
  expect(window('{ hopping: { size: 10s, every: 1ms } }').join()).toContain('10000 panes');
  expect(window('{ tumbling: { size: 24h, timezone: Europe/Paris } }').join()).toContain(
    'calendar',
  );
  expect(window('{ tumbling: { size: 1d, timezone: Mars/Base } }').join()).toContain(
    'no time zone',
  );
  expect(window('{ tumbling: { size: 10s, offset: 10s } }').join()).toContain('shorter than');
  expect(window('{ session: { gap: 10s, max: 5s } }').join()).toContain('must exceed the gap');
  expect(window('{ tumbling: fast }').join()).toContain('no window size');
  expect(window('{ tumbling: 10s, bye: "x" }').join()).toContain('bye');
});

test('every mistake of a job is found at once, with its place', () => {
  const issues = issuesOf(
    [
      '- filter: "payload.v +"',
      '- window: { tumbling: 10s, by: "nonsense" }',
      '  aggregate: { key: "count()", a: "avg(1, 2)", b: "sum(avg(payload.v))", c: "payload.v" }',
      '- alert: { when: "wrong > 1" }',
    ].join('\n'),
  ).join('\n');
  for (const wanted of [
    'steps[0].filter',
    'steps[1].window.by',
    'steps[1].aggregate.key',
    'steps[1].aggregate.a: avg takes 1 argument, not 2',
    'steps[1].aggregate.b',
    'steps[1].aggregate.c: "payload.v" has no aggregate',
    'steps[2].alert.when',
  ]) {
    expect(issues).toContain(wanted);
  }
});

test('a window over a window that can be revised is refused', () => {
  const steps = [
    '- id: a',
    '  window: { tumbling: 10s, allowedLateness: 1s }',
    '  aggregate: { n: "count()" }',
    '- filter: "n > 0"',
    '- window: { tumbling: 1m }',
    '  aggregate: { n: "sum(n)" }',
  ].join('\n');
  expect(issuesOf(steps).join()).toContain('would count once per revision');
});

test('columns combine aggregates, and one without a value makes the column null', () => {
  const step =
    '- window: { tumbling: 10s }\n  aggregate: { span: "max(payload.v) - min(payload.v)", ' +
    'per: "sum(payload.v) / sum(payload.w)", scaled: "avg(payload.v) * params.k" }';
  const yaml = `${jobYaml(step)}\nparameters: { k: { type: number, default: 10 } }`;
  const result = run(
    compileYaml(yaml),
    feed('in', [
      { time: 0, payload: { v: 3, w: 0 } },
      { time: 1, payload: { v: 8, w: 0 } },
      { time: 10_000, payload: { v: null, w: 2 } },
    ]),
  );
  expect(result.outputs.map((output) => output.value)).toEqual([
    { span: 5, per: null, scaled: 55 },
    { span: null, per: null, scaled: null },
  ]);
});

test('a list of keys is a key, in outputs and in the order of firing', () => {
  const step =
    '- window: { tumbling: 10s, by: ["payload.a", "payload.b"] }\n  aggregate: { n: "count()" }';
  const lines = [
    { time: 0, payload: { a: 'x', b: 10 } },
    { time: 1, payload: { a: 'x', b: 9 } },
    { time: 2, payload: { a: 'w', b: true } },
  ];
  const { outputs } = run(compileYaml(jobYaml(step)), feed('in', lines));
  expect(outputs.map((output) => output.key)).toEqual([
    ['w', true],
    ['x', 9],
    ['x', 10],
  ]);
});

test('map works on fields in the order select, derive, rename, drop', () => {
  const lines = [{ time: 0, payload: { a: 1, b: 2, c: 3 } }];
  expect(values('- map: { rename: { a: b, b: a } }', lines)).toEqual([{ c: 3, b: 1, a: 2 }]);
  expect(
    values('- map: { select: [a, b], derive: { c: "payload.c * 2" }, drop: [b] }', lines),
  ).toEqual([{ a: 1, c: 6 }]);
  expect(values('- map: { select: [missing] }', lines)).toEqual([]);
  expect(values('- map: { drop: [a] }', [{ time: 0, payload: 'text' }])).toEqual([]);
});

test('an alert says nothing again while it fires, and an older record changes nothing', () => {
  const step = '- alert: { when: "payload.v > 1" }';
  const lines = [
    { time: 1000, payload: { v: 2 } },
    { time: 2000, payload: { v: 3 } },
    { time: 1500, payload: { v: 0 } },
    { time: 2000, payload: { v: 1, tie: true } },
    { time: 3000, payload: { v: 1 } },
  ];
  const outputs = run(compileYaml(jobYaml(step)), feed('in', lines)).outputs;
  expect(outputs.map(({ time, value }) => [time, value])).toEqual([
    [1000, { status: 'firing', severity: 'warning', v: 2 }],
    [2000, { status: 'resolved', severity: 'warning', v: 1, tie: true }],
  ]);
});

test('the status of an alert wins over such a field; a plain payload is its value', () => {
  const lines = [{ time: 0, payload: { status: 'hot', v: 2 } }];
  expect(values('- alert: { when: "payload.v > 1" }', lines)).toEqual([
    { status: 'firing', severity: 'warning', v: 2 },
  ]);
  expect(values('- alert: { when: "payload > 1" }', [{ time: 0, payload: 2 }])).toEqual([
    { status: 'firing', severity: 'warning', value: 2 },
  ]);
});

test('a whole source that never says anything is missed from the start', () => {
  const lines = [{ now: 1000 }, { now: 60_999 }, { now: 61_000 }, { now: 99_000 }];
  const { outputs } = run(compileYaml(jobYaml('- alert: { absence: 60s }')), feed('in', lines), {
    killAfter: () => true,
  });
  expect(outputs).toMatchObject([
    { key: null, time: 61_000, value: { status: 'firing', absent: true } },
  ]);
});

test('steps branch and join: each takes what from names', () => {
  const steps = [
    '- id: hot',
    '  filter: "payload.v > 10"',
    '- id: cold',
    '  from: in',
    '  filter: "payload.v < 0"',
    '- id: both',
    '  from: [hot, cold]',
    '  map: { select: { v: "payload.v" } }',
  ].join('\n');
  const lines = [11, 5, -1].map((v, time) => ({ time, payload: { v } }));
  expect(values(steps, lines)).toEqual([{ v: 11 }, { v: -1 }]);
});

test('a program names its state for version switches', () => {
  const yaml = jobYaml(
    '- filter: "true"\n- window: { tumbling: 10s }\n  aggregate: { n: "count()" }',
    'identity: "payload.id", watermarkPer: topic',
  );
  const steps = compileYaml(yaml).steps;
  expect(steps.map((step) => [step.stepId, step.stateVersion])).toEqual([
    ['$time', 1],
    ['$topics:in', 1],
    ['$identities:in', 1],
    ['filter', 0],
    ['window', 1],
  ]);
});

test('keys and their texts are one to one, and ordered by type and value', () => {
  const keys = fc.oneof(
    fc.string(),
    fc.string().map((text) => `\u0001${text}`),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.oneof(fc.string(), fc.integer(), fc.boolean()), { maxLength: 3 }),
  );
  fc.assert(
    fc.property(keys, keys, keys, (a, b, c) => {
      for (const key of [a, b, c]) expect(keyOfText(keyText(key as Json))).toEqual(key);
      const [x, y, z] = [a, b, c].map((key) => keyText(key as Json)).sort(compareKeyTexts);
      expect(compareKeyTexts(x!, y!)).toBeLessThanOrEqual(0);
      expect(compareKeyTexts(x!, z!)).toBeLessThanOrEqual(0);
      expect(compareKeyTexts(x!, y!) === 0).toBe(x === y);
    }),
  );
  expect(['b', '\u0001[1]', '\u00012', '\u0001', 'a', '\u000110'].sort(compareKeyTexts)).toEqual([
    '\u0001',
    '\u00012',
    '\u000110',
    'a',
    'b',
    '\u0001[1]',
  ]);
});

test('timers pop in order of time, whatever was set, moved and deleted', () => {
  const change = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.integer({ max: 50 })));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
      const timers = new KeyTimers();
      const model = new Map<string, number>();
      for (const [key, due] of changes) {
        if (due === null) {
          timers.delete(key);
          model.delete(key);
        } else {
          timers.set(key, due);
          model.set(key, due);
        }
        expect(timers.earliestMs()).toBe(Math.min(Infinity, ...model.values()));
      }
      const popped: number[] = [];
      for (;;) {
        const key = timers.pop(Infinity);
        if (key === undefined) break;
        popped.push(model.get(key)!);
      }
      expect(popped).toEqual([...model.values()].sort((left, right) => left - right));
    }),
  );
});
