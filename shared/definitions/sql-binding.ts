/**
 * SQL with `{{ expression }}` inside: every place becomes a bound value (`$1`, `$2`, …), never
 * text, so that no parameter and no output of a task can become SQL.
 *
 * Inside of literals, quoted names and comments a value cannot be bound; a `{{` there is refused.
 * Placeholders written by hand are refused too where there are templates: their numbers would
 * collide.
 */
import { endOfExpression, type TemplateProblem } from './batch-template.ts';

/**
 * Text with `$n` in it, and the expressions in the order of their numbers; equal ones share one.
 */
export interface SqlPieces {
  readonly text: string;
  readonly sources: readonly string[];
}

const PLACES: readonly [start: RegExp, what: string, end: (text: string, at: number) => number][] =
  [
    [/'/y, 'a text literal', (text, at) => quoted(text, at, "'", isEscapeString(text, at))],
    [/"/y, 'a quoted name', (text, at) => quoted(text, at, '"', false)],
    [/--/y, 'a comment', (text, at) => after(text, '\n', at)],
    [/\/\*/y, 'a comment', endOfBlockComment],
    [/\$(?:[A-Za-z_]\w*)?\$/y, 'a text literal', endOfDollarQuote],
  ];

const HINTS: Readonly<Record<string, string>> = {
  'a text literal': "a bound value is a value of its own: {{ 'a' + params.x }} without quotes",
  'a quoted name': 'names cannot be bound: write the name itself',
  'a comment': 'leave the braces out of the comment',
};

export function sqlPieces(sql: string): SqlPieces | TemplateProblem {
  const sources: string[] = [];
  let text = '';
  let at = 0;
  let own: string | undefined;
  while (at < sql.length) {
    const place = PLACES.find(([start]) => matchesAt(start, sql, at));
    if (place !== undefined) {
      const [, what, endOf] = place;
      const end = endOf(sql, at);
      const inside = sql.slice(at, end);
      if (inside.includes('{{')) {
        return { problem: `{{ }} stands in ${what}: ${inside.slice(0, 60)}`, hint: HINTS[what]! };
      }
      text += inside;
      at = end;
    } else if (sql.startsWith('{{', at)) {
      const close = endOfExpression(sql, at + 2);
      if (close === undefined) {
        const problem = `"${sql.slice(at, at + 60)}" has {{ without }}`;
        return { problem, hint: 'write {{ expression }}' };
      }
      const source = sql.slice(at + 2, close).trim();
      if (!sources.includes(source)) sources.push(source);
      text += `$${sources.indexOf(source) + 1}`;
      at = close + 2;
    } else {
      if (/\d/.test(sql[at + 1] ?? '') && sql[at] === '$') own = sql.slice(at, at + 2);
      text += sql[at];
      at += 1;
    }
  }
  if (own !== undefined && sources.length > 0) {
    return { problem: `${own} stands beside {{ }}`, hint: 'bind all values by {{ }}' };
  }
  return { text, sources };
}

/** Where the literal, quoted name or comment that begins at `at` ends; undefined in code. */
export function endOfPlace(sql: string, at: number): number | undefined {
  return PLACES.find(([start]) => matchesAt(start, sql, at))?.[2](sql, at);
}

function matchesAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
}

function after(text: string, end: string, from: number): number {
  const found = text.indexOf(end, from);
  return found < 0 ? text.length : found + end.length;
}

/** A quote inside is doubled; in `E'…'` a backslash takes what follows. */
function quoted(text: string, start: number, quote: string, escapes: boolean): number {
  let at = start + 1;
  while (at < text.length) {
    if (escapes && text[at] === '\\') at += 2;
    else if (text[at] !== quote) at += 1;
    else if (text[at + 1] === quote) at += 2;
    else return at + 1;
  }
  return text.length;
}

function isEscapeString(text: string, at: number): boolean {
  return /[eE]/.test(text[at - 1] ?? '') && !/\w/.test(text[at - 2] ?? '');
}

/** They nest, as SQL has it. */
function endOfBlockComment(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    if (text.startsWith('/*', at)) depth += 1;
    else if (text.startsWith('*/', at)) depth -= 1;
    else {
      at += 1;
      continue;
    }
    at += 2;
    if (depth === 0) return at;
  }
  return text.length;
}

function endOfDollarQuote(text: string, start: number): number {
  const tag = text.slice(start, text.indexOf('$', start + 1) + 1);
  return after(text, tag, start + tag.length);
}
