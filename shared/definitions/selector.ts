/**
 * Label selectors: which agents a job is placed on.
 *
 * Terms are joined by commas or `and` and all must hold: `role=press` (also `==`), `role!=press`,
 * `site in (lyon, turin)`, `site notin (lyon)`, `gateway` (the label is there), `!gateway` (it is
 * not). As in Kubernetes, `!=` and `notin` also hold where the label is missing. An empty selector
 * holds for every agent.
 */
export type SelectorTerm =
  | { readonly op: 'in' | 'notin'; readonly key: string; readonly values: readonly string[] }
  | { readonly op: 'exists' | 'absent'; readonly key: string };

export interface Selector {
  readonly terms: readonly SelectorTerm[];
}

export interface SelectorProblem {
  readonly problem: string;
  readonly hint: string;
}

const CHARS_MAX = 2048;
const TERMS_MAX = 64;
const KEY = /^[A-Za-z0-9]([A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$/;
/** Names may hold more than labels do, so values are bounded by the syntax alone. */
const VALUE = /^[^,()=!\s]{0,128}$/;
const HINT = 'write terms like site in (lyon, turin), role=press, !spare';

class Invalid extends Error {}

/** What is wrong is returned, not thrown: documents collect all of their issues. */
export function parseSelector(text: string): Selector | SelectorProblem {
  try {
    if (text.length > CHARS_MAX) throw new Invalid(`is longer than ${CHARS_MAX} characters`);
    if (text.trim() === '') return { terms: [] };
    const terms = splitTerms(text).map(parseTerm);
    if (terms.length > TERMS_MAX) throw new Invalid(`has more than ${TERMS_MAX} terms`);
    return { terms };
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    return { problem: error.message, hint: HINT };
  }
}

/** At commas and the word `and`, outside of parentheses. */
function splitTerms(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let open = false;
  const cut = (end: number, next: number): void => {
    if (open) throw new Invalid('has a parenthesis that is not closed');
    parts.push(text.slice(start, end));
    start = next;
  };
  for (const { 0: found, index } of text.matchAll(/[(),]|(?<=\s|\))and(?=[\s(!])/gi)) {
    if (found === '(') {
      if (open) throw new Invalid('has a parenthesis inside parentheses');
      open = true;
    } else if (found === ')') {
      if (!open) throw new Invalid('has a closing parenthesis without an opening one');
      open = false;
    } else if (!open) {
      cut(index, index + found.length);
    }
  }
  cut(text.length, text.length);
  return parts;
}

function parseTerm(raw: string): SelectorTerm {
  const term = raw.trim();
  if (term === '') throw new Invalid('has an empty term');
  const [, setKey, setOp, list] = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term) ?? [];
  if (setKey !== undefined && list !== undefined) {
    const values = list.split(',').map((value) => checkValue(value.trim()));
    if (values.includes('')) throw new Invalid('has an empty value in a list');
    return { op: setOp === 'in' ? 'in' : 'notin', key: checkKey(setKey), values };
  }
  const [, key, op, value] = /^([^=!\s]+)\s*(==|=|!=)\s*(.*)$/.exec(term) ?? [];
  if (key !== undefined && value !== undefined) {
    return { op: op === '!=' ? 'notin' : 'in', key: checkKey(key), values: [checkValue(value)] };
  }
  const absent = term.startsWith('!');
  const name = checkKey(absent ? term.slice(1).trim() : term);
  return { op: absent ? 'absent' : 'exists', key: name };
}

function checkKey(key: string): string {
  if (!KEY.test(key)) throw new Invalid(`${JSON.stringify(key)} is no label key`);
  return key;
}

function checkValue(value: string): string {
  if (!VALUE.test(value)) throw new Invalid(`${JSON.stringify(value)} is no label value`);
  return value;
}

/** One text for selectors that mean the same terms, whatever their order and spaces. */
export function textOfSelector({ terms }: Selector): string {
  const texts = terms.map((term) => {
    switch (term.op) {
      case 'exists':
        return term.key;
      case 'absent':
        return `!${term.key}`;
      case 'in':
      case 'notin':
        return valuesText(term.key, term.op, [...new Set(term.values)].toSorted());
    }
  });
  return [...new Set(texts)].toSorted().join(',');
}

function valuesText(key: string, op: 'in' | 'notin', values: readonly string[]): string {
  if (values.length === 1) return `${key}${op === 'in' ? '=' : '!='}${values[0]}`;
  return `${key} ${op} (${values.join(',')})`;
}

/** The labels of an agent by key. */
export type LabelLookup = Pick<ReadonlyMap<string, string>, 'get'>;

export function selectorMatches(selector: Selector, labels: LabelLookup): boolean {
  return selector.terms.every((term) => {
    const value = labels.get(term.key);
    switch (term.op) {
      case 'exists':
        return value !== undefined;
      case 'absent':
        return value === undefined;
      case 'in':
        return value !== undefined && term.values.includes(value);
      case 'notin':
        return value === undefined || !term.values.includes(value);
    }
  });
}
