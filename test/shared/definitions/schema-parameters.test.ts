/** Parameters that a JSON Schema describes, and values from several layers. */
import { describe, expect, test } from 'vitest';
import { readJsonSchema } from '@runnel/shared/definitions/json-schema.ts';
import {
  effectiveParameters,
  effectiveParametersOf,
  sampleParameters,
} from '@runnel/shared/definitions/parameters.ts';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { DefinitionError, type DefinitionIssue } from '@runnel/shared/errors.ts';

const job = (kind: string, parameters: string): string =>
  `apiVersion: runnel/v1\nkind: ${kind}\nmetadata: { name: x }\nparameters: { ${parameters} }\n` +
  (kind === 'BatchJob'
    ? 'tasks: [{ id: a, value: { value: "{{ params }}" } }]\n'
    : 'sources: { a: { host: {} } }\nsteps: [{ filter: "true" }]\n');

function issuesOf(kind: string, parameters: string): readonly DefinitionIssue[] {
  try {
    parseJob(job(kind, parameters));
  } catch (error) {
    if (error instanceof DefinitionError) return error.issues;
    throw error;
  }
  return [];
}

const declared = parseJob(
  job(
    'StreamJob',
    'lines: { schema: { type: array, items: { type: object, required: [id], ' +
      'properties: { id: { type: string, minLength: 2 } } }, minItems: 1 } }, ' +
      'limit: { type: number, default: 5 }',
  ),
).job.parameters;

describe.each(['StreamJob', 'BatchJob'])('a parameter of a %s by schema', (kind) => {
  test('passes with a default that meets it', () => {
    expect(issuesOf(kind, 'p: { schema: { enum: [a, b] }, default: b }')).toEqual([]);
    expect(issuesOf(kind, 'p: { schema: { type: [string, "null"] }, default: null }')).toEqual([]);
  });

  test.each([
    ['p: { schema: { type: objct } }', 'p.schema.type', 'is no type'],
    ['p: { schema: { typ: object } }', 'p.schema.typ', 'did you mean "type"?'],
    ['p: { schema: { if: { type: string } } }', 'p.schema.if', '"if" is not supported'],
    ['p: { schema: { minItems: 1 } }', 'p.schema.minItems', 'add type: array'],
    ['p: { schema: { type: string, pattern: "(" } }', 'p.schema.pattern', 'cannot be checked'],
    ['p: { schema: { type: string, format: colour } }', 'p.schema.format', 'cannot be checked'],
    ['p: { schema: { type: array, minItems: two } }', 'p.schema.minItems', 'a whole number'],
    ['p: { schema: { type: object, required: a } }', 'p.schema.required', 'a list of names'],
    [
      'p: { schema: { type: object, properties: { a: { $ref: "#/x" } } } }',
      'p.schema.properties.a["$ref"]',
      'no schema in here',
    ],
    [
      'p: { schema: { type: object, properties: { a: { tpye: number } } } }',
      'p.schema.properties.a.tpye',
      'did you mean "type"?',
    ],
    ['p: { schema: text }', 'p.schema', 'is no JSON Schema'],
    ['p: { schema: { type: number }, type: number }', 'p', 'both type and schema'],
    ['p: { default: 1 }', 'p', 'neither type nor schema'],
    ['p: { schema: { type: number }, min: 1 }', 'p.min', 'minimum'],
    [
      'p: { schema: { type: array, items: { type: number } }, default: [1, x] }',
      'p.default',
      '[1]: ',
    ],
  ])('%s is refused', (parameters, path, message) => {
    const issues = issuesOf(kind, parameters);
    expect(issues, JSON.stringify(issues)).toHaveLength(1);
    expect(issues[0]?.path).toBe(`parameters.${path}`);
    expect(`${issues[0]?.message} ${issues[0]?.hint}`).toContain(message);
    expect(issues[0]?.line).toBe(4);
  });
});

describe('every keyword of a schema checks, whatever stands beside it', () => {
  test.each([
    [{ type: 'object', required: ['b'] }, { b: 1 }, { a: 1 }],
    [
      { type: 'object', properties: { a: { type: 'number' } }, required: ['b'] },
      { a: 1, b: null },
      { a: 1 },
    ],
    [{ type: 'array', minItems: 1 }, [1], []],
    [{ type: 'string', minLength: 3, enum: ['a', 'bbb'] }, 'bbb', 'a'],
    [{ type: 'number', enum: ['a', 1] }, 1, 'a'],
    [{ type: 'number', anyOf: [{ type: 'number', minimum: 3 }] }, 4, 1],
    [{ not: { type: 'string' } }, 1, 'a'],
    [{ $defs: { n: { type: 'number' } }, anyOf: [{ $ref: '#/$defs/n' }] }, 1, 'a'],
    [{ type: 'object', additionalProperties: false, properties: { a: {} } }, { a: 1 }, { b: 1 }],
  ])('%j', (schema, good, bad) => {
    const read = readJsonSchema(schema);
    const check = 'check' in read ? read.check : undefined;
    expect(check?.(good)).toBe(undefined);
    expect(check?.(bad)).toEqual(expect.any(String));
  });
});

describe('a value', () => {
  test('that does not meet the schema is told with its place inside', () => {
    const { issues } = effectiveParameters(declared, { lines: [{ id: 'a1' }, { id: 'x' }] });
    expect(issues).toHaveLength(1);
    expect(issues[0]?.path).toBe('parameters.lines');
    expect(issues[0]?.message).toContain('[1].id: ');
  });

  test('that meets it is taken as it is', () => {
    const lines = [{ id: 'a1', more: true }];
    expect(effectiveParameters(declared, { lines })).toEqual({
      values: { lines, limit: 5 },
      issues: [],
    });
  });

  test('to check a job with meets the schema', () => {
    const sample = sampleParameters(declared);
    expect(sample).toEqual({ lines: [{ id: 'xx' }], limit: 5 });
    expect(effectiveParameters(declared, sample).issues).toEqual([]);
  });
});

describe('layers', () => {
  const lines = [{ id: 'a1' }];

  test('the last one wins, and each value knows its own', () => {
    const layers = [
      { name: 'fleet', values: { limit: 1, lines: [{ id: 'zz' }] } },
      { name: 'label:site=lyon', values: { limit: 2 } },
      { name: 'device', values: { lines } },
    ];
    expect(effectiveParametersOf(declared, layers)).toEqual({
      values: { limit: 2, lines },
      origins: { limit: 'label:site=lyon', lines: 'device' },
      issues: [],
    });
    expect(effectiveParametersOf(declared, [layers[2]!]).origins.limit).toBe('default');
  });

  test('a mistake is told with its layer', () => {
    const { issues } = effectiveParametersOf(declared, [
      { name: 'fleet', values: { limti: 1 } },
      { name: 'run', values: { lines: [] } },
    ]);
    expect(issues.map(({ message }) => message)).toEqual([
      'is not declared by the job (from fleet)',
      expect.stringContaining('(from run)'),
    ]);
  });

  test('a wrong value under a right one is not looked at', () => {
    const layers = [
      { name: 'fleet', values: { limit: 'much', lines } },
      { name: 'run', values: { limit: 3 } },
    ];
    expect(effectiveParametersOf(declared, layers).issues).toEqual([]);
  });
});
