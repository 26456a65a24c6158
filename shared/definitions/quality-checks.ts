/**
 * The checks of a `quality` task. A check of rows judges every row by itself and can leave out what
 * it finds; a check of the table judges all of it, and can only stop the run or warn.
 */
import { z } from 'zod';
import { findAggregateCalls } from '../engine/aggregates/find-calls.ts';
import { aggregates } from '../engine/aggregates/registry.ts';
import { compilePattern } from '../expressions/text-functions.ts';
import { messageOf } from '../errors.ts';
import { limits } from '../limits.ts';
import { positiveDuration } from './duration.ts';
import { readJsonSchema } from './json-schema.ts';
import { columnField, columnsField } from './rows-input.ts';
import { strict, withHint } from './strict.ts';

export const SEVERITIES = ['block', 'warn', 'drop', 'quarantine'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const ROW_CHECKS = ['notNull', 'unique', 'range', 'set', 'pattern', 'expression'] as const;
export const TABLE_CHECKS = ['rowCount', 'freshness', 'sql', 'anomaly'] as const;
/** `schema` judges rows, its `columns` also whether the table has others. */
export const CHECKS = [...ROW_CHECKS, 'schema', ...TABLE_CHECKS] as const;
export type CheckKind = (typeof CHECKS)[number];

export const COLUMN_TYPES = ['number', 'integer', 'string', 'boolean', 'json'] as const;

const bound = z.number().optional();

const rangeField = strict({
  column: columnField.describe('Column of numbers. Example: `rms`.'),
  min: bound.describe('Least value that passes.'),
  max: bound.describe('Greatest value that passes.'),
})
  .refine(({ min, max }) => min !== undefined || max !== undefined, 'needs min or max')
  .refine(({ min, max }) => min === undefined || max === undefined || min <= max, {
    error: 'min is greater than max',
  });

const setField = strict({
  column: columnField.describe('Column. Example: `status`.'),
  values: z
    .array(z.union([z.string(), z.number(), z.boolean()]))
    .min(1)
    .max(10_000)
    .describe('Values that pass. Example: `[ok, worn]`.'),
});

const patternField = strict({
  column: columnField.describe('Column of texts. Example: `machine`.'),
  matches: z
    .string()
    .min(1)
    .max(1000)
    .superRefine((pattern, context) => {
      try {
        compilePattern(pattern);
      } catch (error) {
        context.addIssue(withHint(`is no pattern: ${messageOf(error)}`, 'RE2 syntax'));
      }
    })
    .describe('RE2 pattern that is found somewhere in the text. Example: `^m[0-9]+$`.'),
});

const rowCountField = strict({
  min: z.number().int().min(0).optional().describe('Least number of rows.'),
  max: z.number().int().min(0).optional().describe('Greatest number of rows.'),
}).refine(({ min, max }) => min !== undefined || max !== undefined, 'needs min or max');

const freshnessField = strict({
  column: columnField.default('_time').describe('Epoch milliseconds or ISO 8601 text.'),
  within: positiveDuration.describe('How old the newest row may be. Example: `2h`.'),
  at: z
    .enum(['end', 'now'])
    .default('end')
    .describe("Judged at the end of the run's partition, or at the time of the attempt."),
});

const columnType = z.string().regex(new RegExp(`^(?:${COLUMN_TYPES.join('|')})\\??$`), {
  error: withHint('is no type', `one of ${COLUMN_TYPES.join(', ')}; with ? it may be null`),
});

const schemaField = strict({
  columns: z
    .record(z.string(), columnType)
    .optional()
    .describe('Columns and their types. Example: `{ machine: string, rms: number? }`.'),
  extra: z
    .enum(['allow', 'refuse'])
    .default('allow')
    .describe('Whether a row may have columns that are not listed.'),
  row: z
    .record(z.string(), z.unknown())
    .superRefine((schema, context) => {
      const read = readJsonSchema(schema);
      if (!('problem' in read)) return;
      const message = withHint(read.problem, read.hint);
      context.addIssue({ code: 'custom', path: [...read.path], message });
    })
    .optional()
    .describe('JSON Schema of a row.'),
}).refine(({ columns, row }) => columns !== undefined || row !== undefined, {
  error: 'needs columns or row',
});

const AGGREGATES: ReadonlySet<string> = new Set(aggregates.map(({ name }) => name));

const anomalyField = strict({
  measure: z
    .string()
    .min(1)
    .max(limits.expressionCharsMax)
    .refine(
      (text) => text === 'rowCount' || findAggregateCalls(text, AGGREGATES).calls.length > 0,
      {
        error: withHint('is no measure', 'rowCount, or an aggregate of columns: avg(rms)'),
      },
    )
    .describe('`rowCount`, or an aggregate of columns. Example: `avg(rms)`.'),
  deviations: z
    .number()
    .positive()
    .default(3)
    .describe('How many deviations from the middle of the history pass.'),
  method: z
    .enum(['stddev', 'mad'])
    .default('stddev')
    .describe('Mean and standard deviation, or median and 1.4826 × median absolute deviation.'),
  runs: z
    .number()
    .int()
    .min(2)
    .max(limits.qualityHistoryMax)
    .default(20)
    .describe('How many of the last partitions that succeeded are looked at.'),
  minRuns: z
    .number()
    .int()
    .min(2)
    .default(5)
    .describe('With fewer in the history the check passes, and says so.'),
  least: z
    .number()
    .min(0)
    .default(0)
    .describe('A difference up to this is never an anomaly: for a history that does not vary.'),
}).refine(({ runs, minRuns }) => minRuns <= runs, { error: 'minRuns is greater than runs' });

export const checkFields = {
  notNull: columnsField.optional().describe('Columns that have a value in every row.'),
  unique: columnsField
    .optional()
    .describe(
      'Columns whose values together stand in one row only; the first row passes, and null.',
    ),
  range: rangeField.optional().describe('Numbers within bounds; null passes.'),
  set: setField.optional().describe('Values of a list; null passes.'),
  pattern: patternField.optional().describe('Texts that match; null passes.'),
  expression: z
    .string()
    .min(1)
    .max(limits.expressionCharsMax)
    .optional()
    .describe(
      'Expression over `row` that is true for a good row; where it fails on a row, that row ' +
        'violates. Example: `row.min <= row.max`.',
    ),
  schema: schemaField.optional().describe('What columns and rows look like.'),
  rowCount: rowCountField.optional().describe('How many rows there are.'),
  freshness: freshnessField.optional().describe('How old the newest row is.'),
  sql: z
    .string()
    .min(1)
    .max(100_000)
    .optional()
    .describe(
      'Query over the table, called `rows`; every row that it gives is a violation. Needs ' +
        'DuckDB. ' +
        'Example: `SELECT machine FROM rows GROUP BY machine HAVING count(*) > 24`.',
    ),
  anomaly: anomalyField.optional().describe('A measure against its own history.'),
};

export const checkField = strict({
  ...checkFields,
  name: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Name in outputs and messages. Default: the check and its columns.'),
  severity: z
    .enum(SEVERITIES)
    .default('block')
    .describe(
      'block: the task fails. warn: it is said in log and output. drop: the rows are left out. ' +
        'quarantine: left out, and kept as dead letters.',
    ),
}).superRefine((check, context) => {
  const given = CHECKS.filter((kind) => check[kind] !== undefined);
  if (given.length !== 1) {
    const found = given.length === 0 ? 'has no check' : `holds ${given.join(' and ')}`;
    context.addIssue(withHint(`the item ${found}`, `one of ${CHECKS.join(', ')}`));
    return;
  }
  const leavesOut = check.severity === 'drop' || check.severity === 'quarantine';
  if (leavesOut && TABLE_CHECKS.includes(given[0] as (typeof TABLE_CHECKS)[number])) {
    const message = withHint(
      `${given[0]} judges the whole table, of which no row can be left out`,
      'block or warn',
    );
    context.addIssue({ code: 'custom', path: ['severity'], message });
  }
});

export type QualityCheck = z.output<typeof checkField>;

export function kindOf(check: QualityCheck): CheckKind {
  return CHECKS.find((kind) => check[kind] !== undefined)!;
}

/** The given name, or the check with its columns: `notNull machine`. */
export function nameOf(check: QualityCheck): string {
  if (check.name !== undefined) return check.name;
  const kind = kindOf(check);
  const { range, set, pattern, freshness, anomaly, expression } = check;
  const columns = check.notNull ?? check.unique ?? (range ?? set ?? pattern ?? freshness)?.column;
  const about = columns ?? anomaly?.measure ?? expression;
  if (about === undefined) return kind;
  return `${kind} ${typeof about === 'string' ? about : about.join(', ')}`;
}
