/**
 * What the page reads of a batch job's document. The control plane accepted it, so its shape is
 * known; what is not there reads as absent, since an older or newer release may have written it.
 */
import type { TaskNeeds } from './task-order.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface ParameterDeclaration {
  readonly name: string;
  /** `number`, `string`, `boolean`, `duration`, `list`, `map`, or `schema`. */
  readonly type: string;
  readonly default: unknown;
  readonly description: string | null;
  /** The values that are allowed; null: all of the type. */
  readonly values: readonly unknown[] | null;
  readonly schema: unknown;
}

export interface BatchDocument {
  readonly schedule: Fields | null;
  readonly partition: {
    readonly every: string | null;
    readonly keys: readonly string[];
    readonly timezone: string;
  } | null;
  readonly parameters: readonly ParameterDeclaration[];
  /** In the order of the document. */
  readonly tasks: readonly TaskNeeds[];
}

export function readBatchDocument(document: unknown): BatchDocument {
  const fields = fieldsOf(document) ?? {};
  const schedule = fieldsOf(fields['schedule']);
  const partition = fieldsOf(fields['partition']);
  return {
    schedule,
    partition:
      partition === null
        ? null
        : {
            every: textOf(partition['every']),
            keys: listOf(partition['keys']).map(String),
            timezone: textOf(partition['timezone']) ?? textOf(schedule?.['timezone']) ?? 'UTC',
          },
    parameters: Object.entries(fieldsOf(fields['parameters']) ?? {}).map(declarationOf),
    tasks: listOf(fields['tasks']).flatMap((task) => {
      const own = fieldsOf(task);
      const id = textOf(own?.['id']);
      return id === null ? [] : [{ id, needs: listOf(own?.['needs']).map(String) }];
    }),
  };
}

function declarationOf([name, declared]: [string, unknown]): ParameterDeclaration {
  const fields = fieldsOf(declared) ?? {};
  const { values } = fields;
  return {
    name,
    type: textOf(fields['type']) ?? 'schema',
    default: fields['default'],
    description: textOf(fields['description']),
    values: Array.isArray(values) ? values : null,
    schema: fields['schema'],
  };
}

/** A list, or the one thing that may stand in its place. */
export function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

export function fieldsOf(value: unknown): Fields | null {
  const isFields = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isFields ? (value as Fields) : null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
