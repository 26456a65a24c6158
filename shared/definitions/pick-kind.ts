/**
 * Parts of a document that are named by their kind: `{ mqtt: { … }, time: … }` is a source of kind
 * `mqtt`, `{ sql: { … }, needs: … }` a task of kind `sql`.
 */
import type { DefinitionIssue } from '../errors.ts';
import { suggestion } from '../expressions/suggest.ts';
import type { Path } from './path.ts';
import { type Fields, issueAt, parseAt, strictOnce } from './strict.ts';

export interface KindSpec {
  readonly kind: string;
  readonly fields: Fields;
  readonly problem?: (config: never) => readonly [field: string, message: string] | undefined;
}

export interface Picked<Spec> {
  readonly spec: Spec;
  readonly config: unknown;
  readonly rest: Readonly<Record<string, unknown>>;
}

interface PickSite {
  readonly path: Path;
  readonly what: string;
}

/** The one key that names a kind, its value, and the other keys, which must be known. */
export function pickKind<S extends KindSpec>(
  record: Readonly<Record<string, unknown>>,
  specs: readonly S[],
  common: readonly string[],
  at: PickSite,
  issues: DefinitionIssue[],
): Picked<S> | undefined {
  const picked = pickOptionalKind(record, specs, common, at, issues);
  if (picked === undefined) return undefined;
  const { spec } = picked;
  if (spec !== undefined) return { ...picked, spec };
  const kinds = specs.map(({ kind }) => kind).join(', ');
  issues.push(issueAt(at.path, `the ${at.what} has no kind`, `one of ${kinds}`));
  return undefined;
}

/** The same where nothing but the common keys is enough. */
export function pickOptionalKind<S extends KindSpec>(
  record: Readonly<Record<string, unknown>>,
  specs: readonly S[],
  common: readonly string[],
  at: PickSite,
  issues: DefinitionIssue[],
): Picked<S | undefined> | undefined {
  const kinds = specs.map((spec) => spec.kind);
  const keys = Object.keys(record);
  const named = keys.filter((key) => kinds.includes(key));
  const unknown = keys.filter((key) => !kinds.includes(key) && !common.includes(key));
  for (const key of unknown) {
    const names = named.length > 0 ? common : [...kinds, ...common];
    issues.push(issueAt([...at.path, key], `unknown key "${key}"`, suggestion(key, names)));
  }
  const [kind] = named;
  if (kind === undefined && unknown.length > 0) return undefined;
  if (named.length > 1) {
    const message = `the ${at.what} holds ${named.join(' and ')}`;
    issues.push(issueAt(at.path, message, `one of ${kinds.join(', ')}`));
    return undefined;
  }
  const rest = Object.fromEntries(Object.entries(record).filter(([key]) => common.includes(key)));
  const spec = specs.find((candidate) => candidate.kind === kind);
  return { spec, config: kind === undefined ? null : record[kind], rest };
}

export function parseConfig(
  spec: KindSpec,
  input: unknown,
  path: Path,
  issues: DefinitionIssue[],
): unknown {
  // `host:` and `alerts:` alone are null in YAML and mean the defaults.
  const config = parseAt(strictOnce(spec.fields), input ?? {}, path, issues);
  if (config === undefined) return undefined;
  const problem = spec.problem?.(config as never);
  if (problem === undefined) return config;
  issues.push(issueAt([...path, problem[0]], problem[1]));
  return undefined;
}
