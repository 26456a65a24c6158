/** Names of tables and columns in SQL: quoted, so that no name can be anything else. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export interface TableName {
  readonly schema: string | null;
  readonly table: string;
}

/** `schema.table`, or a table alone. */
export function tableName(text: string): TableName {
  const dot = text.indexOf('.');
  if (dot <= 0 || dot === text.length - 1) return { schema: null, table: text };
  return { schema: text.slice(0, dot), table: text.slice(dot + 1) };
}

export function quoteTable({ schema, table }: TableName): string {
  return schema === null ? quoteName(table) : `${quoteName(schema)}.${quoteName(table)}`;
}
