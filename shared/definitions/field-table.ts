/**
 * A Markdown table of the keys of a JSON Schema, nested ones as `window.tumbling.size`.
 */
import type { JsonSchema } from './job-json-schema.ts';

interface Row {
  readonly key: string;
  readonly type: string;
  readonly preset: string;
  readonly text: string;
}

export function fieldTable(schema: JsonSchema): string {
  const rows = rowsOf(schema, '');
  return markdownTable(
    ['key', 'type', 'default', 'meaning'],
    rows.map((row) => [`\`${row.key}\``, row.type, row.preset, cell(row.text)]),
  );
}

export function markdownTable(
  headings: readonly string[],
  lines: readonly (readonly string[])[],
): string {
  const all = [headings, headings.map(() => '---'), ...lines];
  return all.map((each) => `| ${each.join(' | ')} |`).join('\n');
}

function rowsOf(schema: JsonSchema, prefix: string): Row[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const key = `${prefix}${name}`;
    const row = {
      key,
      type: typeOf(field),
      preset: presetOf(field, required.has(name)),
      text: textOf(field),
    };
    return [row, ...nestedRows(field, key)];
  });
}

function nestedRows(field: JsonSchema, key: string): Row[] {
  const { items, additionalProperties: values } = field;
  if (field.properties !== undefined) return rowsOf(field, `${key}.`);
  if (items?.properties !== undefined) return rowsOf(items, `${key}[].`);
  if (typeof values === 'object' && values.properties !== undefined) {
    return rowsOf(values, `${key}.<name>.`);
  }
  const object = field.anyOf?.find((branch) => branch.properties !== undefined);
  return object === undefined ? [] : rowsOf(object, `${key}.`);
}

function typeOf(field: JsonSchema): string {
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (field.anyOf !== undefined) return [...new Set(field.anyOf.map(typeOf))].join(' or ');
  if (field.type === 'array')
    return `list of ${field.items === undefined ? 'any' : typeOf(field.items)}`;
  if (field.type === 'object') return 'map';
  if (field.type === 'string') return 'text';
  return typeof field.type === 'string' ? field.type : 'any';
}

function presetOf(field: JsonSchema, required: boolean): string {
  if (field.default !== undefined) return `\`${JSON.stringify(field.default)}\``;
  return required ? 'required' : '';
}

/** Descriptions hold their own example as a rule; where not, the schema may have one. */
function textOf(field: JsonSchema): string {
  const text = field.description ?? '';
  const [example] = field.examples ?? [];
  if (example === undefined || /Example|Default/.test(text)) return text;
  const shown = typeof example === 'string' ? example : JSON.stringify(example);
  return `${text} Example: \`${shown}\`.`.trim();
}

function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ');
}
