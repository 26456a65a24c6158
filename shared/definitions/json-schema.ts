/**
 * JSON Schemas (2020-12) inside of documents: of parameters, of rows and of tasks' outputs.
 *
 * What would check nothing is refused with the keyword at fault: a keyword that nobody knows, one
 * that says something of another type than the schema's, a bound that is no number, a pattern or a
 * format that is none, a reference to nothing. Checked by `@cfworker/json-schema`, which reads the
 * schema as it goes: a compiler of schemas would need `eval`, and zod's own reading of JSON Schema
 * passes by keywords that stand beside others (`required` without `properties`, `type` beside
 * `enum`, `minItems` without `items`).
 */
import { format as FORMATS, Validator } from '@cfworker/json-schema';
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
  'readOnly writeOnly type enum const anyOf oneOf allOf not';

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

/** Keywords by what their value has to be. */
const SHAPES: readonly (readonly [string[], (value: unknown) => boolean, string])[] = [
  [words('minimum maximum exclusiveMinimum exclusiveMaximum'), isNumber, 'a number'],
  [['multipleOf'], (value) => isNumber(value) && value > 0, 'a number above 0'],
  [
    words(
      'minLength maxLength minItems maxItems minContains maxContains minProperties maxProperties',
    ),
    (value) => Number.isInteger(value) && Number(value) >= 0,
    'a whole number',
  ],
  [words('required'), isListOf((each) => typeof each === 'string'), 'a list of names'],
  [words('enum'), isListOf(() => true), 'a list of values'],
  [words('anyOf oneOf allOf prefixItems'), isListOf(isSchema), 'a list of schemas'],
  [words('not items contains additionalProperties propertyNames'), isSchema, 'a schema'],
  [
    words('properties patternProperties $defs definitions'),
    (value) => isMap(value) && Object.values(value).every(isSchema),
    'a map of schemas',
  ],
  [['uniqueItems'], (value) => typeof value === 'boolean', 'true or false'],
  [['pattern'], isPattern, 'a regular expression'],
  [
    ['patternProperties'],
    (value) => Object.keys(value as Values).every(isPattern),
    'a map by regular expressions',
  ],
  [
    ['format'],
    (value) => typeof value === 'string' && Object.hasOwn(FORMATS, value),
    `one of ${Object.keys(FORMATS).join(', ')}`,
  ],
];

/** What is wrong with a value, with the place inside of it; undefined when it passes. */
export type SchemaCheck = (value: unknown) => string | undefined;

const read = new WeakMap<object, { readonly check: SchemaCheck } | SchemaProblem>();

/** A schema that checks values, or what is wrong with it. */
export function readJsonSchema(schema: unknown): { readonly check: SchemaCheck } | SchemaProblem {
  if (!isMap(schema)) return { path: [], problem: 'is no JSON Schema', hint: HINT };
  let result = read.get(schema);
  if (result === undefined) {
    result = keywordProblem(schema, [], schema) ?? { check: checkOf(schema) };
    read.set(schema, result);
  }
  return result;
}

function checkOf(schema: Values): SchemaCheck {
  const validator = new Validator(schema, '2020-12');
  return (value) => {
    const { valid, errors } = validator.validate(value);
    if (valid) return undefined;
    // The last one is the innermost: those before it say that something inside is wrong.
    const error = errors.at(-1);
    const message = (error?.error ?? 'does not meet the schema').replace(/\.$/, '');
    const where = placeOf(error?.instanceLocation ?? '#');
    return `${where}${message.charAt(0).toLowerCase()}${message.slice(1)}`;
  };
}

/** `#/1/id` as `[1].id: `. */
function placeOf(location: string): string {
  const names = location.split('/').slice(1).map(unescaped);
  const path = names.map((name) => (/^\d+$/.test(name) ? Number(name) : name));
  return path.length === 0 ? '' : `${pathText(path)}: `;
}

function unescaped(name: string): string {
  return decodeURIComponent(name).replaceAll('~1', '/').replaceAll('~0', '~');
}

function keywordProblem(schema: Values, path: Path, root: Values): SchemaProblem | undefined {
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
    const problem = shapeProblem(keyword, schema[keyword], root);
    if (problem !== undefined) return { path: at, problem, hint: HINT };
  }
  for (const [inner, at] of innerSchemas(schema, path)) {
    const problem = keywordProblem(inner, at, root);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function shapeProblem(keyword: string, value: unknown, root: Values): string | undefined {
  if (keyword === '$ref') return refProblem(value, root);
  for (const [keywords, fits, what] of SHAPES) {
    if (!keywords.includes(keyword) || fits(value)) continue;
    return `cannot be checked: ${wordFor(value)} is not ${what}`;
  }
  return undefined;
}

/** Within the schema alone: there is nothing else that it could mean here. */
function refProblem(ref: unknown, root: Values): string | undefined {
  if (typeof ref === 'string' && /^#(\/|$)/.test(ref)) {
    let at: unknown = root;
    for (const name of ref.split('/').slice(1)) {
      at = isMap(at) || Array.isArray(at) ? (at as Values)[unescaped(name)] : undefined;
    }
    if (isSchema(at)) return undefined;
  }
  return `cannot be checked: ${wordFor(ref)} is no schema in here, as "#/$defs/name" would be`;
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

function isSchema(value: unknown): boolean {
  return isMap(value) || typeof value === 'boolean';
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isListOf(fits: (each: unknown) => boolean): (value: unknown) => boolean {
  return (value) => Array.isArray(value) && value.every(fits);
}

function isPattern(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  try {
    return new RegExp(text, 'u') instanceof RegExp;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
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
