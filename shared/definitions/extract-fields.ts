/**
 * The connectors of `extract`: from where, and how its rows are found.
 */
import { z } from 'zod';
import {
  checked,
  databaseName,
  postgresFields,
  postgresProblem,
  sqliteFields,
} from './database-fields.ts';
import { duration, positiveDuration } from './duration.ts';
import { limits } from '../limits.ts';
import { httpFields } from './http-fields.ts';
import { brokerFields, brokerProblem } from './mqtt-fields.ts';
import { filterProblem } from './mqtt-topic.ts';
import { rowExpression } from './row-expression.ts';
import { size } from './size.ts';
import { hasSecondStatement, isSelect } from './sql-cursor.ts';
import { strict, withHint } from './strict.ts';

const parameterName = z.string().min(1).max(256);
const count = z.number().int().positive();

const paging = strict({
  link: z
    .literal(true)
    .optional()
    .describe('The next page is in the `Link` header, `rel="next"`, as GitHub has it.'),
  next: rowExpression
    .optional()
    .describe(
      'The next page by an expression over `response` (`status`, `headers`, `body`, `rows`): a ' +
        'URL, absolute or relative, or a map that goes into the query. Null, an empty text or a ' +
        'missing key is the end. Example: `response.body.next`.',
    ),
  page: strict({
    param: parameterName.default('page').describe('Parameter of the query with the number.'),
    from: z.number().int().min(0).default(1).describe('Number of the first page.'),
    sizeParam: parameterName.optional().describe('Parameter that asks for `size` rows.'),
    size: count
      .optional()
      .describe('Rows of a full page: one with fewer is the last. Default: an empty page is.'),
  })
    .optional()
    .describe('Pages by number. Example: `{ param: page, sizeParam: per_page, size: 100 }`.'),
  offset: strict({
    param: parameterName.default('offset').describe('Parameter of the query with the offset.'),
    limitParam: parameterName.default('limit').describe('Parameter that asks for `limit` rows.'),
    limit: count.default(100).describe('Rows of a full page; one with fewer is the last.'),
  })
    .optional()
    .describe('Pages by offset and limit. Example: `{ limit: 500 }`.'),
}).refine((given) => Object.values(given).filter((each) => each !== undefined).length === 1, {
  error: 'needs one of link, next, page and offset',
});

export const httpExtract = checked(
  {
    method: z.enum(['GET', 'POST']).default('GET').describe('POST for APIs that search by a body.'),
    ...httpFields,
    body: z.unknown().optional().describe('With POST: a text as it is, anything else as JSON.'),
    format: z
      .enum(['json', 'jsonl'])
      .default('json')
      .describe('What a page is: one JSON value, or JSON lines.'),
    paging: paging.optional().describe('How one comes to the next page. Default: there is one.'),
    pagesMax: count.max(100_000).default(1000).describe('More pages fail the attempt.'),
    pageMax: size.prefault('8MiB').describe('Bytes of one page; a longer one fails the attempt.'),
    pause: duration
      .prefault('0s')
      .describe('Between two pages, for the sake of the other side. Example: `250ms`.'),
  },
  ({ method, body, pageMax }: { method: string; body?: unknown; pageMax: number }) => {
    if (method === 'GET' && body !== undefined) return ['body', 'GET has none'];
    return pageMax > 64 * 1024 * 1024 ? ['pageMax', 'must be at most 64MiB'] : undefined;
  },
);

export const COLUMN_TYPES = ['string', 'number', 'boolean', 'json'] as const;

export const fileExtract = checked(
  {
    path: z
      .string()
      .min(1)
      .max(4096)
      .describe(
        'File, or files with `*`, `?` and `[…]` in the last part; relative paths are under the ' +
          'data directory of the agent, and policy.yaml says what else may be read. ' +
          'Example: `/var/spool/mes/*.csv`.',
      ),
    format: z
      .enum(['csv', 'json', 'jsonl'])
      .optional()
      .describe('Default: by the ending (`.csv`, `.json`, `.jsonl`, `.ndjson`). UTF-8.'),
    delimiter: z.string().length(1).default(',').describe('Between the fields of csv.'),
    columns: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('Names of the columns of csv. Default: its first line has them.'),
    types: z
      .record(z.string(), z.enum(COLUMN_TYPES))
      .default({})
      .describe(
        'What the texts of csv are turned into; others stay texts. An empty one that is no text ' +
          'becomes null. Example: `{ rms: number, ok: boolean }`.',
      ),
    badLinesMax: z
      .number()
      .int()
      .min(0)
      .max(limits.taskDeadRowsMax)
      .default(0)
      .describe('Bad lines that go to the dead letters; more fail the attempt (class `data`).'),
    take: z
      .enum(['all', 'new'])
      .default('all')
      .describe(
        'new: each file once, known by name, size and time of its last change; what was taken is ' +
          'the cursor of the task.',
      ),
    fileColumn: z
      .string()
      .min(1)
      .optional()
      .describe("Column with the name of a row's file. Example: `_file`."),
  },
  ({ delimiter, columns }: { delimiter: string; columns?: readonly string[] | undefined }) => {
    if (/["\r\n]/.test(delimiter)) return ['delimiter', 'must not be a quote or a line end'];
    const twice = columns?.find((name, index) => columns.indexOf(name) !== index);
    return twice === undefined ? undefined : ['columns', `"${twice}" is there twice`];
  },
);

const query = z
  .string()
  .min(1)
  .max(65_536)
  .superRefine((sql, context) => {
    const add = (message: string): void =>
      context.addIssue({ code: 'custom', message: withHint(message, 'write one SELECT') });
    if (!isSelect(sql)) add('is no SELECT');
    else if (hasSecondStatement(sql)) add('has more than one statement');
  })
  .describe(
    'One SELECT. `{{ }}` is bound as a value, and `$cursor` stands for the cursor. ' +
      'Example: `SELECT * FROM orders WHERE id > $cursor`.',
  );

export const sqliteExtract = strict({ ...sqliteFields, query });

export const postgresExtract = checked(
  {
    ...postgresFields,
    query,
    searchPath: z
      .array(databaseName)
      .default([])
      .describe('Schemas in which names are looked up. Default: those of the user.'),
  },
  postgresProblem,
);

export const mqttExtract = checked(
  {
    topic: z
      .string()
      .superRefine((filter, context) => {
        const problem = filterProblem(filter);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      })
      .describe('Topic filter. Example: `line/+/recipe`.'),
    codec: z.enum(['json', 'text']).default('json').describe('What a payload is decoded as.'),
    idle: positiveDuration
      .prefault('1s')
      .describe('It is over when no retained message came for so long.'),
    for: positiveDuration.prefault('10s').describe('It is over after so long in any case.'),
    ...brokerFields,
  },
  brokerProblem,
);

export const cursor = strict({
  from: z
    .union([z.string(), z.number()])
    .optional()
    .describe('Where the first run begins, and one with `fullRefresh`. Default: no bound is sent.'),
  value: rowExpression.describe(
    'Expression over `row`; the largest value becomes the cursor when the task succeeds. ' +
      'Numbers compare as numbers, ISO 8601 texts as instants, other texts by their characters. ' +
      'Example: `row.updatedAt`.',
  ),
  param: parameterName
    .optional()
    .describe('http: parameter of the query that carries the cursor. Example: `since`.'),
  skipSeen: z
    .boolean()
    .default(true)
    .describe(
      'Leaves out rows whose value is not beyond the cursor: many APIs send the last again.',
    ),
});

export const rows = rowExpression
  .optional()
  .describe(
    'http and json files: where the list of rows is, by an expression over `response.body`. ' +
      'Default: the body itself, or the only list in it. Example: `response.body.data.items`.',
  );
