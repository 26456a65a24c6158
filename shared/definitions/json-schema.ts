/**
 * JSON Schemas inside of documents: of parameters and of tasks' outputs. Read by zod; what zod
 * cannot read is refused with the keyword at fault, because a keyword that is ignored checks
 * nothing.
 */
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import type { Path } from './path.ts';
import { pathText } from './path.ts';

export interface SchemaProblem {
  /** Inside of the schema. */
  readonly path: Path;
  readonly problem: string;
  readonly hint: string;
}

const HINT =
  'JSON Schema 2020-12, for example { type: object, properties: { n: { type: number } } }';

/** A schema that checks values, or what is wrong with it. */
export function readJsonSchema(schema: unknown): { readonly check: z.ZodType } | SchemaProblem {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    return { path: [], problem: 'is no JSON Schema', hint: HINT };
  }
  try {
    return { check: z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema) };
  } catch (error) {
    return { path: [], problem: `is no JSON Schema: ${messageOf(error)}`, hint: HINT };
  }
}

/** What is wrong with a value, with the place inside of it; undefined when it passes. */
export function schemaProblem(check: z.ZodType, value: unknown): string | undefined {
  const result = check.safeParse(value);
  if (result.success) return undefined;
  const [issue] = result.error.issues;
  const path = (issue?.path ?? []).map((key) => (typeof key === 'symbol' ? '?' : key));
  const where = path.length === 0 ? '' : `${pathText(path)}: `;
  return `${where}${lowerFirst(issue?.message ?? 'does not meet the schema')}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
