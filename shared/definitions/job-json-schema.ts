/**
 * The JSON Schema of job documents, for editors: put
 * `# yaml-language-server: $schema=…/job.schema.json` at the head of a job.
 *
 * Made from the very schemas that parse jobs, so it cannot say anything else than they do; what
 * only code can check (references, expressions) is left to `runnel validate`.
 */
import { z } from 'zod';
import { operators } from '../engine/operators/registry.ts';
import { batchJobFields } from './batch-fields.ts';
import { shareSchemas } from './share-schemas.ts';
import { commonSourceFields } from './source-definition.ts';
import { sinks } from './sinks/registry.ts';
import { sources } from './sources/registry.ts';
import { stepFields } from './step-schemas.ts';
import { name, streamJobFields } from './stream-job.ts';
import { strict } from './strict.ts';
import { taskFields } from './task-fields.ts';
import { tasks as taskSpecs } from './tasks/registry.ts';

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
  const { $schema, ...stream } = streamJobSchema();
  const { $schema: _, ...batch } = batchJobSchema();
  return shareSchemas({ $schema, title: 'Runnel job', type: 'object', oneOf: [stream, batch] });
}

function sourceSchemas(): JsonSchema[] {
  return sources.map((spec) =>
    branchFor(
      spec.kind,
      strict({ [spec.kind]: strict(spec.fields).nullish(), ...commonSourceFields }).describe(
        spec.summary,
      ),
    ),
  );
}

function streamJobSchema(): JsonSchema {
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
      sources: { ...properties.sources, additionalProperties: { anyOf: sourceSchemas() } },
      sinks: { ...properties.sinks, items: { anyOf: sink } },
    },
  };
}

function batchJobSchema(): JsonSchema {
  const task = taskSpecs.map((spec) => {
    const fields = strict({ ...taskFields, [spec.kind]: z.unknown() }).describe(spec.summary);
    const { properties, ...branch } = branchFor(spec.kind, fields);
    const { $schema: _, ...settings } = schemaOf(strict(spec.fields));
    const written = { anyOf: [withTemplates(settings, spec.raw), { type: 'null' }] };
    return {
      ...branch,
      properties: { ...properties, [spec.kind]: written },
      required: ['id', spec.kind],
    };
  });
  const { $schema: _, ...bare } = schemaOf(
    strict(taskFields).describe('Does no work: joins other tasks, or chooses among them.'),
  );
  const job = schemaOf(
    strict({
      ...batchJobFields,
      sources: z
        .record(name, z.unknown())
        .optional()
        .describe('Sources that the job has journaled itself, each under a name.'),
      tasks: z.array(z.unknown()).min(1).describe('What is done, in the order that they need.'),
    }),
  );
  const properties = job.properties ?? {};
  return {
    ...job,
    title: 'Runnel batch job',
    properties: {
      ...properties,
      sources: { ...properties.sources, additionalProperties: { anyOf: sourceSchemas() } },
      tasks: { ...properties.tasks, items: { anyOf: [...task, bare] } },
    },
  };
}

/** Keywords that constrain nothing. */
const NOTES = ['description', 'default', 'examples'];
const TEMPLATE: JsonSchema = { type: 'string', pattern: String.raw`\{\{` };

/** In the settings of a task a template may stand for any value, at any depth. */
function withTemplates(schema: JsonSchema, raw: readonly string[] = []): JsonSchema {
  const inner: Record<string, unknown> = { ...schema };
  if (schema.properties !== undefined) {
    inner.properties = mapped(schema.properties, (each, key) =>
      raw.includes(key) ? each : orTemplate(each),
    );
  }
  for (const key of ['items', 'additionalProperties'] as const) {
    const each = schema[key];
    if (typeof each === 'object') inner[key] = orTemplate(each);
  }
  for (const key of ['anyOf', 'oneOf', 'allOf'] as const) {
    const list = schema[key];
    if (Array.isArray(list)) inner[key] = list.map((each: JsonSchema) => withTemplates(each));
  }
  return inner;
}

function orTemplate(schema: JsonSchema): JsonSchema {
  const inner = withTemplates(schema);
  const isFree = schema.type === 'string' && schema.pattern === undefined && !schema.enum;
  if (isFree || !Object.keys(schema).some((key) => !NOTES.includes(key))) return inner;
  const { description, default: preset, ...rest } = inner;
  return {
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
    anyOf: [rest, TEMPLATE],
  };
}

function mapped(
  map: Readonly<Record<string, JsonSchema>>,
  change: (schema: JsonSchema, key: string) => JsonSchema,
): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value, key)]));
}

/** A source or sink may be written `host:` with nothing behind it, but not left out. */
function branchFor(kind: string, schema: z.ZodType): JsonSchema {
  const { $schema: _, ...branch } = schemaOf(schema);
  return { ...branch, required: [kind] };
}
