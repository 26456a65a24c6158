/**
 * Finds the aggregate calls in a column's expression: `max(payload.a) - min(payload.a)` holds two.
 *
 * Their arguments are evaluated on every record and the rest once per result, on the results of the
 * calls. Only calls by a plain name count: a method (`payload.list.max()`) and text in quotes do
 * not.
 */
export interface AggregateCall {
  readonly name: string;
  readonly arguments: readonly string[];
}

export interface FoundCalls {
  readonly calls: readonly AggregateCall[];
  /** The expression with a name for each call; undefined when it is one call and no more. */
  readonly rest: string | undefined;
  /** The names that stand for the calls in `rest`, in the same order. */
  readonly names: readonly string[];
  /** An argument list that does not end, or an aggregate inside of an aggregate. */
  readonly problem: string | undefined;
}

export function findAggregateCalls(source: string, known: ReadonlySet<string>): FoundCalls {
  const calls: AggregateCall[] = [];
  const names: string[] = [];
  let rest = '';
  let copied = 0;
  let at = 0;
  while (at < source.length) {
    const name = callAt(source, at, known);
    if (name === undefined) {
      at = skipToken(source, at);
      continue;
    }
    const open = source.indexOf('(', at);
    const parsed = readArguments(source, open);
    if (parsed === undefined) {
      return failed(`${name}( is not closed`);
    }
    for (const argument of parsed.arguments) {
      const inner = findAggregateCalls(argument, known).calls[0];
      if (inner !== undefined) return failed(`${inner.name}(…) inside of ${name}(…)`);
    }
    names.push(`${name}_${names.length + 1}`);
    calls.push({ name, arguments: parsed.arguments });
    rest += source.slice(copied, at) + names.at(-1)!;
    at = parsed.end;
    copied = at;
  }
  rest += source.slice(copied);
  const alone = calls.length === 1 && rest.trim() === names[0];
  return { calls, names, rest: alone ? undefined : rest, problem: undefined };
}

function failed(problem: string): FoundCalls {
  return { calls: [], names: [], rest: undefined, problem };
}

const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_]*/y;

/** The aggregate whose call begins exactly at `at`. */
function callAt(source: string, at: number, known: ReadonlySet<string>): string | undefined {
  IDENTIFIER.lastIndex = at;
  const name = IDENTIFIER.exec(source)?.[0];
  if (name === undefined || !known.has(name)) return undefined;
  if (source.slice(0, at).trimEnd().endsWith('.')) return undefined;
  return source
    .slice(at + name.length)
    .trimStart()
    .startsWith('(')
    ? name
    : undefined;
}

/** The position after the identifier, text or character at `at`. */
function skipToken(source: string, at: number): number {
  const quoted = /^(?:[rR]|[bB]|[rR][bB]|[bB][rR])?(?:'''|"""|'|")/.exec(source.slice(at, at + 5));
  if (quoted !== null) return skipText(source, at, quoted[0]);
  IDENTIFIER.lastIndex = at;
  const name = IDENTIFIER.exec(source)?.[0];
  return at + (name?.length ?? 1);
}

function skipText(source: string, at: number, opening: string): number {
  const raw = /^[bB]?[rR]/.test(opening);
  const quote = opening.replace(/^[A-Za-z]+/, '');
  let next = at + opening.length;
  while (next < source.length && !source.startsWith(quote, next)) {
    next += source[next] === '\\' && !raw ? 2 : 1;
  }
  return next + quote.length;
}

function readArguments(
  source: string,
  open: number,
): { arguments: string[]; end: number } | undefined {
  const found: string[] = [];
  let depth = 0;
  let from = open + 1;
  let at = open;
  while (at < source.length) {
    const character = source[at]!;
    if (character === '(' || character === '[' || character === '{') depth += 1;
    else if (character === ')' || character === ']' || character === '}') {
      depth -= 1;
      if (depth === 0) {
        const last = source.slice(from, at).trim();
        if (last !== '' || found.length > 0) found.push(last);
        return { arguments: found, end: at + 1 };
      }
    } else if (character === ',' && depth === 1) {
      found.push(source.slice(from, at).trim());
      from = at + 1;
    }
    at = skipToken(source, at);
  }
  return undefined;
}
