/**
 * The settings of one task with their templates compiled: rendered for an instance of the task, and
 * checked at submit with sample values.
 *
 * At submit a template whose value only a run knows (outputs, items, parameters that nothing has
 * set yet) stands for whatever its place wants: several plausible values are tried, and only what
 * is wrong with all of them counts, and nothing at the very place of the template. Of a parameter
 * that is a number or true or false at least the type is known: a place that takes none of these
 * is an issue.
 */
import type { Json } from '../engine/record.ts';
import { type DefinitionIssue, DefinitionError, RunnelError } from '../errors.ts';
import { isTemplate, RenderBudget, type Template } from './batch-template.ts';
import type { TaskScope } from './batch-program.ts';
import type { Path } from './path.ts';
import { pathText } from './path.ts';
import { issueAt, parseAt, strictOnce } from './strict.ts';
import type { TaskSpec } from './task-definition.ts';

/** What compiles the texts of a task; what is wrong becomes an issue, and nothing comes back. */
export interface TextCompiler {
  template(text: string, path: Path): Template | undefined;
  /** A text with bound values, which stays as it is. */
  bound(text: string, path: Path): void;
}

/** A tree of constants and templates. */
type Part =
  | { readonly kind: 'constant'; readonly value: Json }
  | { readonly kind: 'template'; readonly template: Template; readonly path: Path }
  | { readonly kind: 'list'; readonly items: readonly Part[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [string, Part])[] };

/** The facts about a task that its settings tell, as far as they are known at submit. */
export interface TaskFacts {
  readonly requires: readonly string[];
  readonly reads: readonly string[];
  readonly journals: readonly string[];
  readonly datasets: readonly string[];
}

export const NO_FACTS: TaskFacts = { requires: [], reads: [], journals: [], datasets: [] };

/** Stands for a text that only a run knows. */
const LATER = 'known-later';
const CANDIDATES: readonly Json[] = [LATER, 1, true, [LATER], [1], {}, [{}]];
/** Of numbers, for places with bounds of their own; not 0, which is a duration too. */
const NUMBERS: readonly Json[] = [1, 2, 0.5, 50, 1000, 5000, 1_000_000];
const BOOLEANS: readonly Json[] = [true, false];

/** Any JSON with templates in it: settings of a task, or the list of a `forEach`. */
export class JsonTemplate {
  readonly #root: Part;
  readonly #templates: { readonly template: Template; readonly path: Path }[] = [];
  readonly #raw: readonly string[];
  readonly #texts: TextCompiler;
  readonly #issues: DefinitionIssue[];

  constructor(
    value: Json,
    site: { readonly path: Path; readonly raw: readonly string[]; readonly texts: TextCompiler },
    issues: DefinitionIssue[],
  ) {
    this.#raw = site.raw;
    this.#texts = site.texts;
    this.#issues = issues;
    this.#root = this.#part(value, site.path, []);
  }

  get templates(): readonly { readonly template: Template; readonly path: Path }[] {
    return this.#templates;
  }

  render(scope: TaskScope): Json {
    const budget = new RenderBudget();
    return rendered(this.#root, (template) => template.render(scope, budget));
  }

  /** `unknown` gives what stands for a template at its path. */
  renderWith(unknown: (template: Template, path: Path) => Json): Json {
    return rendered(this.#root, unknown);
  }

  #part(value: Json, path: Path, inner: Path): Part {
    if (typeof value === 'string') return this.#text(value, path, inner);
    if (Array.isArray(value)) {
      const items = value.map((item, index) => this.#part(item, [...path, index], [...inner, '*']));
      if (items.every((item) => item.kind === 'constant')) return { kind: 'constant', value };
      return { kind: 'list', items };
    }
    if (typeof value !== 'object' || value === null) return { kind: 'constant', value };
    const entries = Object.entries(value).map(([key, each]) => {
      if (isTemplate(key)) {
        const hint = 'templates stand in values; put it into a list of { key, value }';
        this.#issues.push(issueAt([...path, key], 'has a template in a key', hint));
      }
      return [key, this.#part(each, [...path, key], [...inner, key])] as const;
    });
    if (entries.every(([, part]) => part.kind === 'constant')) return { kind: 'constant', value };
    return { kind: 'map', entries };
  }

  #text(text: string, path: Path, inner: Path): Part {
    const constant = { kind: 'constant', value: text } as const;
    if (!isTemplate(text)) return constant;
    if (this.#raw.some((pattern) => isWithin(inner, pattern))) {
      this.#texts.bound(text, path);
      return constant;
    }
    const template = this.#texts.template(text, path);
    if (template === undefined) return constant;
    this.#templates.push({ template, path });
    return { kind: 'template', template, path };
  }
}

/** `query`, `postgres.query`, `checks.*.sql`: the field itself and all that is in it. */
function isWithin(inner: Path, pattern: string): boolean {
  return pattern.split('.').every((key, index) => key === inner[index]);
}

function rendered(part: Part, value: (template: Template, path: Path) => Json): Json {
  switch (part.kind) {
    case 'constant':
      return part.value;
    case 'template':
      return value(part.template, part.path);
    case 'list':
      return part.items.map((item) => rendered(item, value));
    case 'map':
      return Object.fromEntries(part.entries.map(([key, each]) => [key, rendered(each, value)]));
  }
}

/** Settings rendered already, by the schema of their kind; undefined with issues. */
export function parseTaskConfig(
  spec: TaskSpec,
  config: Json,
  path: Path,
  issues: DefinitionIssue[],
): unknown {
  // `compact:` alone is null in YAML and means the defaults.
  const parsed = parseAt(strictOnce(spec.fields), config ?? {}, path, issues);
  if (parsed === undefined) return undefined;
  const problem = spec.problem?.(parsed as never);
  if (problem === undefined) return parsed;
  const [field, message] = problem;
  issues.push(issueAt([...path, ...field.split('.')], message));
  return undefined;
}

/** What only compiling finds, with sample parameters. */
function compileIssues(
  spec: TaskSpec,
  parsed: unknown,
  sample: Sample,
): readonly DefinitionIssue[] {
  if (parsed === undefined) return [];
  const found = spec.issues?.(parsed as never, sample.parameters) ?? [];
  return found.map(({ path, message, hint }) => issueAt([...sample.path, ...path], message, hint));
}

/** The same for an instance, where an issue is an error. */
export function taskConfigOf(spec: TaskSpec, config: Json, path: Path): unknown {
  const issues: DefinitionIssue[] = [];
  const parsed = parseTaskConfig(spec, config, path, issues);
  if (issues.length > 0) throw new DefinitionError(issues);
  return parsed;
}

interface Sample {
  readonly scope: TaskScope;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Of the settings. */
  readonly path: Path;
}

/** What can be known at submit to be wrong with the settings, and the facts that they tell. */
export function checkTaskConfig(
  spec: TaskSpec,
  config: JsonTemplate,
  sample: Sample,
  issues: DefinitionIssue[],
): TaskFacts {
  const known = knownValues(config, sample.scope, issues);
  const unknown = config.templates
    .map(({ path }) => pathText(path))
    .filter((path) => !known.has(path));
  const attempt = (candidate: (path: string) => Json): readonly [unknown, DefinitionIssue[]] => {
    const found: DefinitionIssue[] = [];
    const value = config.renderWith(({ isAlone }, path) => {
      const text = pathText(path);
      const fixed = known.get(text);
      if (fixed !== undefined) return fixed.value;
      return isAlone ? candidate(text) : LATER;
    });
    const parsed = parseTaskConfig(spec, value, sample.path, found);
    return [parsed, [...found, ...compileIssues(spec, parsed, sample)]];
  };
  if (unknown.length === 0) {
    const [parsed, found] = attempt(() => null);
    issues.push(...found);
    return factsOf(spec, parsed);
  }
  const trials = CANDIDATES.map((candidate) => attempt(() => candidate)[1]);
  const inAll = (trials[0] ?? []).filter(
    (issue) =>
      !unknown.some((path) => isAtOrUnder(issue.path, path)) &&
      trials.every((trial) => trial.some((other) => sameIssue(issue, other))),
  );
  const mistyped = config.templates.flatMap(({ template, path }) =>
    mistypedIssues(typedValues(template, sample.scope), pathText(path), attempt),
  );
  issues.push(...inAll, ...mistyped);
  if (inAll.length + mistyped.length > 0) return NO_FACTS;
  const fitting = (path: string): Json => {
    const at = trials.findIndex((trial) => !trial.some((issue) => isAtOrUnder(issue.path, path)));
    return CANDIDATES[at] ?? LATER;
  };
  return factsOf(spec, attempt(fitting)[0]);
}

/** What a parameter without a value may be, where its type says so much. */
function typedValues(template: Template, scope: TaskScope): readonly Json[] {
  if (!template.isAlone || !template.isTyped) return [];
  try {
    const value = template.render(scope, new RenderBudget());
    if (typeof value === 'number') return [value, ...NUMBERS];
    return typeof value === 'boolean' ? BOOLEANS : [];
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    // As below: it may fail on the sample value alone.
    return [];
  }
}

/** What is wrong at the path whichever of the values it has. */
function mistypedIssues(
  values: readonly Json[],
  path: string,
  attempt: (candidate: (path: string) => Json) => readonly [unknown, DefinitionIssue[]],
): readonly DefinitionIssue[] {
  let first: DefinitionIssue | undefined;
  for (const value of values) {
    const [, found] = attempt((at) => (at === path ? value : LATER));
    const issue = found.find((each) => each.path === path);
    if (issue === undefined) return [];
    first ??= issue;
  }
  return first === undefined ? [] : [first];
}

/** Values of the templates that are known at submit; one that fails there is an issue. */
function knownValues(
  config: JsonTemplate,
  scope: TaskScope,
  issues: DefinitionIssue[],
): ReadonlyMap<string, { readonly value: Json }> {
  const known = new Map<string, { readonly value: Json }>();
  for (const { template, path } of config.templates) {
    if (!template.isKnown) continue;
    try {
      known.set(pathText(path), { value: template.render(scope, new RenderBudget()) });
    } catch (error) {
      if (!(error instanceof RunnelError)) throw error;
      // An expression may fail on sample values alone: `1 / params.k`.
      if (error.fields['reason'] === undefined) {
        issues.push(issueAt(path, error.message, error.hint));
      }
    }
  }
  return known;
}

function isAtOrUnder(path: string, above: string): boolean {
  return path === above || path.startsWith(`${above}.`) || path.startsWith(`${above}[`);
}

function sameIssue(left: DefinitionIssue, right: DefinitionIssue): boolean {
  return left.path === right.path && left.message === right.message;
}

function factsOf(spec: TaskSpec, config: unknown): TaskFacts {
  if (config === undefined) return NO_FACTS;
  const known = (of: ((config: never) => readonly string[]) | undefined): readonly string[] =>
    [...new Set(of?.(config as never))].filter((fact) => !fact.includes(LATER));
  return {
    requires: known(spec.requires),
    reads: known(spec.reads),
    journals: known(spec.journals),
    datasets: known(spec.datasets),
  };
}
