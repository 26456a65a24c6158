/**
 * Steps of a document, against the schemas of the operators.
 */
import { z } from 'zod';
import type { AnyOperator } from '../engine/operators/operator.ts';
import { operators } from '../engine/operators/registry.ts';
import type { DefinitionIssue } from '../errors.ts';
import { nearest } from '../expressions/suggest.ts';
import type { Path } from './path.ts';
import { LATE, name, type StepDefinition } from './stream-job.ts';
import { issueAt, parseAt, strict } from './strict.ts';

export const stepFields = {
  id: name
    .optional()
    .describe("Name of the step. Default: its operator's; a second one of that name needs an id."),
  from: z
    .union([name, z.array(name).min(1).max(32)], { error: 'must be a name or a list of names' })
    .optional()
    .describe(
      'What it takes: sources, earlier steps, or `late`. Default: the step before it; the first ' +
        'takes all sources. Example: `rms`.',
    ),
};

const byName = new Map(operators.map((operator) => [operator.name, operator]));

export function stepSchema(operator: AnyOperator): z.ZodObject {
  return strict({ ...stepFields, ...operator.shape });
}

/** `sources` are the aliases of the job's sources. */
export function parseSteps(
  input: unknown,
  sources: readonly string[],
  issues: DefinitionIssue[],
): StepDefinition[] {
  if (input === undefined) return [];
  const list = parseAt(z.array(z.unknown()).max(100), input, ['steps'], issues);
  if (list?.length === 0) issues.push(issueAt(['steps'], 'is empty: a job needs a step'));
  const steps: StepDefinition[] = [];
  /** Names of all steps so far, also of those that do not pass: one mistake, one error. */
  const known = new Set<string>();
  /** A step whose name cannot be told: it may be the one that a later step means. */
  let unsure = false;
  for (const [index, raw] of (list ?? []).entries()) {
    const path = ['steps', index];
    const step = parseStep(raw, path, issues);
    if (step === undefined) {
      const id = idOf(raw);
      if (id === undefined) unsure = true;
      else known.add(id);
      continue;
    }
    checkId(step.id, path, known, sources, issues);
    const previous = steps.at(-1)?.id;
    const from = step.from ?? (index === 0 || previous === undefined ? sources : [previous]);
    const at = { path: [...path, 'from'], known, sources, late: index > 0, unsure };
    checkFrom(from, at, issues);
    known.add(step.id);
    steps.push({ ...step, from });
  }
  return steps;
}

type RawStep = Omit<StepDefinition, 'from'> & { readonly from: readonly string[] | undefined };

function parseStep(raw: unknown, path: Path, issues: DefinitionIssue[]): RawStep | undefined {
  const record = parseAt(z.record(z.string(), z.unknown()), raw, path, issues);
  if (record === undefined) return undefined;
  const operator = operatorOf(record, path, issues);
  if (operator === undefined) return undefined;
  const parsed = parseAt(stepSchema(operator), record, path, issues);
  if (parsed === undefined) return undefined;
  const { id, from, ...config } = parsed as {
    id?: string;
    from?: string | string[];
  } & Record<string, unknown>;
  return {
    id: id ?? operator.name,
    from: typeof from === 'string' ? [from] : from,
    operator: operator.name,
    config,
    path,
  };
}

/** The operator whose name is among the keys; `window` may have keys that name no operator. */
function operatorOf(
  record: Readonly<Record<string, unknown>>,
  path: Path,
  issues: DefinitionIssue[],
): AnyOperator | undefined {
  const keys = Object.keys(record);
  const named = keys.flatMap((key) => byName.get(key) ?? []);
  const owner = named.find((operator) =>
    named.every((other) => other === operator || Object.hasOwn(operator.shape, other.name)),
  );
  if (owner !== undefined) return owner;
  const names = [...byName.keys()];
  if (named.length > 1) {
    const both = named.map((operator) => operator.name).join(' and ');
    issues.push(issueAt(path, `holds ${both}`, 'a step has one operator: make two steps of it'));
    return undefined;
  }
  const unknown = keys.filter((key) => !Object.hasOwn(stepFields, key));
  const near = unknown.map((key) => [key, nearest(key, names)] as const);
  const [key, guess] = near.find(([, candidate]) => candidate !== undefined) ?? [unknown[0]];
  issues.push(
    key === undefined
      ? issueAt(path, 'has no operator', `one of ${names.join(', ')}`)
      : issueAt(
          [...path, key],
          `unknown operator "${key}"`,
          guess === undefined ? `one of ${names.join(', ')}` : `did you mean "${guess}"?`,
        ),
  );
  return undefined;
}

function idOf(raw: unknown): string | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined;
  if ('id' in raw && typeof raw.id === 'string') return raw.id;
  return Object.keys(raw).find((key) => byName.has(key));
}

function checkId(
  id: string,
  path: Path,
  known: ReadonlySet<string>,
  sources: readonly string[],
  issues: DefinitionIssue[],
): void {
  if (id === LATE) issues.push(issueAt([...path, 'id'], '"late" names the late records'));
  if (sources.includes(id)) {
    issues.push(issueAt([...path, 'id'], `"${id}" is the name of a source`, 'choose another id'));
  }
  if (known.has(id)) {
    issues.push(issueAt(path, `a second step named "${id}"`, 'give it an id of its own'));
  }
}

interface Reachable {
  readonly path: Path;
  readonly known: ReadonlySet<string>;
  readonly sources: readonly string[];
  readonly late: boolean;
  readonly unsure: boolean;
}

function checkFrom(from: readonly string[], at: Reachable, issues: DefinitionIssue[]): void {
  for (const [index, wanted] of from.entries()) {
    if (from.indexOf(wanted) !== index) issues.push(issueAt(at.path, `"${wanted}" is there twice`));
    if (wanted === LATE && at.late) continue;
    if (at.unsure || at.known.has(wanted) || at.sources.includes(wanted)) continue;
    const names = [...at.known, ...at.sources, ...(at.late ? [LATE] : [])];
    const near = nearest(wanted, names);
    issues.push(
      issueAt(
        at.path,
        `no earlier step and no source is named "${wanted}"`,
        near === undefined ? `one of ${names.join(', ')}` : `did you mean "${near}"?`,
      ),
    );
  }
}
