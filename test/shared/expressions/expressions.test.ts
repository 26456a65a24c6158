/** What an expression gives, what it refuses at submit, and how it fails on a record. */
import { describe, expect, test } from 'vitest';
import { compileExpression } from '@runnel/shared/expressions/compile-expression.ts';
import {
  EXPRESSION_REASONS,
  ExpressionError,
  ExpressionSyntaxError,
  type Shape,
  type ValueType,
} from '@runnel/shared/expressions/expression.ts';
import { functions } from '@runnel/shared/expressions/functions.ts';
import { MACROS } from '@runnel/shared/expressions/macros.ts';
import { limits } from '@runnel/shared/limits.ts';
import { subject } from './subject.ts';

const RECORD: Shape = { kind: 'record' };
const parameters = { limit: 0.8, pattern: '^press/', zero: 0, names: ['x'] };

function evaluate(source: string, payload: unknown = {}): unknown {
  return compileExpression(source, { shape: RECORD, parameters }).evaluate(subject(payload));
}

function reasonOf(source: string, payload: unknown = {}): string {
  try {
    evaluate(source, payload);
  } catch (error) {
    if (error instanceof ExpressionError) return error.reason;
    throw error;
  }
  return 'none';
}

function refusal(
  source: string,
  shape: Shape = RECORD,
  expects?: ValueType,
): ExpressionSyntaxError {
  const options = { shape, parameters, ...(expects === undefined ? {} : { expects }) };
  try {
    compileExpression(source, options);
  } catch (error) {
    if (error instanceof ExpressionSyntaxError) return error;
    throw error;
  }
  throw new Error(`${source} compiled`);
}

describe('numbers', () => {
  test.each([
    ['payload.t + 1', { t: 1.5 }, 2.5],
    ['payload.n % 10', { n: 21 }, 1],
    ['-7 % 3', {}, -1],
    ['payload.n == 1', { n: 1 }, true],
    ['payload.n == 1.0', { n: 1 }, true],
    ['payload.n > 1', { n: 2 }, true],
    ['1 / 2', {}, 0.5],
    ['payload.n / 2', { n: 5 }, 2.5],
    ['3u + 1', {}, 4],
    ['0x10', {}, 16],
    ['int(payload.t) + 1', { t: 2.9 }, 3],
    ['int("42")', {}, 42],
    ['double("1.5e2")', {}, 150],
    ['round(-2.5)', {}, -3],
    ['round(2.5)', {}, 3],
    ['floor(-2.5)', {}, -3],
    ['pow(2, 10)', {}, 1024],
    ['min(3, payload.n, 2)', { n: 1 }, 1],
    ['max(payload.list)', { list: [1, 5, 3] }, 5],
    ['-payload.n', { n: 0 }, 0],
    ['9007199254740991', {}, Number.MAX_SAFE_INTEGER],
  ])('%s is a plain number', (source, payload, wanted) => {
    expect(evaluate(source, payload)).toBe(wanted);
  });

  test('a whole number that a double cannot hold is refused at submit', () => {
    const refused = refusal('payload.id == 9007199254740993');
    expect(refused.message).toContain('2^53');
    expect(refused.hint).toContain('9007199254740993.0');
  });

  test.each([
    ['payload.n / 0', 'divide_by_zero'],
    ['payload.n % 0', 'divide_by_zero'],
    ['payload.n * 1e308', 'not_finite'],
    ['sqrt(-1.0 * payload.n)', 'not_finite'],
    ['double("NaN")', 'bad_format'],
    ['int("1.5")', 'bad_format'],
    ['max(payload.empty)', 'out_of_range'],
  ])('%s fails instead of giving NaN or infinity', (source, reason) => {
    expect(reasonOf(source, { n: 10, empty: [] })).toBe(reason);
  });
});

describe('a division by zero', () => {
  test.each([
    ['payload.n % 0', 'payload.n % 0 divides by zero'],
    ['payload.n / payload.d', 'payload.d is 0 in payload.n / payload.d'],
  ])('of %s says what it divides', (source, message) => {
    expect(() => evaluate(source, { n: 1, d: 0 })).toThrow(message);
  });
});

describe('missing, null and wrong values', () => {
  test.each([
    ['payload.missing', {}, 'missing_key'],
    ['payload.a.b', { a: {} }, 'missing_key'],
    ['payload.a.b', { a: null }, 'null_value'],
    ['payload.a.b', { a: 1 }, 'wrong_type'],
    ['payload.a', null, 'null_value'],
    ['payload.a', [1], 'wrong_type'],
    ['payload.a', 'text', 'wrong_type'],
    ['payload.a + 1', { a: null }, 'null_value'],
    ['payload.a > 1', { a: null }, 'null_value'],
    ['payload.a > 1', { a: '2' }, 'wrong_type'],
    ['payload.a < payload.b', { a: 'x', b: 1 }, 'wrong_type'],
    ['payload.a + 1', { a: 'x' }, 'wrong_type'],
    ['!payload.a', { a: 1 }, 'wrong_type'],
    ['payload.a ? 1 : 2', { a: 'yes' }, 'wrong_type'],
    ['payload.a[3]', { a: [1] }, 'out_of_range'],
    ['payload.a[-1]', { a: [1] }, 'out_of_range'],
    ['payload.a[0.5]', { a: [1] }, 'out_of_range'],
    ['payload.a["0"]', { a: [1] }, 'wrong_type'],
    ['payload.a.startsWith("x")', { a: 1 }, 'wrong_type'],
    ['timestamp(payload.a)', { a: 'soon' }, 'bad_format'],
    ['duration(payload.a)', { a: '10 parsecs' }, 'bad_format'],
  ])('%s on %j fails as such', (source, payload, reason) => {
    expect(reasonOf(source, payload)).toBe(reason);
    expect(EXPRESSION_REASONS).toContain(reason);
  });

  test('a null that is there can be compared and handed on', () => {
    expect(evaluate('payload.a == null', { a: null })).toBe(true);
    expect(evaluate('payload.a', { a: null })).toBeNull();
    expect(evaluate('has(payload.a)', { a: null })).toBe(true);
    expect(evaluate('has(payload.b)', { a: null })).toBe(false);
  });

  test('values of different types are not equal, which is no error', () => {
    expect(evaluate('payload.a == "1"', { a: 1 })).toBe(false);
    expect(evaluate('payload.a != "1"', { a: 1 })).toBe(true);
    expect(evaluate('1 == "1"')).toBe(false);
    expect(evaluate('payload.a == {"x": [1, 2]}', { a: { x: [1, 2] } })).toBe(true);
  });

  test('the message names the piece of the expression', () => {
    expect(() => evaluate('payload.a.b * 2', { a: { b: null } })).toThrow(
      'payload.a.b is null, where a number is needed',
    );
  });
});

describe('only own properties exist', () => {
  test.each(['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'length', 'map', 'at'])(
    'payload.%s is a missing key',
    (name) => {
      expect(reasonOf(`payload.${name}`)).toBe('missing_key');
      expect(evaluate(`has(payload.${name})`)).toBe(false);
      expect(evaluate(`"${name}" in payload`)).toBe(false);
      expect(evaluate(`payload.${name}`, { [name]: 7 })).toBe(7);
    },
  );

  test('__proto__ is a key like any other, and never the prototype', () => {
    expect(reasonOf('payload["__proto__"]')).toBe('missing_key');
    expect(evaluate('payload["__proto__"]', JSON.parse('{"__proto__": 5}'))).toBe(5);
    expect(reasonOf('payload["__proto__"]["toString"]')).toBe('missing_key');
    expect(refusal('{"__proto__": 1}').message).toContain('__proto__');
  });

  test('lists and texts have no fields', () => {
    expect(reasonOf('payload.a.length', { a: [1] })).toBe('wrong_type');
    expect(reasonOf('payload.a.length', { a: 'x' })).toBe('wrong_type');
  });
});

describe('logic', () => {
  test('the side that decides absorbs the failure of the other, in either order', () => {
    const payload = { yes: true, no: false };
    expect(evaluate('payload.missing > 1 || payload.yes', payload)).toBe(true);
    expect(evaluate('payload.yes || payload.missing > 1', payload)).toBe(true);
    expect(evaluate('payload.missing > 1 && payload.no', payload)).toBe(false);
    expect(evaluate('payload.no && payload.missing > 1', payload)).toBe(false);
    expect(reasonOf('payload.missing > 1 || payload.no', payload)).toBe('missing_key');
    expect(reasonOf('payload.yes && payload.missing > 1', payload)).toBe('missing_key');
  });

  test('only the branch taken is evaluated', () => {
    expect(evaluate('has(payload.a) ? payload.a : 0')).toBe(0);
    expect(evaluate('params.zero == 0 ? 0 : 1 / params.zero')).toBe(0);
  });
});

describe('macros', () => {
  const payload = { list: [1, 2, 3, 'x'], map: { a: 1, b: 2 } };

  test('all and exists absorb what another element decides', () => {
    expect(evaluate('payload.list.exists(v, v > 2)', payload)).toBe(true);
    expect(evaluate('payload.list.all(v, v < 2)', payload)).toBe(false);
    expect(reasonOf('payload.list.all(v, v < 9)', payload)).toBe('wrong_type');
    expect(reasonOf('payload.list.exists_one(v, v == 1 || v > 5)', payload)).toBe('wrong_type');
  });

  test('they go over the keys of a map', () => {
    expect(evaluate('payload.map.map(k, payload.map[k])', payload)).toEqual([1, 2]);
    expect(evaluate('payload.map.filter(k, k != "a")', payload)).toEqual(['b']);
  });

  test('an inner variable hides an outer one, and what it hides comes back', () => {
    expect(evaluate('[1, 2].map(v, [10].map(v, v)[0] + v)')).toEqual([11, 12]);
    expect(evaluate('[1, 2].map(payload, payload + 1)')).toEqual([2, 3]);
  });

  test('map takes a condition too', () => {
    expect(evaluate('payload.list.map(v, type(v) == "number", v * 2)', payload)).toEqual([2, 4, 6]);
  });
});

describe('times', () => {
  test('are epoch milliseconds, durations are milliseconds', () => {
    expect(evaluate("timestamp('1970-01-01T00:00:01Z')")).toBe(1000);
    expect(evaluate("timestamp('2026-03-29 03:00:00.5+02:00')")).toBe(1_774_746_000_500);
    expect(evaluate("duration('1h30m')")).toBe(5_400_000);
    expect(evaluate("time - 1000 == 0 && time < duration('10s')")).toBe(true);
    expect(evaluate("time.getHours('Europe/Paris')")).toBe(1);
    expect(evaluate('time.getDayOfWeek()')).toBe(4);
  });

  test('a time without an offset, a wrong zone and a wrong duration are refused at submit', () => {
    expect(refusal("timestamp('2026-01-01T00:00:00')").message).toContain('offset');
    expect(refusal("time.getHours('Mars/Olympus')").message).toContain('time zone');
    expect(refusal("duration('ten')").message).toContain('duration');
  });
});

describe('what is known at submit', () => {
  const row: Shape = { kind: 'row', columns: { p95: 'number', machine: 'string', n: 'number' } };

  test.each([
    ['payloda.x', 'did you mean "payload"?'],
    ['status == 1', 'payload.status'],
    ['params.limt', 'did you mean "limit"?'],
    ['topic.startWith("x")', 'did you mean startsWith()?'],
    ['payload.x = 1', 'write =='],
    ['payload.x & payload.y', '&&'],
    ['payload.x and payload.y', '&&'],
    ['avg(payload.x) > 1', 'aggregate:'],
    ['limit > 1', 'params.limit'],
    ['startsWith(topic, "x")', 'topic.startsWith'],
    ['topic.abs()', 'abs('],
  ])('%s is refused with a hint', (source, hint) => {
    expect(refusal(source).hint).toContain(hint);
  });

  test.each([
    ['topic + 1', '"+" does not take'],
    ['topic > 1', '">" does not take'],
    ['topic && true', 'must be a bool'],
    ['-topic', 'negated'],
    ['topic.a', 'has no .a'],
    ['time.a', 'has no .a'],
    ['1 in topic', '"in" needs'],
    ['[1, 2]["a"]', 'must be a number'],
    ['topic.map(v, v)', 'needs a list'],
    ['payload.list.map(v + 1, v)', 'names the element'],
    ['payload.list.all(v)', 'two arguments'],
    ['size()', 'does not take 0 arguments'],
    ['topic.matches("(")', 'missing closing'],
    ['topic.matches("(?=x)")', 'invalid'],
    ['has(payload)', 'takes a field'],
    ['payload.?a', ''],
    ['', 'empty'],
    ['payload.a ==', 'ends too early'],
  ])('%s is refused', (source, message) => {
    expect(refusal(source).message).toContain(message);
  });

  test('the position is that of the mistake', () => {
    const { start, end } = refusal('payload.a > 1 && params.limt > 2');
    expect('payload.a > 1 && params.limt > 2'.slice(start, end)).toBe('params.limt');
  });

  test('after an aggregation only its columns, the key and the window exist', () => {
    const options = { shape: row, parameters };
    const after = compileExpression('p95 > params.limit && key == machine', options);
    const record = subject({ p95: 0.9, machine: 'm1', n: 3 }, { key: 'm1', windowEnd: 10 });
    expect(after.evaluate(record)).toBe(true);
    expect(after.type).toBe('bool');
    expect(compileExpression('windowEnd - n', options).evaluate(record)).toBe(7);
    expect(refusal('payload.rms', row).hint).toContain('p95');
    expect(refusal('p59 > 1', row).hint).toContain('did you mean "p95"?');
    expect(refusal('machine > 1', row).message).toContain('does not take');
  });

  test('what must be a condition is not a number', () => {
    expect(refusal('payload.a + 1', RECORD, 'bool').message).toContain('where a bool is needed');
    expect(refusal('p95', row, 'bool').hint).toContain('compare it');
    expect(compileExpression('payload.a', { shape: RECORD, expects: 'bool' }).type).toBe('dyn');
  });

  test('parameters are baked in as constants, and what is made of them too', () => {
    const expression = compileExpression('params.limit * 2', { shape: RECORD, parameters });
    expect(expression.constant).toEqual({ value: 1.6 });
    expect(compileExpression('payload.a', { shape: RECORD }).constant).toBeUndefined();
    expect(evaluate('topic.matches(params.pattern)')).toBe(true);
    expect(evaluate('"x" in params.names')).toBe(true);
  });
});

describe('bounds', () => {
  test('characters, parts and depth are bounded at submit', () => {
    expect(refusal(`"${'x'.repeat(limits.expressionCharsMax)}"`).message).toContain('characters');
    expect(refusal(Array(limits.expressionNodesMax).fill('1').join('+')).message).toContain(
      'parts',
    );
    expect(refusal(`${'('.repeat(300)}1${')'.repeat(300)}`).message).toContain('nested');
  });

  test('nested macros over a large list end at the cost bound', () => {
    const list = Array.from({ length: 1000 }, (_, index) => index);
    const nested = 'payload.l.all(a, payload.l.all(b, a + b >= 0))';
    expect(reasonOf(nested, { l: list })).toBe('cost_exceeded');
    expect(reasonOf(`${nested} || true`, { l: list })).toBe('cost_exceeded');
    expect(evaluate(nested, { l: list.slice(0, 50) })).toBe(true);
  });

  test('each evaluation has the whole bound for itself', () => {
    const expression = compileExpression('payload.l.all(a, a >= 0)', { shape: RECORD });
    const record = subject({ l: Array.from({ length: 3000 }, () => 1) });
    for (let round = 0; round < 20; round += 1) expect(expression.evaluate(record)).toBe(true);
  });

  test('a replacement that would grow without bound is refused before it is made', () => {
    const text = 'a'.repeat(20_000);
    expect(reasonOf('payload.t.replace("a", payload.t)', { t: text })).toBe('too_large');
    expect(reasonOf('payload.t + payload.t', { t: 'a'.repeat(600_000) })).toBe('too_large');
  });

  test('a pattern that would take a backtracking engine for ever is quick', () => {
    const text = `${'a'.repeat(5000)}!`;
    expect(evaluate('payload.t.matches("^(a+)+$")', { t: text })).toBe(false);
    expect(reasonOf('payload.t.matches("x")', { t: 'a'.repeat(900_000) })).toBe('cost_exceeded');
  });

  test('a pattern from a record is checked like one from a document', () => {
    expect(evaluate('topic.matches(payload.p)', { p: 'vib' })).toBe(true);
    expect(reasonOf('topic.matches(payload.p)', { p: '(' })).toBe('bad_format');
  });
});

describe('texts', () => {
  test.each([
    ['size("h\u00e9llo")', 5],
    ['size("a\u{1F600}b")', 3],
    ['"a\u{1F600}b".substring(1, 2)', '\u{1F600}'],
    ['"a\u{1F600}b".indexOf("b")', 2],
    ['"a,b,c".split(",")', ['a', 'b', 'c']],
    ['"a,b,c".split(",", 2)', ['a', 'b,c']],
    ['["a", "b"].join("-")', 'a-b'],
    ['"a.b.c".replace(".", "/")', 'a/b/c'],
    ['" x ".trim()', 'x'],
    ['"\u00c4bC".lowerAscii()', '\u00c4bc'],
    ['"ab".upperAscii()', 'AB'],
    ['"n=" + string(1.0)', 'n=1'],
    ['string(b"hi")', 'hi'],
    ['size({"a": 1})', 1],
    ['bool("true")', true],
  ])('%s', (source, wanted) => {
    expect(evaluate(source)).toEqual(wanted);
  });
});

test('the example of every function and macro compiles', () => {
  for (const { name, example } of [...functions, ...Object.values(MACROS)].map((spec) => ({
    name: 'name' in spec ? spec.name : spec.example,
    example: spec.example,
  }))) {
    const shape: Shape = example.includes('window')
      ? { kind: 'row', columns: {} }
      : { kind: 'record' };
    expect(() => compileExpression(example, { shape }), name).not.toThrow();
  }
});
