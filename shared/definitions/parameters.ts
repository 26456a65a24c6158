/**
 * Parameters of a job: declared with a type or a JSON Schema, overridden from the outside (fleet,
 * label, site, device, run), and baked into the expressions as `params.name` when a job starts.
 */
import { z } from 'zod';
import type { DefinitionIssue } from '../errors.ts';
import { durationOf } from '../expressions/duration-text.ts';
import { suggestion } from '../expressions/suggest.ts';
import { readJsonSchema, sampleOfSchema } from './json-schema.ts';
import { parsePath, type Path } from './path.ts';
import { issueAt, strict, withHint, wordFor } from './strict.ts';

export const PARAMETER_TYPES = ['number', 'string', 'boolean', 'duration', 'list', 'map'] as const;
export type ParameterType = (typeof PARAMETER_TYPES)[number];

const parameterFields = {
  type: z
    .enum(PARAMETER_TYPES)
    .optional()
    .describe(
      'Type of the value; this or `schema` is needed. A duration is used in milliseconds: write ' +
        '`{{ params.hold }}ms` where a template stands for a duration.',
    ),
  schema: z
    .unknown()
    .optional()
    .describe(
      'JSON Schema that the value must meet, instead of a type. Example: ' +
        '`{ type: array, items: { type: string }, minItems: 1 }`.',
    ),
  default: z
    .unknown()
    .optional()
    .describe('Value where nothing overrides it; without one, every device must be given one.'),
  description: z.string().max(500).optional().describe('What it is for, for people.'),
  min: z.number().optional().describe('Least value of a number.'),
  max: z.number().optional().describe('Greatest value of a number.'),
  values: z.array(z.unknown()).min(1).optional().describe('The values that are allowed.'),
};

export interface ParameterDefinition {
  /** Undefined where there is a `schema`. */
  readonly type?: ParameterType | undefined;
  readonly schema?: unknown;
  readonly default?: unknown;
  readonly description?: string | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly values?: readonly unknown[] | undefined;
}

const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

export const parametersField = z
  .record(
    z.string().regex(PARAMETER_NAME, { error: 'is no name that an expression can hold' }),
    strict(parameterFields).superRefine((parameter, context) => {
      const issue = (path: Path, message: string): void =>
        context.addIssue({ code: 'custom', path: [...path], message });
      if (!isDeclared(parameter, issue) || parameter.default === undefined) return;
      const checked = valueOf(parameter, parameter.default);
      if (!('problem' in checked)) return;
      const { type } = parameter;
      const hint = type === undefined ? 'the default must meet the schema' : `a ${type} is needed`;
      issue(['default'], withHint(checked.problem, hint));
    }),
  )
  .describe(
    'Values that can be set per label, site or device. ' +
      'Example: `{ limit: { type: number, default: 0.8 } }`.',
  );

/** Whether it is told what values may be. */
function isDeclared(
  { type, schema, min, max }: ParameterDefinition,
  issue: (path: Path, message: string) => void,
): boolean {
  if ((type === undefined) === (schema === undefined)) {
    const what = type === undefined ? 'has neither type nor schema' : 'has both type and schema';
    issue([], withHint(what, 'one of them says what the value may be'));
    return false;
  }
  if (schema === undefined) return true;
  if (min !== undefined || max !== undefined) {
    const [field, keyword] = min === undefined ? ['max', 'maximum'] : ['min', 'minimum'];
    issue([field], withHint('stands beside schema', `write ${keyword} in the schema`));
  }
  const read = readJsonSchema(schema);
  if (!('problem' in read)) return true;
  issue(['schema', ...read.path], withHint(read.problem, read.hint));
  return false;
}

type Checked = { readonly value: unknown } | { readonly problem: string };

/** The value as expressions see it: a duration becomes milliseconds. */
function valueOf(parameter: ParameterDefinition, given: unknown): Checked {
  const { type, schema, min, max, values } = parameter;
  if (type !== undefined && !isOfType(type, given)) {
    return { problem: `${wordFor(given)} is no ${type}` };
  }
  if (schema !== undefined) {
    const read = readJsonSchema(schema);
    const problem = 'problem' in read ? read.problem : read.check(given);
    if (problem !== undefined) return { problem };
  }
  if (type === 'number') {
    const number = given as number;
    if (min !== undefined && number < min) return { problem: `${number} is less than ${min}` };
    if (max !== undefined && number > max) return { problem: `${number} is more than ${max}` };
  }
  if (values !== undefined && !values.includes(given)) {
    return { problem: `${wordFor(given)} is none of ${values.map(wordFor).join(', ')}` };
  }
  if (type === 'duration') return { value: durationOf(String(given)) };
  return { value: given };
}

function isOfType(type: ParameterType, value: unknown): boolean {
  switch (type) {
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'string':
    case 'boolean':
      return typeof value === type;
    case 'duration':
      return value === 0 || (typeof value === 'string' && durationOf(value) !== undefined);
    case 'list':
      return Array.isArray(value);
    case 'map':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
  }
}

export interface EffectiveParameters {
  readonly values: Readonly<Record<string, unknown>>;
  readonly issues: readonly DefinitionIssue[];
}

/**
 * The values that a job runs with: `given` over the defaults, checked and converted. A name that is
 * not declared, a value of the wrong type and a missing value are issues.
 */
export function effectiveParameters(
  declared: Readonly<Record<string, ParameterDefinition>>,
  given: Readonly<Record<string, unknown>> = {},
): EffectiveParameters {
  const values: Record<string, unknown> = {};
  const issues: DefinitionIssue[] = [];
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(declared, name)) continue;
    const hint = suggestion(name, Object.keys(declared));
    issues.push(issueAt(['parameters', name], 'is not declared by the job', hint));
  }
  for (const [name, parameter] of Object.entries(declared)) {
    const raw = Object.hasOwn(given, name) ? given[name] : parameter.default;
    if (raw === undefined) {
      issues.push(issueAt(['parameters', name], 'has no value', 'set it, or give it a default'));
      continue;
    }
    const checked = valueOf(parameter, raw);
    if ('problem' in checked) issues.push(issueAt(['parameters', name], checked.problem));
    else values[name] = checked.value;
  }
  return { values, issues };
}

/** Values from one place: `fleet`, `label:site=lyon`, `device`, `run`. */
export interface ParameterLayer {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface LayeredParameters extends EffectiveParameters {
  /** The layer that each value comes from, `default` for the job's own. */
  readonly origins: Readonly<Record<string, string>>;
}

/**
 * The values that a job runs with, of several layers: a later one wins. What is wrong in a layer is
 * told with its name; a value that is not used is not looked at.
 */
export function effectiveParametersOf(
  declared: Readonly<Record<string, ParameterDefinition>>,
  layers: readonly ParameterLayer[],
): LayeredParameters {
  const given: Record<string, unknown> = {};
  const from: Record<string, string> = {};
  for (const { name: layer, values } of layers) {
    for (const [name, value] of Object.entries(values)) {
      given[name] = value;
      from[name] = layer;
    }
  }
  const { values, issues } = effectiveParameters(declared, given);
  const origins = Object.fromEntries(
    Object.keys(values).map((name) => [name, from[name] ?? 'default']),
  );
  const named = issues.map((issue) => {
    const layer = from[String(parsePath(issue.path)[1])];
    return layer === undefined ? issue : { ...issue, message: `${issue.message} (from ${layer})` };
  });
  return { values, origins, issues: named };
}

/**
 * Values to check a job with before any device is known: the defaults, and for parameters without
 * one a plausible value of their type.
 */
export function sampleParameters(
  declared: Readonly<Record<string, ParameterDefinition>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(declared).map(([name, parameter]) => {
      const raw = parameter.default ?? parameter.values?.[0] ?? sampleOf(parameter);
      const checked = valueOf(parameter, raw);
      return [name, 'problem' in checked ? raw : checked.value];
    }),
  );
}

/** Names of those whose value is not known before a device or a run is. */
export function unsetParameters(
  declared: Readonly<Record<string, ParameterDefinition>>,
): ReadonlySet<string> {
  const unset = Object.entries(declared).filter(
    ([, { default: value, values }]) => value === undefined && values === undefined,
  );
  return new Set(unset.map(([name]) => name));
}

function sampleOf(parameter: ParameterDefinition): unknown {
  switch (parameter.type) {
    case undefined:
      return sampleOfSchema(parameter.schema);
    case 'number':
      return parameter.min ?? parameter.max ?? 1;
    case 'string':
      return '';
    case 'boolean':
      return true;
    case 'duration':
      return '1s';
    case 'list':
      return [];
    case 'map':
      return {};
  }
}
