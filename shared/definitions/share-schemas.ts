/**
 * A JSON Schema with its larger parts that stand in several places written once, in `$defs`.
 * Pure; parts are compared as text, so the result is the same for the same schema.
 */
import type { JsonSchema } from './job-json-schema.ts';

/** Shorter ones are not worth a reference. */
const CHARACTERS_MIN = 200;

export function shareSchemas(schema: JsonSchema): JsonSchema {
  const seen = new Map<string, number>();
  countParts(schema, seen);
  const names = new Map<string, string>();
  for (const [text, times] of seen) if (times > 1) names.set(text, `part${names.size + 1}`);
  const definitions = [...names].map(([text, name]) => [
    name,
    withReferences(JSON.parse(text) as JsonSchema, names),
  ]);
  const shared = withReferences(schema, names);
  return { ...shared, $defs: Object.fromEntries(definitions) as Record<string, JsonSchema> };
}

function countParts(schema: JsonSchema, seen: Map<string, number>): void {
  changed(schema, (part) => {
    const text = JSON.stringify(part);
    if (text.length >= CHARACTERS_MIN) {
      const times = (seen.get(text) ?? 0) + 1;
      seen.set(text, times);
      // What is inside of a part that is shared is written once with it.
      if (times > 1) return part;
    }
    countParts(part, seen);
    return part;
  });
}

/** The schema itself stays; the parts in it become references. */
function withReferences(schema: JsonSchema, names: ReadonlyMap<string, string>): JsonSchema {
  return changed(schema, (part) => {
    const name = names.get(JSON.stringify(part));
    return name === undefined ? withReferences(part, names) : { $ref: `#/$defs/${name}` };
  });
}

/** The schema with each schema directly in it changed. */
function changed(schema: JsonSchema, change: (part: JsonSchema) => JsonSchema): JsonSchema {
  const result: Record<string, unknown> = { ...schema };
  for (const key of ['items', 'additionalProperties', 'propertyNames'] as const) {
    const part = schema[key];
    if (typeof part === 'object' && part !== null) result[key] = change(part as JsonSchema);
  }
  for (const key of ['anyOf', 'oneOf', 'allOf'] as const) {
    const list = schema[key];
    if (Array.isArray(list)) result[key] = list.map((part: JsonSchema) => change(part));
  }
  if (schema.properties !== undefined) {
    const entries = Object.entries(schema.properties);
    result['properties'] = Object.fromEntries(entries.map(([key, part]) => [key, change(part)]));
  }
  return result;
}
