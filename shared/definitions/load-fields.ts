/**
 * The connectors of `load`: where rows go, and how an attempt that is made again is recognised.
 */
import { z } from 'zod';
import {
  checked,
  databaseName,
  mqttTargetFields,
  mqttTargetProblem,
  postgresFields,
  postgresProblem,
  sqliteFields,
} from './database-fields.ts';
import { duration, positiveDuration } from './duration.ts';
import { httpFields, httpStatus } from './http-fields.ts';
import { brokerProblem } from './mqtt-fields.ts';
import { size } from './size.ts';

export const fileLoad = checked(
  {
    path: z
      .string()
      .min(1)
      .max(4096)
      .describe(
        'File, replaced whole; relative paths are under the data directory of the agent, and ' +
          'policy.yaml says where else may be written. ' +
          'Example: `out/daily-{{ partition.date }}.csv`.',
      ),
    format: z
      .enum(['csv', 'json', 'jsonl'])
      .optional()
      .describe('Default: by the ending (`.csv`, `.json`, `.jsonl`, `.ndjson`).'),
    delimiter: z.string().length(1).default(',').describe('Between the fields of csv.'),
    header: z.boolean().default(true).describe('Whether the first line of csv has the names.'),
  },
  ({ delimiter }: { delimiter: string }) =>
    /["\r\n]/.test(delimiter) ? ['delimiter', 'must not be a quote or a line end'] : undefined,
);

export const httpLoad = checked(
  {
    method: z.enum(['POST', 'PUT', 'PATCH']).default('POST').describe('Method.'),
    ...httpFields,
    batchRows: z
      .number()
      .int()
      .min(1)
      .max(10_000)
      .default(500)
      .describe('Rows of one request at most.'),
    batchMax: size.prefault('1MiB').describe('Bytes of one request at most, but for a single row.'),
    format: z
      .enum(['json', 'jsonl'])
      .default('json')
      .describe('json: a list of rows. jsonl: a row a line (`application/x-ndjson`).'),
    wrap: z
      .string()
      .min(1)
      .optional()
      .describe('With json: the list as a field of a map. Example: `rows` for `{"rows": […]}`.'),
    expect: z
      .array(httpStatus)
      .min(1)
      .optional()
      .describe('Statuses that are a success. Default: 200 to 299.'),
    pause: duration.prefault('0s').describe('Between two requests. Example: `250ms`.'),
  },
  ({ batchMax, format, wrap }: { batchMax: number; format: string; wrap?: string | undefined }) => {
    if (wrap !== undefined && format !== 'json') return ['wrap', 'goes with format: json'];
    return batchMax > 16 * 1024 * 1024 ? ['batchMax', 'must be at most 16MiB'] : undefined;
  },
);

const tableFields = {
  table: databaseName.describe(
    'Table; with a schema as `schema.table`. It must be there unless `create` is set.',
  ),
  mode: z
    .enum(['append', 'upsert', 'replace', 'changes'])
    .default('append')
    .describe(
      'append: rows are added, once for the partition, by the key in `runnel_runs`. upsert: a ' +
        'row with the same `key` is replaced. replace: what `where` finds is deleted first. ' +
        'changes: rows are change events of Debezium, applied by `key` in their order.',
    ),
  key: z
    .array(databaseName)
    .min(1)
    .optional()
    .describe(
      'upsert, changes: columns of a unique index of the table. Example: `[machine, day]`.',
    ),
  where: z
    .record(databaseName, z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .optional()
    .describe(
      'replace: columns and the values by which rows are deleted. Default: all rows. ' +
        'Example: `{ day: "{{ partition.date }}" }`.',
    ),
  columns: z
    .record(databaseName, z.string().min(1))
    .optional()
    .describe(
      "The table's columns, and the columns of the input that they take. Default: those of the " +
        'input, which must all be there; of changes those of `before` and `after`. ' +
        'Example: `{ machine: machine, rms_mm_s: rms }`.',
    ),
  create: z
    .boolean()
    .default(false)
    .describe('Whether a table that is missing is made, with columns by the types of the input.'),
  truncate: z
    .boolean()
    .default(false)
    .describe('changes: whether an event may empty the whole table; else it fails the attempt.'),
  forgetDeleted: positiveDuration
    .optional()
    .describe(
      'changes: for how long a deleted key is remembered, so that a late duplicate does not ' +
        'bring its row back. Default `30d`.',
    ),
};

interface Target {
  readonly mode: string;
  readonly key?: readonly string[] | undefined;
  readonly where?: unknown;
  readonly columns?: Readonly<Record<string, string>> | undefined;
  readonly truncate: boolean;
  readonly forgetDeleted?: unknown;
}

function targetProblem(target: Target): readonly [string, string] | undefined {
  const { mode, key, where, columns, truncate, forgetDeleted } = target;
  const isByKey = mode === 'upsert' || mode === 'changes';
  if (isByKey !== (key !== undefined)) {
    return ['key', isByKey ? `is missing: ${mode} needs it` : 'goes with mode: upsert or changes'];
  }
  const left = key?.find((name) => columns !== undefined && !Object.hasOwn(columns, name));
  if (mode === 'changes' && left !== undefined) {
    return ['columns', `leaves out ${left}, which is of the key`];
  }
  if (mode !== 'changes' && truncate) return ['truncate', 'goes with mode: changes'];
  if (mode !== 'changes' && forgetDeleted !== undefined) {
    return ['forgetDeleted', 'goes with mode: changes'];
  }
  const replaced = where === undefined || mode === 'replace';
  return replaced ? undefined : ['where', 'goes with mode: replace'];
}

export const sqliteLoad = checked({ ...sqliteFields, ...tableFields }, targetProblem);

export const postgresLoad = checked(
  { ...postgresFields, ...tableFields },
  (config: Target & Parameters<typeof postgresProblem>[0]) =>
    targetProblem(config) ?? postgresProblem(config),
);

export const mqttLoad = checked(
  mqttTargetFields,
  (target: Parameters<typeof brokerProblem>[0] & Parameters<typeof mqttTargetProblem>[0]) =>
    brokerProblem(target) ?? mqttTargetProblem(target),
);

export const inlineRows = z.array(z.record(z.string(), z.unknown()));
