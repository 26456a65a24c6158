/** The small languages inside documents, and what is made of documents. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson, contentHash } from '@runnel/shared/definitions/canonical-json.ts';
import { effectiveParameters, sampleParameters } from '@runnel/shared/definitions/parameters.ts';
import { parsePath, pathText } from '@runnel/shared/definitions/path.ts';
import { parseSelector, selectorMatches } from '@runnel/shared/definitions/selector.ts';
import { sizeOf } from '@runnel/shared/definitions/size.ts';
import { parseTemplate, renderTopic, type Template } from '@runnel/shared/definitions/template.ts';
import type { Output } from '@runnel/shared/engine/record.ts';
import { durationOf, durationText } from '@runnel/shared/expressions/duration-text.ts';
import { nearest } from '@runnel/shared/expressions/suggest.ts';
import { epochMs } from '@runnel/shared/ids.ts';

describe('durations and sizes', () => {
  test.each([
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
    ['250ms', 250],
    ['0.5s', 500],
    ['2w', 1_209_600_000],
    ['5min', 300_000],
    ['1y', 31_536_000_000],
    ['1mo', undefined],
    ['1M', undefined],
    ['10', undefined],
    ['10 s', undefined],
    ['1s1s', undefined],
    ['s', undefined],
    ['', undefined],
    ['1e3s', undefined],
    ['99999999999999999d', undefined],
  ])('%s is %s ms', (text, ms) => {
    expect(durationOf(text)).toBe(ms);
  });

  test('the text of a duration reads back the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
        expect(durationOf(durationText(ms))).toBe(ms);
      }),
    );
  });

  test.each([
    ['64MiB', 67_108_864],
    ['1.5KiB', 1536],
    ['10kB', 10_000],
    ['7B', 7],
    ['64', undefined],
    ['64MIB', undefined],
    ['64M', undefined],
  ])('%s is %s bytes', (text, bytes) => {
    expect(sizeOf(text)).toBe(bytes);
  });
});

describe('canonical JSON', () => {
  test('does not depend on the order of keys, and reads back the same', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(contentHash(reversed(value))).toBe(contentHash(value));
      }),
    );
  });

  test('refuses what JSON cannot hold', () => {
    for (const value of [Number.NaN, Infinity, 1n, () => 1, [undefined]]) {
      expect(() => canonicalJson(value)).toThrow('cannot stand in JSON');
    }
  });

  function reversed(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, item]) => [key, reversed(item)] as const);
    return Object.fromEntries(entries.reverse());
  }
});

test('a path reads back from its text', () => {
  const key = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('steps', 'a-b', 'x"]y'));
  fc.assert(
    fc.property(fc.array(fc.oneof(key, fc.nat({ max: 999 }))), (path) => {
      expect(parsePath(pathText(path))).toEqual(path);
    }),
  );
});

describe('selectors', () => {
  const labels = new Map([
    ['site', 'lyon'],
    ['role', 'press'],
  ]);

  test.each([
    ['', true],
    ['site=lyon', true],
    ['site == lyon , role = press', true],
    ['site=turin', false],
    ['site!=turin', true],
    ['floor!=2', true],
    ['site in (lyon, turin),role=press', true],
    ['site notin (lyon)', false],
    ['role', true],
    ['!role', false],
    ['!floor', true],
    ['site=lyon and role=press', true],
    ['site in (lyon, turin) AND !floor and role', true],
    ['site=lyon and role=oven', false],
    ['and!=1', true],
  ])('%s holds: %s', (text, holds) => {
    const selector = parseSelector(text);
    expect('terms' in selector && selectorMatches(selector, labels)).toBe(holds);
  });

  test.each(['site in ()', 'a=b)', '(a=b', 'a b', ',', 'a=b=c', '-a', 'a in b', 'a and and b'])(
    '%s is refused with an example',
    (text) => {
      expect(parseSelector(text)).toHaveProperty('hint');
    },
  );
});

describe('parameters', () => {
  const declared = {
    limit: { type: 'number', default: 0.8, min: 0 },
    hold: { type: 'duration', default: '30s' },
    line: { type: 'string' },
  } as const;

  test('what is given stands over the defaults; durations become milliseconds', () => {
    expect(effectiveParameters(declared, { line: 'a', limit: 2 })).toEqual({
      values: { limit: 2, hold: 30_000, line: 'a' },
      issues: [],
    });
  });

  test('a missing, an unknown and a wrong value are all told', () => {
    const { issues } = effectiveParameters(declared, { limti: 1, limit: -1 });
    expect(issues.map(({ path, message }) => [path, message])).toEqual([
      ['parameters.limti', 'is not declared by the job'],
      ['parameters.limit', '-1 is less than 0'],
      ['parameters.line', 'has no value'],
    ]);
  });

  test('samples have the declared types, so that a job can be checked before any device', () => {
    expect(sampleParameters(declared)).toEqual({ limit: 0.8, hold: 30_000, line: '' });
  });
});

describe('topics with values', () => {
  const output = (over: Partial<Output>): Output => ({
    step: 'alert',
    key: 'm1',
    windowStart: epochMs(0),
    windowEnd: epochMs(10),
    time: epochMs(9),
    revision: 1,
    value: { machine: 'm2', n: 3 },
    at: epochMs(20),
    ...over,
  });
  const render = (text: string, over: Partial<Output> = {}) =>
    renderTopic(parseTemplate(text) as Template, output(over), 'job-a');

  test('stand where they are named', () => {
    expect(render('press/{{key}}/lamp')).toBe('press/m1/lamp');
    expect(render('{{job}}/{{ step }}/{{value.machine}}/{{value.n}}/{{windowEnd}}')).toBe(
      'job-a/alert/m2/3/10',
    );
  });

  test('a value stays one level and holds no wildcard', () => {
    expect(render('press/{{key}}/lamp', { key: '1/stop/#+\0' })).toBe('press/1_stop____/lamp');
  });

  test('a value that is missing, null or no plain one is an error, not a topic', () => {
    expect(() => render('a/{{key}}', { key: null })).toThrow('{{key}} is null');
    expect(() => render('a/{{value.toString}}')).toThrow('missing');
    expect(() => render('a/{{value}}')).toThrow('not a plain value');
    expect(() => render('{{key}}', { key: '' })).toThrow('empty');
  });

  test("a value makes no topic of the broker's own, or that ends connections", () => {
    const own = { key: '$CONTROL', value: { b: 'dynamic-security', c: 'v1' } };
    expect(() => render('{{key}}/{{value.b}}/{{value.c}}', own)).toThrow("broker's own");
    expect(render('a/{{key}}', { key: '$x' })).toBe('a/$x');
    for (const key of ['a\nb', '\u007f', '\u0085', '\uffff', '\ufdd0', '\u{1fffe}', '\ud800']) {
      expect(() => render('t/{{key}}', { key }), JSON.stringify(key)).toThrow('character');
    }
    expect(() => render('t/{{key}}', { key: 'é'.repeat(33_000) })).toThrow('65,535 bytes');
    expect(render('t/{{key}}', { key: 'x'.repeat(65_533) })).toHaveLength(65_535);
  });
});

test('suggestions forgive case, separators, swaps and beginnings, and make nothing up', () => {
  const names = ['maxAhead', 'idleTimeout', 'time', 'warning'];
  expect(nearest('max_ahead', names)).toBe('maxAhead');
  expect(nearest('maxAehad', names)).toBe('maxAhead');
  expect(nearest('tiem', names)).toBe('time');
  expect(nearest('warn', names)).toBe('warning');
  expect(nearest('colour', names)).toBeUndefined();
});
