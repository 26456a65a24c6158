/**
 * The JSON Schema of job documents, for editors: put
 * `# yaml-language-server: $schema=…/job.schema.json` at the head of a job.
 *
 * Made from the very schemas that parse jobs, so it cannot say anything else than they do; what
 * only code can check (references, expressions) is left to `runnel validate`.
 */
import { z } from 'zod';
import { operators } from '../engine/operators/registry.ts';
import { commonSourceFields } from './source-definition.ts';
import { sinks } from './sinks/registry.ts';
import { sources } from './sources/registry.ts';
import { stepFields } from './step-schemas.ts';
import { name, streamJobFields } from './stream-job.ts';
import { strict } from './strict.ts';

export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly [keyword: string]: unknown;
}

/** The schema of what people write: before defaults and conversions. */
export function schemaOf(schema: z.ZodType): JsonSchema {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: shorthand });
  return json as JsonSchema;
}

/**
 * Where a preprocess stands before an object, a text stands for the object: `tumbling: 10s`. Not
 * for secrets, whose preprocess exists to refuse texts.
 */
function shorthand(at: { zodSchema: z.core.$ZodTypes; jsonSchema: z.core.JSONSchema.BaseSchema }) {
  const { def } = at.zodSchema._zod;
  if (def.type !== 'pipe' || def.in._zod.def.type !== 'transform') return;
  const { description: _, default: __, ...object } = at.jsonSchema;
  if (object.type !== 'object' || object.properties?.env !== undefined) return;
  for (const key of Object.keys(object)) delete at.jsonSchema[key];
  Object.assign(at.jsonSchema, { anyOf: [{ type: 'string' }, object] });
}

export function jobJsonSchema(): JsonSchema {
  const source = sources.map((spec) =>
    branchFor(
      spec.kind,
      strict({ [spec.kind]: strict(spec.fields).nullish(), ...commonSourceFields }).describe(
        spec.summary,
      ),
    ),
  );
  const sink = sinks.map((spec) =>
    branchFor(
      spec.kind,
      strict({
        from: name.optional().describe('Step whose output it takes, or `late`. Default: the last.'),
        [spec.kind]: strict(spec.fields).nullish(),
      }).describe(spec.summary),
    ),
  );
  const step = z.union(
    operators.map((operator) =>
      strict({ ...stepFields, ...operator.shape }).describe(operator.summary),
    ),
  );
  const job = schemaOf(
    strict({
      ...streamJobFields,
      sources: z.record(name, z.unknown()).describe('Where records come from, each under a name.'),
      steps: z.array(step).min(1).describe('What is done with them, in order.'),
      sinks: z.array(z.unknown()).optional().describe('Where outputs go.'),
    }),
  );
  const properties = job.properties ?? {};
  return {
    ...job,
    title: 'Runnel stream job',
    properties: {
      ...properties,
      sources: { ...properties.sources, additionalProperties: { anyOf: source } },
      sinks: { ...properties.sinks, items: { anyOf: sink } },
    },
  };
}

/** A source or sink may be written `host:` with nothing behind it, but not left out. */
function branchFor(kind: string, schema: z.ZodType): JsonSchema {
  const { $schema: _, ...branch } = schemaOf(schema);
  return { ...branch, required: [kind] };
}
