/**
 * JSON Schemas inside of documents: of parameters and of tasks' outputs. Read by zod; what it
 * cannot read is refused with the keyword at fault, and so is a keyword that nobody knows or that
 * says something of another type than the schema's: a keyword that is ignored checks nothing.
 */
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { nearest } from '../expressions/suggest.ts';
import { type Path, pathText } from './path.ts';
import { wordFor } from './strict.ts';

export interface SchemaProblem {
  /** Inside of the schema. */
  readonly path: Path;
  readonly problem: string;
  readonly hint: string;
}

type Values = Readonly<Record<string, unknown>>;

const HINT = 'JSON Schema, for example { type: object, properties: { n: { type: number } } }';
const TYPES = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'];
const ANNOTATIONS =
  '$schema $id $comment $ref $defs definitions title description default examples deprecated ' +
  'readOnly writeOnly type enum const anyOf oneOf allOf not nullable';

/** Keywords that say something of values of one type, and nothing of others. */
const OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  object: words(
    'properties required additionalProperties patternProperties propertyNames minProperties ' +
      'maxProperties',
  ),
  array: words('items prefixItems minItems maxItems uniqueItems contains minContains maxContains'),
  string: words('minLength maxLength pattern format'),
  number: words('minimum maximum exclusiveMinimum exclusiveMaximum multipleOf'),
};
const KNOWN = [...words(ANNOTATIONS), ...Object.values(OF_TYPE).flat()];

/** Where schemas are in a schema: itself, in a list, or under names. */
const INNER = words('not items contains additionalProperties propertyNames');
const INNER_LISTS = words('anyOf oneOf allOf prefixItems');
const INNER_MAPS = words('properties patternProperties $defs definitions');

function words(text: string): string[] {
  return text.split(' ');
}

const read = new WeakMap<object, { readonly check: z.ZodType } | SchemaProblem>();

/** A schema that checks values, or what is wrong with it. */
export function readJsonSchema(schema: unknown): { readonly check: z.ZodType } | SchemaProblem {
  if (!isMap(schema)) return { path: [], problem: 'is no JSON Schema', hint: HINT };
  let result = read.get(schema);
  if (result === undefined) {
    result = keywordProblem(schema, []) ?? converted(schema);
    read.set(schema, result);
  }
  return result;
}

function converted(schema: Values): { readonly check: z.ZodType } | SchemaProblem {
  try {
    return { check: z.fromJSONSchema(schema) };
  } catch (error) {
    return { path: [], problem: `cannot be checked: ${messageOf(error)}`, hint: HINT };
  }
}

function keywordProblem(schema: Values, path: Path): SchemaProblem | undefined {
  const types = [schema['type'] ?? []].flat();
  for (const type of types) {
    if (TYPES.some((known) => known === type)) continue;
    const hint = `one of ${TYPES.join(', ')}`;
    return { path: [...path, 'type'], problem: `${wordFor(type)} is no type`, hint };
  }
  for (const keyword of Object.keys(schema)) {
    const at = [...path, keyword];
    if (!KNOWN.includes(keyword)) {
      const near = nearest(keyword, KNOWN);
      const hint = near === undefined ? `it would check nothing` : `did you mean "${near}"?`;
      return { path: at, problem: `the keyword "${keyword}" is not supported`, hint };
    }
    const of = Object.keys(OF_TYPE).find((type) => OF_TYPE[type]?.includes(keyword));
    const fits =
      types.some((type) => type === of) || (of === 'number' && types.includes('integer'));
    if (of !== undefined && !fits) {
      const problem = `"${keyword}" checks nothing without type: ${of}`;
      return { path: at, problem, hint: `add type: ${of} beside it` };
    }
  }
  for (const [inner, at] of innerSchemas(schema, path)) {
    const problem = keywordProblem(inner, at);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function innerSchemas(schema: Values, path: Path): (readonly [Values, Path])[] {
  const found: (readonly [unknown, Path])[] = INNER.map((key) => [schema[key], [...path, key]]);
  for (const key of INNER_LISTS) {
    const list: unknown = schema[key];
    if (!Array.isArray(list)) continue;
    for (const [index, each] of list.entries()) found.push([each, [...path, key, index]]);
  }
  for (const key of INNER_MAPS) {
    const map = schema[key];
    if (!isMap(map)) continue;
    for (const [name, each] of Object.entries(map)) found.push([each, [...path, key, name]]);
  }
  return found.flatMap(([inner, at]) => (isMap(inner) ? [[inner, at] as const] : []));
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is wrong with a value, with the place inside of it; undefined when it passes. */
export function schemaProblem(check: z.ZodType, value: unknown): string | undefined {
  const result = check.safeParse(value);
  if (result.success) return undefined;
  const [issue] = result.error.issues;
  const path = (issue?.path ?? []).map((key) => (typeof key === 'symbol' ? '?' : key));
  const where = path.length === 0 ? '' : `${pathText(path)}: `;
  const message = issue?.message ?? 'does not meet the schema';
  return `${where}${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/** A plausible value: what the schema itself names, else the least of its type. */
export function sampleOfSchema(schema: unknown): unknown {
  if (!isMap(schema)) return null;
  const { type, examples, anyOf, oneOf } = schema;
  const named = [schema['default'], firstOf(examples), schema['const'], firstOf(schema['enum'])];
  const known = named.find((value) => value !== undefined);
  if (known !== undefined) return known;
  switch (firstOf(type) ?? type) {
    case 'number':
    case 'integer':
      return schema['minimum'] ?? schema['maximum'] ?? 1;
    case 'string':
      return 'x'.repeat(Math.min(Number(schema['minLength'] ?? 0), 1000));
    case 'boolean':
      return true;
    case 'array': {
      const length = Math.min(Number(schema['minItems'] ?? 0), 1000);
      return Array.from({ length }, () => sampleOfSchema(schema['items']));
    }
    case 'object':
      return sampleObject(schema);
    default:
      return sampleOfSchema(firstOf(anyOf) ?? firstOf(oneOf));
  }
}

function sampleObject(schema: Values): Values {
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  const properties = isMap(schema['properties']) ? schema['properties'] : {};
  return Object.fromEntries(
    required.map((name) => [String(name), sampleOfSchema(properties[String(name)])]),
  );
}

function firstOf(list: unknown): unknown {
  return Array.isArray(list) ? (list as unknown[])[0] : undefined;
}
