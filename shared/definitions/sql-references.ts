/**
 * Where a query takes its rows from: `journal('readings')`, `dataset('hourly-rms')`,
 * `task('daily')`, `file('in/limits.csv')` in the place of a table.
 *
 * Found by their shape alone, in code, not in literals, quoted names or comments: each is replaced
 * by the name of a table before DuckDB sees the query, so nothing else needs to be understood of
 * the language. The name is a literal, because what a job reads must be known when it comes.
 */
import { eventTimeOf } from '../engine/event-time.ts';
import type { Json } from '../engine/record.ts';
import { endOfExpression, type TemplateProblem } from './batch-template.ts';
import { endOfPlace } from './sql-binding.ts';

export const REFERENCE_KINDS = ['journal', 'dataset', 'task', 'file'] as const;
export type ReferenceKind = (typeof REFERENCE_KINDS)[number];

export interface SqlReference {
  readonly kind: ReferenceKind;
  readonly name: string;
  /** Texts of the arguments behind the name. */
  readonly args: readonly string[];
  /** `[start, end)` in the query. */
  readonly start: number;
  readonly end: number;
}

/** A reference of a query whose values are bound. */
export interface BoundReference {
  readonly kind: ReferenceKind;
  readonly name: string;
  /** The table that stands for it in the query. */
  readonly table: string;
  /** Of `journal('x', from, to)`; null where there is none. */
  readonly fromMs: number | null;
  readonly toMs: number | null;
}

export interface BoundQuery {
  readonly query: string;
  readonly values: readonly Json[];
  readonly references: readonly BoundReference[];
}

const WORD = /[A-Za-z_]\w*/y;
const OPEN = /\s*\(/y;
const ARGUMENTS_MAX: Readonly<Record<ReferenceKind, number>> = {
  journal: 3,
  dataset: 1,
  task: 1,
  file: 1,
};

/** In the order of the query. */
export function findReferences(sql: string): readonly SqlReference[] | TemplateProblem {
  const found: SqlReference[] = [];
  for (let at = 0; at < sql.length;) {
    const skipped = endOfSkipped(sql, at);
    if (skipped !== undefined) {
      at = skipped;
      continue;
    }
    const word = matchAt(WORD, sql, at);
    if (word === undefined) {
      at += 1;
      continue;
    }
    const kind = REFERENCE_KINDS.find((each) => each === word.toLowerCase());
    const open = kind && matchAt(OPEN, sql, at + word.length);
    if (kind === undefined || open === undefined || isQualified(sql, at)) {
      at += word.length;
      continue;
    }
    const reference = readArguments(sql, kind, at, at + word.length + open.length);
    if ('problem' in reference) return reference;
    found.push(reference);
    at = reference.end;
  }
  return found;
}

/**
 * The query with tables in the place of its references. `$n` that stood in their arguments are no
 * longer in it, so the others are numbered anew. `sql` and `values` are what `BatchProgram.bind`
 * gave; the tables are called `runnel_0`, `runnel_1`, ….
 */
export function bindReferences(sql: string, values: readonly Json[]): BoundQuery | TemplateProblem {
  const found = findReferences(sql);
  if ('problem' in found) return found;
  const renumber = new Renumbering(values);
  const references: BoundReference[] = [];
  let query = '';
  let at = 0;
  for (const [index, { kind, name, args, start, end }] of found.entries()) {
    const table = `runnel_${index}`;
    const [from, to] = args.map((arg) => timeOf(arg, values));
    const wrong = [from, to].find((each) => typeof each === 'object');
    if (typeof wrong === 'object') return wrong;
    references.push({
      kind,
      name,
      table,
      fromMs: typeof from === 'number' ? from : null,
      toMs: typeof to === 'number' ? to : null,
    });
    query += `${renumber.text(sql.slice(at, start))}"${table}"`;
    at = end;
  }
  query += renumber.text(sql.slice(at));
  return { query, values: renumber.used, references };
}

function readArguments(
  sql: string,
  kind: ReferenceKind,
  start: number,
  from: number,
): SqlReference | TemplateProblem {
  const args: string[] = [];
  let depth = 0;
  let begin = from;
  for (let at = from; at < sql.length;) {
    const skipped = endOfSkipped(sql, at);
    if (skipped !== undefined) {
      at = skipped;
      continue;
    }
    const char = sql[at];
    const isEnd = char === ')' && depth === 0;
    if (isEnd || (char === ',' && depth === 0)) {
      args.push(sql.slice(begin, at).trim());
      begin = at + 1;
    }
    if (isEnd) return reference(kind, args, start, at + 1);
    if (char === '(') depth += 1;
    else if (char === ')') depth -= 1;
    at += 1;
  }
  return { problem: `${kind}( has no end`, hint: `write ${kind}('name')` };
}

function reference(
  kind: ReferenceKind,
  [first = '', ...args]: readonly string[],
  start: number,
  end: number,
): SqlReference | TemplateProblem {
  const name = literalOf(first);
  if (name === undefined || name === '') {
    const problem = `${kind}(${first}) does not name what it reads`;
    return { problem, hint: `write the name as a text: ${kind}('name')` };
  }
  const max = ARGUMENTS_MAX[kind];
  if (args.length + 1 > max) {
    const problem = `${kind}('${name}') has ${args.length + 1} arguments, at most ${max}`;
    const hint = kind === 'journal' ? "journal('name', from, to)" : `${kind}('name')`;
    return { problem, hint: `write ${hint}` };
  }
  return { kind, name, args, start, end };
}

/** A number, a bound value, or a time as text. */
function timeOf(arg: string, values: readonly Json[]): number | TemplateProblem {
  const bound = /^\$(\d+)$/.exec(arg)?.[1];
  const value = bound === undefined ? (literalOf(arg) ?? arg) : values[Number(bound) - 1];
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  try {
    return eventTimeOf(number, arg);
  } catch {
    // Whatever it is, it is no time.
    const shown = bound === undefined ? arg : JSON.stringify(value);
    return {
      problem: `${shown} is no time to read a journal from or to`,
      hint: 'give milliseconds or an ISO 8601 text; compute it inside of {{ }}',
    };
  }
}

function literalOf(text: string): string | undefined {
  return /^'(?:[^']|'')*'$/.test(text) ? text.slice(1, -1).replaceAll("''", "'") : undefined;
}

/** The end of a place that is no code, or of `{{ }}`. */
function endOfSkipped(sql: string, at: number): number | undefined {
  if (sql.startsWith('{{', at)) {
    const close = endOfExpression(sql, at + 2);
    return close === undefined ? sql.length : close + 2;
  }
  return endOfPlace(sql, at);
}

function isQualified(sql: string, at: number): boolean {
  return /\.\s*$/.test(sql.slice(Math.max(0, at - 40), at));
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Numbers `$n` in the order in which they are met. */
class Renumbering {
  readonly #values: readonly Json[];
  readonly #numbers = new Map<number, number>();
  readonly used: Json[] = [];

  constructor(values: readonly Json[]) {
    this.#values = values;
  }

  text(sql: string): string {
    let text = '';
    for (let at = 0; at < sql.length;) {
      const end = endOfPlace(sql, at);
      const number = end === undefined ? /^\$(\d+)/.exec(sql.slice(at, at + 12)) : null;
      const next = end ?? at + (number?.[0].length ?? 1);
      text += number === null ? sql.slice(at, next) : `$${this.#numberOf(Number(number[1]))}`;
      at = next;
    }
    return text;
  }

  #numberOf(number: number): number {
    const known = this.#numbers.get(number);
    if (known !== undefined) return known;
    this.used.push(this.#values[number - 1] ?? null);
    this.#numbers.set(number, this.used.length);
    return this.used.length;
  }
}
