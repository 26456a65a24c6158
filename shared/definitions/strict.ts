/**
 * Strict objects of job documents, and zod's issues in our words.
 *
 * An unknown key is an error with a suggestion, because a misspelt key that is ignored is the worst
 * kind of bug on a device far away. zod carries one text per issue, so a hint travels behind a line
 * feed in it.
 */
import { z } from 'zod';
import type { DefinitionIssue } from '../errors.ts';
import { nearest, suggestion } from '../expressions/suggest.ts';
import { knownKeys } from './known-keys.ts';
import { type Path, pathText } from './path.ts';

export type Fields = Readonly<Record<string, z.ZodType>>;

/** An object that refuses keys it does not know. */
export function strict<const Shape extends Fields>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape);
}

const schemas = new WeakMap<Fields, z.ZodObject>();

/**
 * The same, made once for the fields of a component: zod compiles an object when it first parses.
 */
export function strictOnce(fields: Fields): z.ZodObject {
  let schema = schemas.get(fields);
  if (schema === undefined) {
    schema = strict(fields);
    schemas.set(fields, schema);
  }
  return schema;
}

/** The text of an issue that has a hint. */
export function withHint(message: string, hint: string): string {
  return `${message}\n${hint}`;
}

/** A text field whose value is turned into another; `parse` throws the text of what is wrong. */
export function parsedText<T>(
  parse: (text: string) => T | { readonly problem: string; readonly hint: string },
  describe: { readonly description: string; readonly examples: readonly string[] },
): z.ZodPipe<z.ZodString, z.ZodTransform<Awaited<T>, string>> {
  return z
    .string()
    .transform((text, context): Awaited<T> => {
      const result = parse(text);
      if (isProblem(result)) {
        context.issues.push({
          code: 'custom',
          input: text,
          message: withHint(result.problem, result.hint),
        });
        return z.NEVER;
      }
      return result as Awaited<T>;
    })
    .meta({ description: describe.description, examples: [...describe.examples] });
}

function isProblem(value: unknown): value is { problem: string; hint: string } {
  return typeof value === 'object' && value !== null && 'problem' in value && 'hint' in value;
}

/** Parses `input` found at `path`; what is wrong is added to `issues`, and nothing is returned. */
export function parseAt<T>(
  schema: z.ZodType<T>,
  input: unknown,
  path: Path,
  issues: DefinitionIssue[],
): T | undefined {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    issues.push(...inOurWords(issue, { schema, input, base: path, within: [] }));
  }
  return undefined;
}

interface Site {
  readonly schema: z.ZodType;
  readonly input: unknown;
  /** Path of `input` in the document. */
  readonly base: Path;
  /** Path, inside of `input`, of the union whose branch the issue is about. */
  readonly within: Path;
}

function inOurWords(issue: z.core.$ZodIssue, site: Site): DefinitionIssue[] {
  const { schema, input, base } = site;
  const inner = [...site.within, ...issue.path.map((key) => (typeof key === 'symbol' ? '?' : key))];
  const path = [...base, ...inner];
  const [message = '', behind] = issue.message.split('\n');
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, inner);
    return issue.keys.map((key) =>
      issueAt([...path, key], `unknown key "${key}"`, suggestion(key, known)),
    );
  }
  if (issue.code === 'invalid_union' && message.startsWith('Invalid')) {
    return unionIssues(issue, { ...site, within: inner }, path);
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map((each) => {
      const [problem = '', hint] = each.message.split('\n');
      return issueAt(path, lowerFirst(problem), hint);
    });
  }
  const found = valueAt(input, inner);
  if (issue.code === 'invalid_type') {
    const expected = article(issue.expected);
    if (found === undefined) return [issueAt(path, `is missing: ${expected} is needed`)];
    return [issueAt(path, `must be ${expected}, not ${wordFor(found)}`)];
  }
  if (issue.code === 'invalid_value' && message.startsWith('Invalid')) {
    const names = issue.values.map(String);
    const wanted = names.length === 1 ? `${names[0]}` : `one of ${names.join(', ')}`;
    if (found === undefined) return [issueAt(path, `is missing: ${wanted}`)];
    const near = typeof found === 'string' ? nearest(found, names) : undefined;
    const hint = near === undefined ? undefined : `did you mean "${near}"?`;
    return [issueAt(path, `must be ${wanted}, not ${wordFor(found)}`, hint)];
  }
  return [issueAt(path, lowerFirst(message), behind)];
}

/**
 * The branch that is meant: one whose type fits, with the fewest mistakes. Where no type fits, what
 * the branches want.
 */
function unionIssues(
  issue: z.core.$ZodIssueInvalidUnion,
  site: Site,
  path: Path,
): DefinitionIssue[] {
  const fitting = issue.errors.filter(
    (errors) => !errors.some((each) => each.path.length === 0 && each.code === 'invalid_type'),
  );
  const [meant] = fitting.toSorted((left, right) => left.length - right.length);
  if (meant !== undefined) return meant.flatMap((each) => inOurWords(each, site));
  const wanted = issue.errors
    .flat()
    .flatMap((each) => (each.code === 'invalid_type' ? [article(each.expected)] : []));
  const found = valueAt(site.input, site.within);
  const expected = [...new Set(wanted)].join(' or ');
  if (found === undefined) return [issueAt(path, `is missing: ${expected} is needed`)];
  return [issueAt(path, `must be ${expected}, not ${wordFor(found)}`)];
}

export function issueAt(path: Path, message: string, hint?: string): DefinitionIssue {
  return { path: pathText(path), message, ...(hint === undefined ? {} : { hint }) };
}

/** What stands at a path; undefined where there is nothing. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

const WORDS: Readonly<Record<string, string>> = {
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
  string: 'a text',
  int: 'a whole number',
  boolean: 'true or false',
  number: 'a number',
  nonoptional: 'a value',
};

function article(expected: string): string {
  return WORDS[expected] ?? expected;
}

/** What was found, short enough for an error line. */
export function wordFor(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map of keys';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
