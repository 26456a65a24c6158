/**
 * Parameters of a job: declared with a type, overridden from the outside (fleet, label, site,
 * device), and baked into the expressions as `params.name` when a job starts.
 */
import { z } from 'zod';
import type { DefinitionIssue } from '../errors.ts';
import { durationOf } from '../expressions/duration-text.ts';
import { suggestion } from '../expressions/suggest.ts';
import { issueAt, strict, withHint, wordFor } from './strict.ts';

export const PARAMETER_TYPES = ['number', 'string', 'boolean', 'duration', 'list', 'map'] as const;
export type ParameterType = (typeof PARAMETER_TYPES)[number];

const parameterFields = {
  type: z.enum(PARAMETER_TYPES).describe('Type of the value; a duration is used in milliseconds.'),
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
  readonly type: ParameterType;
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
      if (parameter.default === undefined) return;
      const checked = valueOf(parameter, parameter.default);
      if ('problem' in checked) {
        context.addIssue({
          code: 'custom',
          path: ['default'],
          message: withHint(checked.problem, `the parameter is a ${parameter.type}`),
        });
      }
    }),
  )
  .describe(
    'Values that can be set per label, site or device. ' +
      'Example: `{ limit: { type: number, default: 0.8 } }`.',
  );

type Checked = { readonly value: unknown } | { readonly problem: string };

/** The value as expressions see it: a duration becomes milliseconds. */
function valueOf(parameter: ParameterDefinition, given: unknown): Checked {
  const { type, min, max, values } = parameter;
  if (!isOfType(type, given)) return { problem: `${wordFor(given)} is no ${type}` };
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

function sampleOf(parameter: ParameterDefinition): unknown {
  switch (parameter.type) {
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
