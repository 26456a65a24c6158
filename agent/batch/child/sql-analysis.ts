/**
 * What a query wants of its tables, read off the tree that DuckDB's own parser makes
 * (`json_serialize_sql`): which range of `_time` it can see, and which columns it names.
 *
 * Conservative: a range is only taken from comparisons of `_time` with constants that are ANDed at
 * the top of the WHERE of the very SELECT that reads the table, whose FROM is that table alone or
 * plain joins with others. Rows outside of such a range cannot come through that WHERE, whatever
 * the joins do: the comparison is not true for them, nor for the NULLs that an outer join puts in
 * their place. Anything else (ASOF and positional joins, samples, OR, arithmetic on `_time`) gives
 * no range, and the query sees everything.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { SqlWishes, TableWish } from './sql-messages.ts';

type Node = Readonly<Record<string, unknown>>;

interface Table {
  readonly name: string;
  readonly alias: string;
}

interface Wish {
  fromMs: number;
  toMs: number;
  readonly columns: Set<string>;
}

/** Names that are no columns although the parser cannot tell. */
const VALUE_KEYWORDS = new Set(
  (
    'rowid current_date current_time current_timestamp localtime localtimestamp current_user ' +
    'current_role current_schema current_catalog session_user user'
  ).split(' '),
);
const OTHERS = new Set(['SUBQUERY', 'TABLE_FUNCTION', 'EXPRESSION_LIST', 'EMPTY']);
const JOINS = new Set(['INNER', 'LEFT', 'RIGHT', 'OUTER']);
const INTEGERS = new Set(['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'UINTEGER', 'UBIGINT']);

/** `tree` is what `json_serialize_sql` gave; `values` are bound to `$1`, `$2`, …. */
export function analyseQuery(
  tree: unknown,
  names: readonly string[],
  values: readonly Json[],
): SqlWishes {
  const analysis = new Analysis(values);
  analysis.walk(tree, false);
  const ours = new Set(names);
  const wishes = [...analysis.wishes].map(([table, wish]) => wishOf(table, wish));
  return {
    tables: names.map(
      (name) => wishes.find(({ table }) => table === name) ?? wishOf(name, newWish()),
    ),
    others: wishes.filter(({ table }) => !ours.has(table)),
  };
}

function newWish(): Wish {
  return { fromMs: -Infinity, toMs: Infinity, columns: new Set() };
}

function wishOf(table: string, { fromMs, toMs, columns }: Wish): TableWish {
  return {
    table,
    fromMs: Number.isFinite(fromMs) ? fromMs : null,
    toMs: Number.isFinite(toMs) ? toMs : null,
    columns: [...columns],
  };
}

class Analysis {
  /** By the name of the table; one that is read in several places has no range. */
  readonly wishes = new Map<string, Wish>();
  readonly #values: readonly Json[];

  constructor(values: readonly Json[]) {
    this.#values = values;
  }

  /** `isSubquery`: names may belong to a query around this one. */
  walk(value: unknown, isSubquery: boolean): void {
    if (Array.isArray(value)) {
      for (const each of value) this.walk(each, isSubquery);
      return;
    }
    if (!isNode(value)) return;
    if (value.type === 'SELECT_NODE') this.#select(value, isSubquery);
    else if (value.type === 'BASE_TABLE') this.#reach(nameOf(value));
    const inside = isSubquery || value.class === 'SUBQUERY';
    for (const each of Object.values(value)) this.walk(each, inside);
  }

  #reach(name: string): Wish {
    const wish = this.wishes.get(name) ?? newWish();
    this.wishes.set(name, wish);
    return wish;
  }

  #select(select: Node, isSubquery: boolean): void {
    const tables = tablesOf(select.from_table);
    if (tables === undefined) return;
    const single = tables.length === 1 ? tables[0] : undefined;
    const tableOf = (path: readonly string[]): [Table, string] | undefined => {
      const [first = '', second] = path;
      if (second === undefined) return single && [single, first];
      const named = tables.find(({ alias }) => same(alias, first));
      if (named !== undefined) return [named, second];
      return single && !isSubquery ? [single, first] : undefined;
    };
    for (const path of columnsOf(select)) {
      const [name = ''] = path;
      if (path.length === 1 && (isSubquery || VALUE_KEYWORDS.has(name.toLowerCase()))) continue;
      const found = tableOf(path);
      if (found !== undefined && found[0].name !== '') {
        this.#reach(found[0].name).columns.add(found[1]);
      }
    }
    if (select.sample !== null && select.sample !== undefined) return;
    for (const condition of conjuncts(select.where_clause)) {
      const range = this.#rangeOf(condition);
      const found = range && tableOf(range.path);
      if (range === undefined || found === undefined) continue;
      if (found[0].name === '' || !same(found[1], '_time')) continue;
      const wish = this.#reach(found[0].name);
      wish.fromMs = Math.max(wish.fromMs, range.fromMs);
      wish.toMs = Math.min(wish.toMs, range.toMs);
    }
  }

  #rangeOf(condition: Node): { path: readonly string[]; fromMs: number; toMs: number } | undefined {
    if (condition.type === 'COMPARE_BETWEEN') {
      const path = pathOf(condition.input);
      const lower = this.#constant(condition.lower);
      const upper = this.#constant(condition.upper);
      if (path === undefined || lower === undefined || upper === undefined) return undefined;
      return { path, fromMs: lower, toMs: after(upper) };
    }
    const { left, right } = condition;
    const path = pathOf(left) ?? pathOf(right);
    const bound = this.#constant(pathOf(left) === undefined ? left : right);
    if (path === undefined || bound === undefined) return undefined;
    const type = pathOf(left) === undefined ? MIRRORED[String(condition.type)] : condition.type;
    switch (type) {
      case 'COMPARE_EQUAL':
        return { path, fromMs: bound, toMs: after(bound) };
      case 'COMPARE_GREATERTHANOREQUALTO':
        return { path, fromMs: bound, toMs: Infinity };
      case 'COMPARE_GREATERTHAN':
        return { path, fromMs: after(bound), toMs: Infinity };
      case 'COMPARE_LESSTHANOREQUALTO':
        return { path, fromMs: -Infinity, toMs: after(bound) };
      case 'COMPARE_LESSTHAN':
        return { path, fromMs: -Infinity, toMs: bound };
      default:
        return undefined;
    }
  }

  /** The number that an expression of literals and bound values is; else undefined. */
  #constant(value: unknown): number | undefined {
    if (!isNode(value)) return undefined;
    if (value.type === 'VALUE_PARAMETER') {
      const bound = this.#values[Number(value.identifier) - 1];
      return typeof bound === 'number' && Number.isFinite(bound) ? bound : undefined;
    }
    if (value.type === 'VALUE_CONSTANT' && isNode(value.value)) {
      const { type, value: number } = value.value;
      const known = isNode(type) && INTEGERS.has(String(type.id));
      return known && typeof number === 'number' ? number : undefined;
    }
    if (value.type !== 'FUNCTION' || value.schema !== '') return undefined;
    const parts = list(value.children).map((child) => this.#constant(child));
    const [a, b] = parts;
    if (a === undefined || (parts.length === 2 && b === undefined)) return undefined;
    if (parts.length === 1) return value.function_name === '-' ? -a : undefined;
    if (parts.length !== 2 || b === undefined) return undefined;
    if (value.function_name === '+') return a + b;
    if (value.function_name === '-') return a - b;
    return value.function_name === '*' ? a * b : undefined;
  }
}

const MIRRORED: Readonly<Record<string, string>> = {
  COMPARE_EQUAL: 'COMPARE_EQUAL',
  COMPARE_GREATERTHANOREQUALTO: 'COMPARE_LESSTHANOREQUALTO',
  COMPARE_GREATERTHAN: 'COMPARE_LESSTHAN',
  COMPARE_LESSTHANOREQUALTO: 'COMPARE_GREATERTHANOREQUALTO',
  COMPARE_LESSTHAN: 'COMPARE_GREATERTHAN',
};

/** The first whole millisecond after. */
function after(ms: number): number {
  return Math.floor(ms) + 1;
}

/** Relations of a FROM that is one or plain joins of them; else undefined. */
function tablesOf(from: unknown): readonly Table[] | undefined {
  if (!isNode(from)) return undefined;
  if (from.type === 'BASE_TABLE') {
    if (from.sample !== null && from.sample !== undefined) return undefined;
    if (list(from.column_name_alias).length > 0 || hasNames(from.column_name_alias)) {
      return undefined;
    }
    const alias = String(from.alias);
    return [{ name: nameOf(from), alias: alias === '' ? String(from.table_name) : alias }];
  }
  // Another relation: nothing is known of its rows, and names without a table may be its own.
  if (OTHERS.has(String(from.type))) return [{ name: '', alias: String(from.alias) }];
  if (from.type !== 'JOIN' || !JOINS.has(String(from.join_type))) return undefined;
  if (from.ref_type !== 'REGULAR' && from.ref_type !== 'CROSS') return undefined;
  const left = tablesOf(from.left);
  const right = tablesOf(from.right);
  return left === undefined || right === undefined ? undefined : [...left, ...right];
}

/** A table of another schema or database is none of ours. */
function nameOf(table: Node): string {
  const { schema_name: schema, catalog_name: catalog, table_name: name } = table;
  const within = [catalog, schema].filter((part) => part !== '' && part !== undefined);
  return [...within, name].join('.');
}

function conjuncts(where: unknown): readonly Node[] {
  if (!isNode(where)) return [];
  if (where.type !== 'CONJUNCTION_AND') return [where];
  return list(where.children).flatMap(conjuncts);
}

function pathOf(value: unknown): readonly string[] | undefined {
  if (!isNode(value) || value.type !== 'COLUMN_REF') return undefined;
  return (value.column_names as unknown[]).map(String);
}

/**
 * Columns that a SELECT names, what stands for an alias of its own list left out: within the list
 * that is the alias of an item before, behind it any.
 */
function columnsOf(select: Node): readonly (readonly string[])[] {
  const aliases = new Set<string>();
  const isColumn = (path: readonly string[]): boolean => !aliases.has(path[0] ?? '');
  const found: (readonly string[])[] = [];
  for (const item of list(select.select_list)) {
    found.push(...columnPaths(item).filter(isColumn));
    if (item.alias !== '') aliases.add(String(item.alias));
  }
  const rest = { ...select, type: null, select_list: null, cte_map: null };
  return [...found, ...columnPaths(rest).filter(isColumn)];
}

/** Every column that is named here, nested queries and the variables of lambdas left out. */
function columnPaths(value: unknown, bound: readonly string[] = []): (readonly string[])[] {
  if (Array.isArray(value)) return value.flatMap((each) => columnPaths(each, bound));
  if (!isNode(value)) return [];
  const path = pathOf(value);
  if (path !== undefined) return bound.includes(path[0] ?? '') ? [] : [path];
  if (value.type === 'SELECT_NODE') return [];
  if (value.class === 'LAMBDA') {
    const variables = columnPaths(value.lhs).map(([name = '']) => name);
    return columnPaths(value.expr, [...bound, ...variables]);
  }
  return Object.values(value).flatMap((each) => columnPaths(each, bound));
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

function hasNames(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
