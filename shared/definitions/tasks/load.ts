/**
 * Rows of the run to elsewhere: files, an HTTP API, SQLite, PostgreSQL, MQTT.
 */
import { z } from 'zod';
import { oneOf } from '../database-fields.ts';
import { NAME } from '../../ids.ts';
import {
  fileLoad,
  httpLoad,
  inlineRows,
  mqttLoad,
  postgresLoad,
  sqliteLoad,
} from '../load-fields.ts';
import { ROW_NAMES, rowExpressionIssues } from '../row-expression.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';
import { limits } from '../../limits.ts';

export const LOAD_CONNECTORS = ['file', 'http', 'sqlite', 'postgres', 'mqtt'] as const;

export const loadTask = defineTask({
  kind: 'load',
  summary: "Writes a task's rows to where others read them.",
  guarantees: [
    'File: written beside, on disk, then renamed. Readers see the old or the new one, whole.',
    'SQLite and PostgreSQL: rows and the key of the run, in the table `runnel_runs`, are one ' +
      'transaction. An attempt after a crash finds the key and has nothing to do; a rerun by ' +
      'hand does not add rows twice either. Where the rows have changed since, `upsert` and ' +
      '`replace` write the new ones, and `append` fails with the class `data`, `already_loaded`.',
    'Change events (`mode: changes`): envelopes of Debezium, alone, in `{ schema, payload }` or ' +
      'as the `value` of a row with its `key`. An event that is older than what was applied to ' +
      'its key changes nothing: the position of each key is kept in `runnel_positions`, in the ' +
      'same transaction. Rows that are no event are dead letters; columns that an event does not ' +
      'tell keep their value. Rows whose unique values change places are deleted and written ' +
      'again, which is refused where a foreign key to them has an `ON DELETE` action. ' +
      '`fullRefresh` forgets the positions, and takes the events as they come; where they hold a ' +
      'whole snapshot (`source.snapshot` marks its first and its last row, and no row is a dead ' +
      'letter), rows that it lacks are deleted in the same transaction.',
    'HTTP: each request carries an `Idempotency-Key`, the same for every attempt and rerun with ' +
      'the same rows: a receiver that keeps keys sees each batch once. When other rows went ' +
      'out for the partition before, all batches go out under new keys.',
    'MQTT: QoS 1, acknowledged by the broker, at least once: an attempt that is made again sends ' +
      'the messages again, with the same `id`.',
  ],
  output:
    '`{ rowCount, loaded }`: `loaded` is false where the key was found and nothing was to do. ' +
    'With a file `file` and `bytes`, with http `requests`, with mqtt `messages`. Of change ' +
    'events `applied`, `deleted`, `truncated`, `removed` (by a full refresh), `stale`, ' +
    '`tombstones`, `messages`, `deadLetters`.',
  fields: {
    input: z
      .string()
      .regex(NAME, 'is no id of a task')
      .optional()
      .describe('Task whose table it is; among `needs`. Example: `daily`.'),
    rows: inlineRows
      .optional()
      .describe('Rows that stand here, instead of `input`. Example: `[{ day: "2026-11-22" }]`.'),
    file: fileLoad.optional().describe('To a file of the device.'),
    http: httpLoad.optional().describe('To an HTTP API, in batches.'),
    sqlite: sqliteLoad.optional().describe('To a SQLite table; needs `sqlite` at the agent.'),
    postgres: postgresLoad.optional().describe('To a PostgreSQL table.'),
    mqtt: mqttLoad
      .optional()
      .describe("To a broker, the device's own without `url`: each row as JSON."),
  },
  raw: ['mqtt.topicOf'],
  reads: ({ input }) => (input === undefined ? [] : [input]),
  memory: ({ sqlite }) => (sqlite === undefined ? 0 : limits.sqliteMemoryBytesMax),
  requires: ({ sqlite }) => (sqlite === undefined ? [] : ['sqlite']),
  problem: (config) => {
    const to = oneOf(config, LOAD_CONNECTORS);
    if (typeof to !== 'string') return to;
    const rows = oneOf(config, ['input', 'rows']);
    return typeof rows === 'string' ? undefined : rows;
  },
  issues: ({ mqtt }, parameters) =>
    rowExpressionIssues(
      [{ path: ['mqtt', 'topicOf'], source: mqtt?.topicOf, names: ROW_NAMES }],
      parameters,
    ),
  examples: [
    {
      title: 'One row a machine and day in PostgreSQL, replaced when the day runs again',
      yaml: [
        '- id: warehouse',
        '  needs: [daily]',
        '  load:',
        '    input: daily',
        '    postgres:',
        '      url: "postgres://runnel@db.site.example/mes"',
        '      password: { env: RUNNEL_SECRET_MES_DB }',
        '      table: daily_rms',
        '      mode: upsert',
        '      key: [machine, day]',
      ].join('\n'),
    },
    {
      title: 'Change events of Debezium, applied to a copy of the table',
      yaml: [
        '- id: copy',
        '  needs: [events]',
        '  load:',
        '    input: events',
        '    sqlite: { path: mes.db, table: customers, mode: changes, key: [id], create: true }',
      ].join('\n'),
    },
    {
      title: 'A csv file a day',
      yaml: [
        '- id: export',
        '  needs: [daily]',
        '  load: { input: daily, file: { path: "out/{{ partition.date }}.csv" } }',
      ].join('\n'),
    },
    {
      title: 'To an API, 100 rows a request',
      yaml: [
        '- id: push',
        '  needs: [daily]',
        '  load:',
        '    input: daily',
        '    http: { url: "https://mes.site.example/api/daily", batchRows: 100, wrap: rows }',
      ].join('\n'),
    },
  ],
});

export type LoadTaskConfig = ConfigOf<typeof loadTask>;
