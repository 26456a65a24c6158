/**
 * Rows from elsewhere: an HTTP API, files, SQLite, PostgreSQL, retained MQTT messages.
 */
import { z } from 'zod';
import { oneOf } from '../database-fields.ts';
import {
  cursor,
  fileExtract,
  httpExtract,
  mqttExtract,
  postgresExtract,
  rows,
  sqliteExtract,
} from '../extract-fields.ts';
import { usesCursor } from '../sql-cursor.ts';
import { RESPONSE_NAMES, ROW_NAMES, rowExpressionIssues } from '../row-expression.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';
import { limits } from '../../limits.ts';

export const EXTRACT_CONNECTORS = ['http', 'file', 'sqlite', 'postgres', 'mqtt'] as const;

export const extractTask = defineTask({
  kind: 'extract',
  summary: 'Reads rows from elsewhere into a table of the run.',
  guarantees: [
    'All or nothing: a page or a file that fails makes the attempt fail, and nothing of it counts.',
    'The cursor moves in the commit in which the task succeeds: after a crash at any instant the ' +
      'rows come again, or not at all. `fullRefresh` begins at `from`.',
    'Each key of the partition, and each item of `forEach` by what it is, has a cursor of its ' +
      'own. A run of a backfill reads from the start and moves none.',
    'Rows are streamed: memory stays flat, whatever their number.',
    'Databases are only read: SQLite is opened read-only, PostgreSQL in a read-only transaction.',
  ],
  output:
    '`{ rowCount, columns, rows, cursor }`; with http `pages`, with files `files`, `badLines`. ' +
    'The rows are the table of the task. Retained messages are rows `{ topic, payload }`.',
  fields: {
    http: httpExtract.optional().describe('From an HTTP API, page by page.'),
    file: fileExtract.optional().describe('From files on the device: csv, json, jsonl.'),
    sqlite: sqliteExtract
      .optional()
      .describe('From a SQLite database; needs `sqlite` at the agent.'),
    postgres: postgresExtract.optional().describe('From a PostgreSQL database.'),
    mqtt: mqttExtract
      .optional()
      .describe("Retained messages of a broker, the device's own without `url`."),
    rows,
    cursor: cursor
      .optional()
      .describe('Incremental: only what is beyond the cursor of the last success.'),
    rowsMax: z
      .number()
      .int()
      .positive()
      .max(100_000_000)
      .default(1_000_000)
      .describe('More rows fail the attempt (class `resources`).'),
  },
  raw: ['rows', 'cursor.value', 'http.paging.next', 'sqlite.query', 'postgres.query'],
  memory: ({ sqlite }) => (sqlite === undefined ? 0 : limits.sqliteMemoryBytesMax),
  requires: ({ sqlite }) => (sqlite === undefined ? [] : ['sqlite']),
  problem: (config) => {
    const from = oneOf(config, EXTRACT_CONNECTORS);
    if (typeof from !== 'string') return from;
    if (config.rows !== undefined && from !== 'http' && from !== 'file') {
      return ['rows', `is for http and file; ${from} gives rows as they are`];
    }
    const query = config.sqlite?.query ?? config.postgres?.query;
    if (query !== undefined && usesCursor(query) !== (config.cursor !== undefined)) {
      const wrong = config.cursor === undefined ? 'has $cursor' : 'has no $cursor';
      return ['cursor', `and $cursor in the query come together: the query ${wrong}`];
    }
    if (config.cursor === undefined) return undefined;
    if (query !== undefined && config.cursor.from === undefined) {
      return ['cursor', 'needs from: without a bound for the first run $cursor would be null'];
    }
    if (from === 'mqtt') return ['cursor', 'retained messages have none'];
    if (from === 'file') return ['cursor', 'files have none of rows: use file.take: new'];
    const byParameter = from === 'http';
    if (byParameter === (config.cursor.param !== undefined)) return undefined;
    return byParameter
      ? ['cursor', 'needs param: the parameter of the query that carries the cursor']
      : ['cursor', `param is for http; in the query of ${from} write $cursor`];
  },
  issues: ({ http, rows: list, cursor: by }, parameters) =>
    rowExpressionIssues(
      [
        { path: ['http', 'paging', 'next'], source: http?.paging?.next, names: RESPONSE_NAMES },
        { path: ['rows'], source: list, names: RESPONSE_NAMES },
        { path: ['cursor', 'value'], source: by?.value, names: ROW_NAMES },
      ],
      parameters,
    ),
  examples: [
    {
      title: 'What changed since the last run, page by page',
      yaml: [
        '- id: orders',
        '  extract:',
        '    http:',
        '      url: "https://mes.site.example/api/orders"',
        '      auth: { bearer: { env: RUNNEL_SECRET_MES } }',
        '      paging: { next: response.body.next }',
        '    rows: response.body.items',
        '    cursor: { from: "2024-01-01T00:00:00Z", value: row.updatedAt, param: since }',
      ].join('\n'),
    },
    {
      title: 'Rows of a PostgreSQL table beyond the last id',
      yaml: [
        '- id: parts',
        '  extract:',
        '    postgres:',
        '      url: "postgres://runnel@db.site.example/mes"',
        '      password: { env: RUNNEL_SECRET_MES_DB }',
        '      query: SELECT * FROM parts WHERE id > $cursor AND press = {{ agent.name }}',
        '    cursor: { from: 0, value: row.id }',
      ].join('\n'),
    },
    {
      title: 'Every csv file of a directory, once',
      yaml: [
        '- id: spool',
        '  extract: { file: { path: "/var/spool/mes/*.csv", take: new, types: { rms: number } } }',
      ].join('\n'),
    },
    {
      title: "Recipes that the device's broker retains",
      yaml: '- { id: recipes, extract: { mqtt: { topic: "line/+/recipe" } } }',
    },
  ],
});

export type ExtractTaskConfig = ConfigOf<typeof extractTask>;
